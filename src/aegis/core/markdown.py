"""Text from outside as Markdown that stays text: nothing in it becomes a link, an image, a mention or markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from aegis.core.plaintext import fit, one_line

_SPECIAL = re.compile(r"([\\`*<|~]|(?<![^\W_])_|_(?![^\W_])|(?<=\])[(\[:])")
"""What means something inside a line of CommonMark or its GitHub form; a bracket only counts with what follows it."""
_AT_START = re.compile(r"^(?=[#>+=\[-])")
_SCHEME = re.compile(r"(?i)\b(h)tt(ps?)(?=:)")
_LINKING = re.compile(r"(?i)\b(www)\.|(?<=[a-z0-9+.-]):(?=//)|\b(?:mailto|javascript|data|vbscript|tel):")
_MENTION = re.compile(r"@(?=\w)")


def plain(text: str, limit: int = 2_000) -> str:
    """Text from outside as Markdown: it reads the same, and nothing in it can be followed or formats anything."""
    return fit(one_line(text), limit, _escaped)


def _escaped(text: str) -> str:
    text = _SPECIAL.sub(r"\\\1", _SCHEME.sub(r"\1xx\2", text))
    text = _LINKING.sub(lambda found: found[0].replace(":", "[:]").replace(".", "[.]"), text)
    return _AT_START.sub(r"\\", _MENTION.sub("(at)", text))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every cell is escaped."""
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    lines += [f"| {' | '.join(plain(cell, 600) for cell in row)} |" for row in rows]
    return "\n".join(lines)
