"""The sandbox's memory on disk: one JSON line for each request, in one write before the answer leaves, so that a killed
sandbox comes back with what it had answered.

A line that was cut by a kill is dropped. When the file is too large it is written anew from what is remembered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from aegis.core.errors import ConfigError

JOURNAL_MAX = 64 * 1024 * 1024
"""Bytes; the 10,000 incidents of the largest drill write about 40 MB to one service."""

LINE_MAX = 4 * 1024 * 1024
"""Bytes of one line; longer ones are not ours."""


class Journal:
    """An append-only file of JSON lines, mode 0600. Many may read it; the first write makes it one process's own."""

    def __init__(self, path: Path, *, most: int = JOURNAL_MAX) -> None:
        self._path, self._most = path, most
        self._file: int | None = None
        self._size, self._seen = 0, 0

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole line, oldest first. Changes nothing, so a running sandbox can be looked at."""
        self._size = self._seen = 0
        if not self._path.exists():
            return
        with self._path.open("rb") as lines:
            while line := lines.readline(LINE_MAX):
                self._seen += len(line)
                try:
                    entry = orjson.loads(line)
                except orjson.JSONDecodeError:
                    break
                if not line.endswith(b"\n") or not isinstance(entry, dict):
                    break
                self._size += len(line)
                yield entry
            self._seen = lines.seek(0, os.SEEK_END)

    def own(self) -> int:
        """Take the file for this process, cut off what follows its last whole line, and return it.

        Raises `ConfigError` when another process has it, or wrote to it since it was read.
        """
        if self._file is not None:
            return self._file
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        held = os.fstat(file)
        same = held.st_ino == self._path.stat().st_ino and held.st_size == self._seen
        if not (_lock(file) and same):
            os.close(file)
            raise ConfigError(f"{self._path} belongs to a sandbox that is running: stop it, or use another folder")
        os.ftruncate(file, self._size)
        os.lseek(file, self._size, os.SEEK_SET)
        self._file = file
        return file

    def append(self, entry: dict[str, Any]) -> bool:
        """Write one line; says whether the file has grown too large. Raises as `own`."""
        self._size += _write(self.own(), orjson.dumps(entry) + b"\n")
        return self._size > self._most

    def rewrite(self, entries: Iterable[dict[str, Any]]) -> None:
        """Replace the whole file, atomically. Raises as `own`."""
        old = self.own()
        fresh = self._path.with_name(f"{self._path.name}.new")
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        _lock(file)
        size = sum(_write(file, orjson.dumps(entry) + b"\n") for entry in entries)
        fresh.replace(self._path)
        os.close(old)
        self._file, self._size = file, size
        self._most = max(self._most, 2 * size)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _lock(file: int) -> bool:
    """Whether this process alone has the file from now on. Where there are no such locks, it always has."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(file: int, line: bytes) -> int:
    left = memoryview(line)
    while left:
        left = left[os.write(file, left) :]
    return len(line)
