"""Notices when somebody removes or replaces the files of a running store.

An open handle goes on writing into a removed file without any error, and everything is lost when it closes; two
`stat` calls a commit (about 2 microseconds each) make that visible while it can still be put right.
"""

from __future__ import annotations

from pathlib import Path

from aegis.core.errors import StoreError
from aegis.stores.handles import MEMORY


class FileWatch:
    """Remembers which files the store consists of. A store in memory has none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._main_file, self._log_file = Path(path), Path(f"{path}-wal")
        self._main = self._log = (0, 0)

    def remember(self) -> None:
        self._main, self._log = _identity(self._main_file), _identity(self._log_file)

    def changed(self) -> bool:
        """Whether one of the files is no longer the one that was opened."""
        if self._path == MEMORY:
            return False
        return (_identity(self._main_file), _identity(self._log_file)) != (self._main, self._log)

    def check_main_file(self) -> None:
        """Raises `StoreError` when the main file itself is gone: then there is no place to write to."""
        if _identity(self._main_file) != self._main:
            raise StoreError(
                f"The store {self._path}: the file was removed or replaced while Aegis was running; "
                "stop Aegis and put the file back, or restore the newest backup"
            )


def _identity(file: Path) -> tuple[int, int]:
    """Device and inode, or zeros where there is no file."""
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
