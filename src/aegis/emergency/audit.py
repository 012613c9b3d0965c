"""The audit log: who did what and when, append-only, each entry bound to the one before it.

Policy: an entry is durable when `note` returns; the number and hash of the last one stand in a table of their own and in
a copy of the log in a file, so that neither a changed nor a removed entry goes unseen. See docs/audit.md.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from aegis.core.audits import (
    FIRST,
    WHAT_CHARS_MAX,
    WHO_CHARS_MAX,
    AuditEntry,
    breaks,
    entry_hash,
    facts_text,
)
from aegis.core.errors import StoreError
from aegis.core.ports import Clock
from aegis.stores.places import Transactions
from aegis.stores.queries import read_queries
from aegis.stores.records import storable
from aegis.stores.times import to_us

Q = read_queries("audit")
BREAKS_MAX: Final = 20
"""Breaks that are named: who finds twenty restores a backup."""
LINE_BYTES_MAX: Final = 262_144
"""Of the file copy: an entry has at most 40 facts of 1,000 characters, each up to 6 bytes in JSON."""


def append(connection: Any, *, at_us: int, who: str, what: str, facts: Mapping[str, str]) -> AuditEntry:
    """Add an entry inside the caller's transaction, and move the head with it."""
    found = connection.execute(Q["head"]).fetchone()
    seq, previous = (found[0], found[1]) if found else (0, FIRST)
    entry = AuditEntry(
        seq=seq + 1,
        at_us=at_us,
        who=storable(who, WHO_CHARS_MAX),
        what=storable(what, WHAT_CHARS_MAX),
        facts=json.loads(facts_text(facts)),
        previous=previous,
    )
    entry = replace(entry, hash=entry_hash(entry))
    connection.execute(Q["add"], _row(entry))
    connection.execute(Q["move_head"], {"seq": entry.seq, "hash": entry.hash})
    return entry


class AuditLog:
    """The `Audit` of `emergency.ports`, over a store. `file` is where every entry is written too (None: nowhere)."""

    def __init__(self, database: Transactions, clock: Clock, *, file: Path | None = None) -> None:
        self._database, self._clock, self._file = database, clock, file

    async def note(self, who: str, what: str, facts: Mapping[str, str]) -> None:
        """Put on record that `who` did `what`. Raises `StoreError`; also when the copy cannot be written: then the entry
        stands in the store, and `verify` says that the copy lags behind.
        """
        at_us = to_us(self._clock.now())
        entry = await self._database.write(
            lambda connection: append(connection, at_us=at_us, who=who, what=what, facts=facts)
        )
        if self._file is not None:
            write_copy(self._file, entry)

    async def entries(self, *, since_us: int = 0, limit: int = 1_000) -> Sequence[AuditEntry]:
        """The newest entries, newest first. Raises `StoreError`."""
        values = {"since_us": since_us, "limit": limit}
        rows = await self._database.read(lambda connection: connection.execute(Q["since"], values).fetchall())
        return [_entry(row) for row in rows]

    async def verify(self) -> Sequence[str]:
        """What is wrong with the log, in words; empty when nothing is. Raises `StoreError`."""
        found = list(await self._database.read(find_breaks))
        if self._file is not None and self._file.exists():
            last, words = read_copy(self._file)
            found += words
            if last is not None:
                found += await self._database.read(lambda connection: _against(connection, last))
        return found[:BREAKS_MAX]

    async def head(self) -> tuple[int, str]:
        """The last entry's number and hash. Raises `StoreError`."""
        found = await self._database.read(lambda connection: connection.execute(Q["head"]).fetchone())
        return (int(found[0]), str(found[1])) if found else (0, FIRST)


def find_breaks(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the chain in a store, in words; row by row, so that a long log takes no memory."""
    found = connection.execute(Q["head"]).fetchone()
    head = (int(found[0]), str(found[1])) if found else None
    told = []
    for words in breaks(_entries(connection), head):
        told.append(words)
        if len(told) == BREAKS_MAX:
            break
    return told


def newest(connection: Any) -> AuditEntry | None:
    """The last entry of a store."""
    found = connection.execute(Q["since"], {"since_us": 0, "limit": 1}).fetchone()
    return _entry(found) if found else None


def write_copy(file: Path, entry: AuditEntry) -> None:
    """One line more in the file copy, mode 0600. Raises `StoreError`."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, _line(entry))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"the copy of the audit log, {file}, cannot be written: {error.strerror}") from error


def read_copy(file: Path) -> tuple[AuditEntry | None, list[str]]:
    """The newest entry of the file copy, and what is wrong with its lines. Two processes may write out of order; a line
    that was cut by a crash is one entry that only the store has.
    """
    newest: AuditEntry | None = None
    told = []
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(LINE_BYTES_MAX), b""), 1):
                entry = _read_line(line)
                if entry is None or entry_hash(entry) != entry.hash:
                    told.append(f"line {number} of the copy {file.name} was changed or cut")
                elif newest is None or entry.seq > newest.seq:
                    newest = entry
    except OSError as error:
        raise StoreError(f"the copy of the audit log, {file}, cannot be read: {error.strerror}") from error
    return newest, told


def _against(connection: sqlite3.Connection, last: AuditEntry) -> list[str]:
    """What the copy's newest entry says about the store."""
    found = connection.execute("SELECT hash FROM audit_entries WHERE seq = :seq", {"seq": last.seq}).fetchone()
    if found is None:
        return [f"the end was cut off: the copy in the file goes to entry {last.seq}, the store does not"]
    return [] if found[0] == last.hash else [f"entry {last.seq} is another one in the copy in the file"]


def _entries(connection: sqlite3.Connection) -> Iterator[AuditEntry]:
    for row in connection.execute(Q["all"]):
        yield _entry(row)


def _entry(row: Sequence[Any]) -> AuditEntry:
    seq, at_us, who, what, facts, previous, hashed = row
    try:
        read = json.loads(facts)
        known = {str(name): str(value) for name, value in read.items()} if isinstance(read, dict) else {}
    except (ValueError, TypeError, RecursionError):
        known = {}
    if facts_text(known) != facts:  # not as we write it: kept as it stands, so that its hash cannot be right
        known = {"": str(facts)}
    return AuditEntry(seq=seq, at_us=at_us, who=who, what=what, facts=known, previous=previous, hash=hashed)


def _row(entry: AuditEntry) -> dict[str, str | int]:
    return {
        "seq": entry.seq,
        "at_us": entry.at_us,
        "who": entry.who,
        "what": entry.what,
        "facts": facts_text(entry.facts),
        "previous": entry.previous,
        "hash": entry.hash,
    }


def _line(entry: AuditEntry) -> bytes:
    return json.dumps(_row(entry) | {"facts": dict(entry.facts)}, separators=(",", ":")).encode() + b"\n"


def _read_line(line: bytes) -> AuditEntry | None:
    try:
        return AuditEntry(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
