"""Text from outside, made plain: what every channel does to hostile text before it encodes it by its own rules.

Nothing here makes text safe for a markup by itself; each connector adds its own typed encoding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

ELLIPSIS = "…"

READ_MAX = 50_000
"""Characters of a text that are looked at: no channel shows more, and nobody can make nine of them clean megabytes."""

KEPT_MAX, KEPT_CHARS = 4_096, 500
"""Texts whose plain form is remembered, and how long one may be: the words of an incident are told to eight services within
moments. At most some 24 MB, usually a twentieth of it.
"""

_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls but tab and line feed: terminal escapes, log forging
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # invisible letters and fillers
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, direction overrides, anchors
    "\ud800-\udfff"  # lone surrogates: no UTF-8 exists for them
    "\U000e0000-\U000e0fff"  # tag plane and variation selectors: text that people cannot see
    "]"
)
"""Characters that hide, reorder or forge text (Unicode TR36, TR39; Default_Ignorable_Code_Point)."""

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_BLANKS = re.compile(r"[ \t\u00a0\u2000-\u200a\u3000]+")

_HTTP = re.compile(r"(?i)h(tt)(?=ps?:)")
_SCHEMES = ("mailto", "tel", "sms", "javascript", "data", "vbscript", "file")
_LINKING_COLON = re.compile(rf"(?i):(?!\s)(?:{'|'.join(f'(?<={one}:)(?<![a-z]{one}:)' for one in _SCHEMES)})")
"""Like the dot below: the colon stands first, and what is before it is asked after."""
_DOMAIN_DOT = re.compile("[.\u3002\uff0e\uff61](?<=[^\\W_].)(?=[^\\W\\d_]{2})")
"""The dot stands first, and what is before it is asked after: so a text is searched for dots, not tried at each letter."""
_WEB_LINK = re.compile(r"https?://[\x21-\x7e]+")
_DIGIT_DOT = re.compile(r"\d\.\d")
_QUAD = re.compile(r"(?<!\d)(\d{1,3}\.\d{1,3}\.\d{1,3})\.(\d{1,3})(?!\d)")


def one_line(text: str) -> str:
    """The text without invisible characters, on one line, single blanks."""
    return _on_one_line(text) if len(text) <= KEPT_CHARS else _on_one_line.__wrapped__(text)


@lru_cache(KEPT_MAX)
def _on_one_line(text: str) -> str:
    return _BLANKS.sub(" ", lines(text).replace("\n", " ")).strip()


def lines(text: str) -> str:
    """The text (its first `READ_MAX` characters) without invisible ones; line ends become line feeds, ends are trimmed."""
    text = text[:READ_MAX]
    if text.isprintable() and text.isascii():
        return text.strip()  # what most text is: no control and nothing invisible in it
    return _cleaned(text) if len(text) <= KEPT_CHARS else _cleaned.__wrapped__(text)


@lru_cache(KEPT_MAX)
def _cleaned(text: str) -> str:
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text)).strip()


def defang(text: str) -> str:
    """The text with every address written so that no program makes a link of it: `hxxps[:]//evil[.]example`.

    People and tools in this field read the form back; nobody can follow it by a slip of the hand.
    """
    return _defanged(text) if len(text) <= KEPT_CHARS else _defanged.__wrapped__(text)


@lru_cache(KEPT_MAX)
def _defanged(text: str) -> str:
    if ":" in text:
        # Letters beyond ASCII can stand for one of a scheme (a long s): such a text is always searched.
        plain = text.lower() if text.isascii() else ""
        if not plain or "http" in plain:
            text = _HTTP.sub(lambda found: found[0][0] + "xx", text)
        text = _LINKING_COLON.sub("[:]", text.replace("://", "[:]//"))
    if "." in text:
        text = _QUAD.sub(lambda found: f"{found[1]}[.]{found[2]}", text) if _DIGIT_DOT.search(text) else text
    elif text.isascii():
        return text
    return _DOMAIN_DOT.sub("[.]", text)


def size(text: str) -> int:
    """The length of a text in UTF-16 units: never less than its characters, so a limit counted either way holds."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str, limit: int, encode: Callable[[str], str] = str) -> str:
    """`encode(text)`, cut before encoding so that the result is at most `limit` units and no escape is cut in two.

    A cut shows as an ellipsis. `encode` must not shrink a longer text below a shorter one.
    """
    text = text[: limit + 1]
    whole = encode(text)
    if 2 * len(whole) <= limit or size(whole) <= limit:
        return whole
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if size(encode(text[:middle].rstrip())) + len(ELLIPSIS) <= limit:
            low = middle
        else:
            high = middle - 1
    return encode(text[:low].rstrip()) + ELLIPSIS


def web_link(link: str) -> str:
    """A link of our own as it may be put behind a button, or "" when it is no plain http(s) address."""
    return link if link and len(link) <= 2_000 and _WEB_LINK.fullmatch(link) else ""
