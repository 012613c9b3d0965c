"""The alphabets of text messages: what a text takes in segments, and how it is cut to a number of them.

A message in the GSM alphabet has 160 places, or 153 in each of several segments; any other character makes all of it
UCS-2 with 70, or 67 (3GPP TS 23.038 6.2, TS 23.040 9.2.3.24.1).
"""

from __future__ import annotations

import unicodedata

GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_DOUBLE = frozenset("^{}\\[~]|€")
"""These take two places."""
_PLACES = {True: (160, 153), False: (70, 67)}
_INSTEAD = str.maketrans(
    {"…": "...", "·": "-", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "•": "-", "→": "->", "\t": " "}
)
FOREIGN_PART = 5
"""A text of which more than a fifth stands in no GSM alphabet is in another script and stays as it is."""


def is_gsm(text: str) -> bool:
    """Whether every character stands in the GSM alphabet."""
    return all(character in GSM or character in GSM_DOUBLE for character in text)


def places(text: str) -> int:
    """The places that a text takes in its own alphabet."""
    if is_gsm(text):
        return len(text) + sum(character in GSM_DOUBLE for character in text)
    return len(text.encode("utf-16-le", "replace")) // 2


def segments(text: str) -> int:
    """Segments that a text is sent and billed as, at least one."""
    one, many = _PLACES[is_gsm(text)]
    taken = places(text)
    return 1 if taken <= one else -(-taken // many)


def cheap(text: str) -> str:
    """The text in the GSM alphabet where little is lost by it: accents and signs that it lacks are written around, what
    is left becomes `?`. A text in another script stays as it is.
    """
    text = text.translate(_INSTEAD)
    plain = "".join(character if _known(character) else _bare(character) for character in text)
    lost = sum(not _known(character) for character in plain)
    if lost * FOREIGN_PART > len(plain):
        return text
    return "".join(character if _known(character) else "?" for character in plain)


def cut(text: str, most: int, *, end: str = "") -> str:
    """`text` and `end` in at most `most` segments: `end` stays whole where it fits at all, `text` gives way with dots."""
    if segments(text + end) <= most:
        return text + end
    dots = "..." if is_gsm(text + end) else "…"
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if segments(text[:middle].rstrip() + dots + end) <= most:
            low = middle
        else:
            high = middle - 1
    if not low and end:
        return cut(text, most)
    return text[:low].rstrip() + dots + end


def _known(character: str) -> bool:
    return character in GSM or character in GSM_DOUBLE


def _bare(character: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
