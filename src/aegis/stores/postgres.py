"""A store in PostgreSQL, for allowances that several machines share: what a ledger asks of a `Database`, over psycopg.

Policy: the named queries are SQLite's, word for word; only the marks of parameters differ. Every transaction that
writes waits for one advisory lock, so that the rules of `core.escrow` see the records one after the other, as behind
SQLite's one writer (docs/decisions/0006-postgresql.md). Needs the extra `postgres`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aegis.core.errors import ConfigError, StoreError
from aegis.core.ports import Clock
from aegis.stores.queries import statements
from aegis.stores.schema import Migration, refuse_what_differs, shipped

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
LOCK: Final = 0x41454749
"""The advisory lock of Aegis in a database ("AEGI"); whoever holds it writes."""
CONNECT_S: Final = 5
"""How long a server may take to answer before a person should know."""
LOCK_MS: Final = 5_000
"""How long to wait for the lock: a transaction takes milliseconds, so longer means that somebody hangs."""
QUERIES_KEPT: Final = 512
"""Queries in PostgreSQL's spelling: about a hundred are named, a few are repeated for many records."""

_TABLES: Final = "CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)"
_MARK: Final = re.compile(r"(?<![:\w]):([a-z_]+)|(\?)|(%)")


class PostgresConnection:
    """A psycopg connection with the face of SQLite's that the shelves use; transactions are begun by name."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def execute(self, query: str, values: Mapping[str, object] | Sequence[object] = (), /) -> Any:
        if not values:  # nothing in it is a mark of a parameter
            return self._connection.execute(query.encode())
        return self._connection.execute(_spelled(query).encode(), values)

    def executemany(self, query: str, values: Iterable[Mapping[str, object]], /) -> Any:
        cursor = self._connection.cursor()
        cursor.executemany(_spelled(query).encode(), list(values))
        return cursor

    @property
    def broken(self) -> bool:
        """Whether it has to be opened anew."""
        return self._connection.broken or self._connection.closed

    def close(self) -> None:
        self._connection.close()


class PostgresDatabase:
    """One open store, used from the event loop that opened it: one connection writes, one reads."""

    def __init__(self, url: str) -> None:
        """For `open` only."""
        self._url = url
        self.path = _place(url)
        self._loop = asyncio.get_running_loop()
        self._threads = {mode: ThreadPoolExecutor(1, f"aegis-postgres-{mode}") for mode in ("write", "read")}
        self._connections: dict[str, PostgresConnection] = {}
        self._server_clock: _ServerClock | None = None
        self._heard: datetime | None = None
        self._closed = False

    @classmethod
    async def open(cls, url: str, *, migrations: Sequence[Migration] | None = None) -> PostgresDatabase:
        """Connect and bring the schema up to date.

        Raises `ConfigError` without the extra `postgres`, `StoreError` when the server cannot be used or holds the
        schema of a newer Aegis.
        """
        try:
            import psycopg  # noqa: F401 - an extra: only who names such a store needs it
        except ImportError as error:
            raise ConfigError(
                "A store in PostgreSQL needs the extra `postgres`: pip install 'aegis[postgres]'"
            ) from error
        database = cls(url)
        try:
            await database.write(partial(_migrate, shipped() if migrations is None else migrations, database.path))
        except StoreError:
            await database.close()
            raise
        return database

    def clock(self, local: Clock) -> Clock:
        """The server's time, so that no machine opens a window before the others: asked with every write."""
        self._server_clock = clock = _ServerClock(local)
        if self._heard is not None:
            clock.set(self._heard)
        return clock

    async def write(self, work: Callable[[Any], T]) -> T:
        """Run `work` in a transaction of its own, alone, and return its result once it is durable. Raises `StoreError`
        when the store could not take it (then nobody may know whether it did), else what `work` raises.
        """
        return await self._run("write", work)

    async def read(self, work: Callable[[Any], T]) -> T:
        """Run `work` on one snapshot of the store, and return its result. Raises `StoreError`, else what it raises."""
        return await self._run("read", work)

    async def close(self) -> None:
        """Finish what is under way, then close. Later calls raise `StoreError`; closing twice is harmless."""
        self._closed = True
        for thread in self._threads.values():
            await self._loop.run_in_executor(None, thread.shutdown)
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    async def _run(self, mode: str, work: Callable[[Any], T]) -> T:
        if self._closed:
            raise StoreError(f"The store {self.path} is closed")
        return await self._loop.run_in_executor(self._threads[mode], self._transaction, mode, work)

    def _transaction(self, mode: str, work: Callable[[Any], T]) -> T:
        import psycopg

        try:
            connection = self._connection(mode)
            try:
                self._begin(connection, mode)
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise
        except psycopg.Error as error:
            if (broken := self._connections.get(mode)) is not None and broken.broken:
                del self._connections[mode]
            raise _store_error(error, self.path) from error
        return result

    def _begin(self, connection: PostgresConnection, mode: str) -> None:
        if mode == "read":
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        connection.execute("BEGIN")
        lock = "SELECT pg_advisory_xact_lock(:lock), clock_timestamp()"
        self._heard = heard = connection.execute(lock, {"lock": LOCK}).fetchone()[1]
        if self._server_clock is not None:
            self._server_clock.set(heard)

    def _connection(self, mode: str) -> PostgresConnection:
        import psycopg

        connection = self._connections.get(mode)
        if connection is None:
            settings = f"-c lock_timeout={LOCK_MS} -c synchronous_commit=on -c timezone=UTC"
            opened = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_S, options=settings)
            connection = self._connections[mode] = PostgresConnection(opened)
        return connection


class _ServerClock:
    """A clock that shows the server's time, as far as the last write heard of it."""

    def __init__(self, local: Clock) -> None:
        self._local, self._ahead = local, timedelta()

    def set(self, server: datetime) -> None:
        self._ahead = server - self._local.now()

    def now(self) -> datetime:
        return self._local.now() + self._ahead

    def monotonic_ns(self) -> int:
        return self._local.monotonic_ns()

    async def sleep_ms(self, milliseconds: int) -> None:
        await self._local.sleep_ms(milliseconds)


@lru_cache(maxsize=QUERIES_KEPT)
def _spelled(query: str) -> str:
    """A query with psycopg's marks of parameters."""
    return _MARK.sub(lambda m: f"%({m[1]})s" if m[1] else "%s" if m[2] else "%%", query)


def _migrate(migrations: Sequence[Migration], place: str, connection: PostgresConnection) -> None:
    """Bring a database to the newest schema, in the transaction that the writing connection has begun. Text is ordered
    byte by byte, as SQLite does: what begins with a call's id is found by comparing.
    """
    connection.execute(_TABLES)
    found = connection.execute("SELECT version, name, checksum FROM schema_versions")
    applied = {version: (name, checksum) for version, name, checksum in found}
    refuse_what_differs(applied, migrations, place)
    for migration in migrations:
        if migration.version not in applied:
            for statement in statements(migration.sql):
                connection.execute(re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', statement))
            row = (migration.version, migration.name, migration.checksum)
            connection.execute("INSERT INTO schema_versions VALUES (?, ?, ?)", row)


def _place(url: str) -> str:
    """The address without who connects: fit for errors and logs."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def _store_error(error: psycopg.Error, place: str) -> StoreError:
    """The error as the rest of Aegis may see it. The server's text may quote values, so only its code is shown."""
    name = type(error).__name__
    if error.sqlstate is None:
        return StoreError(f"The store {place}: the server cannot be reached; check that it runs ({name})")
    return StoreError(f"The store {place}: it could not take it ({name}, SQLSTATE {error.sqlstate})")
