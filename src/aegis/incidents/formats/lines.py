"""Chunks of bytes to numbered lines; a line over the bound is named and skipped without ever being held whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEAD_BYTES = 1_024
"""How much of an overlong line is kept to show."""


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line that was refused for its length (in bytes, without its line end); `head` is its start."""

    length: int
    head: bytes


class _Held:
    """The unfinished line at the end of a chunk."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._head = b""

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        elif not self._head:
            self._head = (b"".join(self._parts) + part[:HEAD_BYTES])[:HEAD_BYTES]
            self._parts = []

    def take(self) -> bytes | Overlong:
        line = Overlong(self._size, self._head) if self._size > self._limit else b"".join(self._parts)
        self._parts, self._size, self._head = [], 0, b""
        return line

    def __bool__(self) -> bool:
        return self._size > 0


def split_lines(chunks: Iterable[bytes], limit: int) -> Iterator[tuple[int, bytes | Overlong]]:
    """Number (from 1) and bytes of every line that is not blank, without its line end. A byte order mark at the
    start is dropped. Memory is bounded by `limit` and the size of one chunk.
    """
    held, number = _Held(limit), 0
    for chunk in _without_mark(chunks):
        first, *others = chunk.split(b"\n")
        held.add(first)
        for piece in others:
            number += 1
            line = held.take()
            held.add(piece)
            if isinstance(line, Overlong) or (line := line.strip()):
                yield number, line
    if held:
        line = held.take()
        if isinstance(line, Overlong) or (line := line.strip()):
            yield number + 1, line


def _without_mark(chunks: Iterable[bytes]) -> Iterator[bytes]:
    source = iter(chunks)
    head = b""
    while len(head) < 3 and (chunk := next(source, None)) is not None:
        head += chunk
    yield head.removeprefix(b"\xef\xbb\xbf")
    yield from source
