"""What went wrong with the store, as a sentence that says what to do; SQLite's own errors end here.

Source of the codes: https://www.sqlite.org/rescode.html.
"""

from __future__ import annotations

import sqlite3

from aegis.core.errors import StoreError

_PRIMARY = 0xFF
"""An extended result code keeps its primary code in the low byte."""

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space; Aegis goes on by itself",
    sqlite3.SQLITE_READONLY: "the file is read-only: give the user that runs Aegis write permission on it and its folder",
    sqlite3.SQLITE_PERM: "access was denied: give the user that runs Aegis permission on the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check that its folder exists and may be written to",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: stop Aegis and restore the newest backup",
    sqlite3.SQLITE_NOTADB: "the file is not an Aegis store: point the store elsewhere or restore the newest backup",
    sqlite3.SQLITE_BUSY: "another program is writing to it: stop the other one, or give each its own folder",
    sqlite3.SQLITE_LOCKED: "another program is writing to it: stop the other one, or give each its own folder",
    sqlite3.SQLITE_IOERR: "the disk failed: look at the system's log; whether the last change was kept is not known",
    sqlite3.SQLITE_NOMEM: "memory ran out: give Aegis more, or send it less at once",
    sqlite3.SQLITE_CONSTRAINT: "a rule of the schema was about to be broken, so nothing was changed",
}

_NO_ROOM = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE})
"""What SQLite calls an error of the disk and is one of room: the index of the log could not grow."""

_BROKEN_HANDLE = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM}
)
"""After these nobody knows what the handle's cache holds ("Can Applications Recover from fsync Failures?", ATC 2020)."""


def store_error(error: sqlite3.Error, place: str) -> StoreError:
    """The error as the rest of Aegis may see it: which store, what is wrong, what to do."""
    name = getattr(error, "sqlite_errorname", "")
    code = getattr(error, "sqlite_errorcode", 0)
    advice = _ADVICE.get(sqlite3.SQLITE_FULL if code in _NO_ROOM else primary_code(error), "it could not answer")
    detail = f" ({name}: {error})" if name else f" ({error})"
    return StoreError(f"The store {place}: {advice}{detail}")


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, or 0 where the error did not come from the database itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


def breaks_handle(error: sqlite3.Error) -> bool:
    """Whether the handle must be closed and opened anew before anything else is asked of it."""
    return primary_code(error) in _BROKEN_HANDLE
