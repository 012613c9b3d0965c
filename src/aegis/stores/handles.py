"""How a SQLite file is opened: the settings every connection has, and who may read the file."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

BUSY_MS = 5_000
"""How long to wait for another process (a backup, a look-up by hand); longer and a person should know."""
CACHE_KIB = 4 * 1024
"""The page cache of the writer: holds the inner pages of every index and the newest leaves; the rest is read from the
system's own cache. It fills up for good, so it is counted in the 100 MB of a process.
"""
READ_CACHE_KIB = 512
"""The page cache of each reader, a quarter of SQLite's own: a reading begins with an empty one anyway when anything was written."""
CHECKPOINT_PAGES = 4_000
"""16 MB of log between checkpoints: each costs two flushes, so the default of 4 MB would cost a bulk import dear."""
LOG_BYTES_MAX = 64 * 1024 * 1024
"""What stays on disk of the log after a large transaction."""
MEMORY = ":memory:"


def open_writer(path: str) -> sqlite3.Connection:
    """The writing connection, in autocommit mode: transactions are begun by name.

    A new file can be read by its owner only (incidents hold personal data). Raises `sqlite3.Error`.
    """
    if path != MEMORY:
        _create(Path(path))
    connection = _connect(path, "rw")
    try:
        for setting in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            f"journal_size_limit = {LOG_BYTES_MAX}",
            f"cache_size = -{CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_reader(path: str) -> sqlite3.Connection:
    """A connection that cannot change anything. Raises `sqlite3.Error`."""
    connection = _connect(path, "ro")
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{READ_CACHE_KIB}")
    return connection


def _create(path: Path) -> None:
    """Make the file with the right mode before SQLite would make it with the umask's."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError:
        return  # it exists, or SQLite will say what is wrong with the place


def _connect(path: str, mode: str) -> sqlite3.Connection:
    """Threads are checked by design (one owner each), not by the module: a handle is closed by whoever resets it."""
    name = path if path == MEMORY else f"file:{quote(str(Path(path).absolute()))}?mode={mode}"
    return sqlite3.connect(
        name, uri=path != MEMORY, isolation_level=None, timeout=BUSY_MS / 1_000, check_same_thread=False
    )
