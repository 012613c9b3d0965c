"""The sandbox's memory on disk: one JSON line for each request, in one write before the answer leaves, so that a killed
sandbox comes back with what it had answered.

A line that was cut by a kill is dropped. When the file is too large it is written anew from what is remembered.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

JOURNAL_MAX = 64 * 1024 * 1024
"""Bytes; the 10,000 incidents of the largest drill write about 40 MB to one service."""

LINE_MAX = 4 * 1024 * 1024
"""Bytes of one line; longer ones are not ours."""


class Journal:
    """An append-only file of JSON lines, mode 0600, owned by one process."""

    def __init__(self, path: Path, *, most: int = JOURNAL_MAX) -> None:
        self._path, self._most = path, most
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = 0

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole line, oldest first; what follows the last whole one is cut off."""
        whole = 0
        with os.fdopen(os.dup(self._file), "rb") as lines:
            lines.seek(0)
            while line := lines.readline(LINE_MAX):
                try:
                    entry = orjson.loads(line)
                except orjson.JSONDecodeError:
                    break
                if not line.endswith(b"\n") or not isinstance(entry, dict):
                    break
                whole += len(line)
                yield entry
        os.ftruncate(self._file, whole)
        os.lseek(self._file, whole, os.SEEK_SET)
        self._size = whole

    def append(self, entry: dict[str, Any]) -> bool:
        """Write one line; says whether the file has grown too large."""
        line = orjson.dumps(entry) + b"\n"
        self._size += _write(self._file, line)
        return self._size > self._most

    def rewrite(self, entries: Iterable[dict[str, Any]]) -> None:
        """Replace the whole file, atomically."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        size = sum(_write(file, orjson.dumps(entry) + b"\n") for entry in entries)
        fresh.replace(self._path)
        os.close(self._file)
        self._file, self._size = file, size
        self._most = max(self._most, 2 * size)

    def close(self) -> None:
        os.close(self._file)


def _write(file: int, line: bytes) -> int:
    left = memoryview(line)
    while left:
        left = left[os.write(file, left) :]
    return len(line)
