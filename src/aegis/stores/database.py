"""The store's file: one writer thread with group commit, a few readers, the schema up to date.

Policy: `write` returns when the change is on disk (WAL, `synchronous=FULL`); works that arrive together share one
transaction and one flush; a full queue makes writers wait, never drop. See docs/decisions/0005-one-store.md.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aegis.core.errors import StoreError
from aegis.stores.faults import store_error
from aegis.stores.handles import MEMORY, open_reader, open_writer
from aegis.stores.readers import Readers
from aegis.stores.schema import Migration, migrate, refuse_strangers, shipped
from aegis.stores.writer import Ended, Waiting, Writer

T = TypeVar("T")

QUEUED_MAX = 8_192
"""Works that wait for the writer: half a second of full speed. More callers than that wait before the queue."""
READS_MAX = 256
"""Readings that wait or run; more callers wait before the queue."""
CHECKED_BYTES_MAX = 32 * 1024 * 1024
"""Files up to this size are checked page by page when they are opened (about 0.1 s); `check` does it for any."""


class Database:
    """One open store, used from the event loop that opened it. `":memory:"` is a store that ends with it."""

    def __init__(self, path: str) -> None:
        """For `open` only."""
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._readers = None if path == MEMORY else Readers(path, partial(open_reader, path))
        self._writer = Writer(
            path,
            connect=partial(open_writer, path),
            quiet_readers=self._readers.quiet if self._readers else nullcontext,
            deliver=self._deliver,
            loop=self._loop,
        )
        self._places = asyncio.Semaphore(QUEUED_MAX)
        self._readings = asyncio.Semaphore(READS_MAX)
        self._waiting: list[Waiting] = []
        self._closed = False
        self.under_way = 0
        """Writes and reads that have not answered yet."""

    @classmethod
    async def open(cls, path: str | Path, *, migrations: Sequence[Migration] | None = None) -> Database:
        """Open or create a store and bring its schema up to date.

        Raises `StoreError` when the file is damaged, not an Aegis store, written by a newer Aegis, or not writable.
        """
        database = cls(str(path))
        prepare = partial(_prepared, database.path, shipped() if migrations is None else migrations)
        connection = await database._loop.run_in_executor(None, prepare)
        database._writer.start(connection)
        return database

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` inside a transaction and return its result once it is durable.

        `work` runs on the writer's thread; it must not begin, commit or roll back. What it raises is raised here and
        its changes are undone, alone. Raises `StoreError` when the store could not take it. Cancelling the caller
        does not undo the work.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        await self._places.acquire()
        if self._closed:
            self._places.release()
            raise StoreError(f"The store {self.path} is closed")
        if not self._waiting:
            # Handed over at the end of this turn of the loop: all who write in it share a transaction.
            self._loop.call_soon(self._hand_over)
        self._waiting.append(Waiting(work, future))
        self.under_way += 1
        try:
            return await future
        finally:
            self.under_way -= 1

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a connection that cannot change anything, and return its result.

        It sees one snapshot, with every write that has returned. Raises `StoreError`, else what `work` raises.
        """
        if self._closed:
            raise StoreError(f"The store {self.path} is closed")
        if self._readers is None:
            return await self.write(partial(_read_only, work))
        self.under_way += 1
        try:
            async with self._readings:
                return await self._readers.run(work)
        finally:
            self.under_way -= 1

    async def check(self) -> Sequence[str]:
        """What an integrity check of the whole file finds; empty when all is well."""
        return await self.read(_damage)

    async def close(self) -> None:
        """Write what waits, then close. Later calls raise `StoreError`; closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._hand_over()
        # Readers first: the last handle to close folds the log into the main file, and it has to be the writer's.
        if self._readers is not None:
            await self._loop.run_in_executor(None, self._readers.close)
        await self._loop.run_in_executor(None, self._writer.stop)

    def _hand_over(self) -> None:
        works, self._waiting = self._waiting, []
        self._writer.hand_over(works)

    def _deliver(self, ended: Sequence[Ended]) -> None:
        """Answer a whole batch in one turn of the loop."""
        for end in ended:
            self._places.release()
            _answer(end.future, end)


def _answer(future: asyncio.Future[Any], end: Ended) -> None:
    if future.done():  # its waiter was cancelled
        return
    if end.error is None:
        future.set_result(end.result)
    else:
        future.set_exception(end.error)


def _prepared(path: str, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """A writing connection to a sound store of the newest schema. Blocks."""
    try:
        _refuse_strangers(path)
        connection = open_writer(path)
    except sqlite3.Error as error:
        raise store_error(error, path) from error
    try:
        _refuse_damage(connection, path)
        migrate(connection, migrations, path)
    except sqlite3.Error as error:
        connection.close()
        raise store_error(error, path) from error
    except StoreError:
        connection.close()
        raise
    return connection


def _refuse_strangers(path: str) -> None:
    """Before the first setting of ours, which would stay in the file. What else is wrong with it, opening it says."""
    if path == MEMORY or not Path(path).exists():
        return
    with suppress(sqlite3.Error), closing(open_reader(path)) as connection:
        refuse_strangers(connection, path)


def _refuse_damage(connection: sqlite3.Connection, path: str) -> None:
    small = path == MEMORY or Path(path).stat().st_size <= CHECKED_BYTES_MAX
    if small and (damage := _damage(connection)):
        raise StoreError(f"The store {path} is damaged ({damage[0]}): restore the newest backup")


def _damage(connection: sqlite3.Connection) -> Sequence[str]:
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    return [] if found == ["ok"] else found


def _read_only(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """A reading of a store in memory, which has the writer's connection only."""
    connection.execute("PRAGMA query_only = ON")
    try:
        return work(connection)
    finally:
        connection.execute("PRAGMA query_only = OFF")
