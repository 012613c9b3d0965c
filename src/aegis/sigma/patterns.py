"""Sigma strings: text with wildcards and escapes, read once into pieces; shapes, dashes and encodings work on pieces.

Source: Sigma rules specification 2.1.0 (escaping), modifiers appendix 2.1.0. A backslash escapes only `*`, `?` and
another backslash; before anything else it is itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Final, TypeAlias

from aegis.core.errors import BadInput

MANY: Final = 0
"""The wildcard `*`."""
ONE: Final = 1
"""The wildcard `?`."""

Piece: TypeAlias = str | int
Pieces: TypeAlias = tuple[Piece, ...]

EXPANSIONS_MAX = 5**5
"""How many strings one value may become through `windash`: five dashes in five places; SigmaHQ needs 125."""

_TOKEN = re.compile(r"\\([*?\\])|([*?])|([^\\*?]+|\\)")
_DASH = re.compile(r"\B[-/]\b")
_DASHES = ("-", "/", "\N{EN DASH}", "\N{EM DASH}", "\N{HORIZONTAL BAR}")
_OFFSET_STARTS = (0, 2, 3)
_OFFSET_ENDS = (None, -3, -2)


def parse_pieces(text: str) -> Pieces:
    """The pieces of a Sigma string."""
    pieces: list[Piece] = []
    for escaped, wildcard, plain in _TOKEN.findall(text):
        if wildcard:
            pieces.append(MANY if wildcard == "*" else ONE)
        elif pieces and isinstance(pieces[-1], str):
            pieces[-1] += escaped or plain
        else:
            pieces.append(escaped or plain)
    return tidy(pieces)


def tidy(pieces: list[Piece]) -> Pieces:
    """The same string with neighbouring texts joined and runs of `*` reduced to one."""
    out: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str):
            if not piece:
                continue
            if out and isinstance(out[-1], str):
                out[-1] += piece
                continue
        elif piece == MANY and out and out[-1] == MANY:
            continue
        out.append(piece)
    return tuple(out)


def shaped(pieces: Pieces, shape: str) -> Pieces:
    """The string as `contains`, `startswith` or `endswith` wants it."""
    before: list[Piece] = [] if shape == "startswith" else [MANY]
    after: list[Piece] = [] if shape == "endswith" else [MANY]
    return tidy([*before, *pieces, *after])


def with_dashes(pieces: Pieces) -> Iterator[Pieces]:
    """Every way to write the flags of a command line: any dash or slash where a token starts with one."""
    choices: list[tuple[Piece, ...]] = []
    for piece in pieces:
        if not isinstance(piece, str):
            choices.append((piece,))
            continue
        start = 0
        for found in _DASH.finditer(piece):
            choices.append((piece[start : found.start()],))
            choices.append(_DASHES)
            start = found.end()
        choices.append((piece[start:],))
    if 5 ** sum(choice is _DASHES for choice in choices) > EXPANSIONS_MAX:
        raise BadInput(f"`windash` makes more than {EXPANSIONS_MAX} strings of one value")
    for chosen in product(*choices):
        yield tidy(list(chosen))


def literal(pieces: Pieces, modifier: str) -> str:
    """The text of a string without wildcards; only such a one can be encoded."""
    if any(not isinstance(piece, str) for piece in pieces):
        raise BadInput(f"`{modifier}` cannot encode wildcards")
    return "".join(str(piece) for piece in pieces)


ENCODERS: Mapping[str, Callable[[str], bytes]] = {
    "wide": lambda text: text.encode("utf-16-le"),
    "utf16le": lambda text: text.encode("utf-16-le"),
    "utf16be": lambda text: text.encode("utf-16-be"),
    "utf16": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
}


def base64_text(raw: bytes) -> str:
    """Standard Base64."""
    return base64.b64encode(raw).decode()


def base64_offsets(raw: bytes) -> tuple[str, str, str]:
    """The part of the Base64 text that stays the same at each of the three positions in a longer input."""
    first, second, third = (
        base64.b64encode(b" " * shift + raw).decode()[_OFFSET_STARTS[shift] : _OFFSET_ENDS[(len(raw) + shift) % 3]]
        for shift in range(3)
    )
    return first, second, third


def raw_text(raw: bytes) -> str:
    """Encoded bytes that are matched as they are (`wide` without `base64`): as the text that logs show."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
