"""Wildcard strings matched in linear steps: fixed segments between `*`, each found as far left as possible.

Taking the leftmost place for every middle segment never loses a match, so there is nothing to go back on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from aegis.sigma.patterns import MANY, Pieces


class Segment:
    """Characters in a row, some of them `?`."""

    __slots__ = ("_pattern", "_text", "length")

    def __init__(self, pieces: Pieces) -> None:
        self.length = sum(len(piece) if isinstance(piece, str) else 1 for piece in pieces)
        self._text = pieces[0] if len(pieces) == 1 and isinstance(pieces[0], str) else None
        written = "".join(re.escape(piece) if isinstance(piece, str) else "." for piece in pieces)
        self._pattern = re.compile(written, re.DOTALL)

    def stands_at(self, text: str, at: int) -> bool:
        """Whether the segment stands at a position."""
        if self._text is not None:
            return text.startswith(self._text, at)
        return self._pattern.match(text, at) is not None

    def after(self, text: str, start: int, end: int) -> int:
        """The position after its first place between two positions; -1 if there is none."""
        if self._text is not None:
            found = text.find(self._text, start, end)
            return found + self.length if found >= 0 else -1
        match = self._pattern.search(text, start, end)
        return match.end() if match else -1


class Glob:
    """A compiled wildcard string."""

    __slots__ = ("_head", "_middle", "_tail")

    def __init__(self, pieces: Pieces) -> None:
        segments = [Segment(run) if run else None for run in _runs(pieces)]
        self._head = segments[0]
        self._tail = segments[-1] if len(segments) > 1 else None
        self._middle = [segment for segment in segments[1:-1] if segment is not None] if len(segments) > 1 else None

    def fits(self, text: str) -> bool:
        """Whether the whole text fits."""
        start, end = 0, len(text)
        head, tail = self._head, self._tail
        if head is not None:
            if not head.stands_at(text, 0):
                return False
            start = head.length
        if self._middle is None:
            return start == end
        if tail is not None:
            end -= tail.length
            if end < start or not tail.stands_at(text, end):
                return False
        for segment in self._middle:
            start = segment.after(text, start, end)
            if start < 0:
                return False
        return True


def _runs(pieces: Pieces) -> Iterator[Pieces]:
    """What stands between the `*`, also where that is nothing."""
    start = 0
    for at, piece in enumerate(pieces):
        if piece == MANY:
            yield pieces[start:at]
            start = at + 1
    yield pieces[start:]
