"""Databases under the histories: each is opened empty, and shows its records as they lie in its tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, TypeVar

from tests.governor.invariants import Broken
from tests.stores.postgres import emptied

from aegis.stores.ledger import SqliteLedger
from aegis.stores.postgres import PostgresConnection

T = TypeVar("T")
Fetch = Callable[[str], Sequence[Mapping[str, Any]]]
TABLES = ("holders", "rows", "leases", "slots", "sent", "shrunk", "journal", "crossings")
READ = tuple(f"SELECT * FROM ledger_{table}" for table in TABLES)


def books_of(fetch: Fetch) -> SimpleNamespace:
    """The tables of the ledger as `invariants.Books`."""
    rolling: dict[int, dict[int, int]] = {}
    for slot in fetch("SELECT * FROM ledger_slots"):
        rolling.setdefault(slot["row_id"], {})[slot["slot_ms"]] = slot["units"]
    return SimpleNamespace(
        holders={r["holder"]: (r["epoch"], r["expires_ms"]) for r in fetch("SELECT * FROM ledger_holders")},
        rows={r["id"]: _row(r) for r in fetch("SELECT * FROM ledger_rows")},
        lent={(r["holder"], r["row_id"]): r["units"] for r in fetch("SELECT * FROM ledger_leases")},
        journal=_sent(fetch) | {r["attempt"]: (r["holder"], _entry(r)) for r in fetch("SELECT * FROM ledger_journal")},
        rolling=rolling,
    )


def _row(record: Mapping[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(**record, key=record["line"], limit=record["lim"])


def _entry(record: Mapping[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(state=record["state"], cost=record["cost"], holds=json.loads(record["holds"]))


def _sent(fetch: Fetch) -> dict[str, tuple[str, SimpleNamespace]]:
    """What was written down together before it was sent; an end in the journal counts before it."""
    shrunk = {r["attempt"]: json.loads(r["holds"]) for r in fetch("SELECT * FROM ledger_shrunk")}
    return {
        attempt: (r["holder"], SimpleNamespace(state=state, cost=0, holds=shrunk.get(attempt, rest[6])))
        for r in fetch("SELECT * FROM ledger_sent")
        for attempt, state, *rest in json.loads(r["entries"])
    }


def crossings_of(fetch: Fetch, package: str) -> list[Any]:
    """Every crossing on record."""
    crossing = import_module(f"{package}.core.ledger").Crossing
    return [
        crossing(
            window=r["window_key"], limit=r["lim"], **{k: r[k] for k in ("budget", "part", "level", "spent", "at_ms")}
        )
        for r in fetch("SELECT * FROM ledger_crossings")
    ]


def _named(found: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in found.description]
    return [dict(zip(names, record, strict=True)) for record in found]


class Direct:
    """What a ledger asks of a `Database`, on the caller's thread: one transaction per work, nothing waits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self.connection)
        except sqlite3.IntegrityError as error:
            self.connection.execute("ROLLBACK")
            raise Broken(f"I1 the tables refuse it: {error}") from error
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return work(self.connection)


class Postgres:
    """The ledger over PostgreSQL, through the driver that programs use; emptied before each history."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def open(self, clock: Any) -> Any:
        self._database = await emptied(self._address)
        return SqliteLedger(self._database, clock)

    async def _look(self) -> Fetch:
        """Everything that is on record, in one answer: the way to the server costs more than the tables."""
        tables = [f"(SELECT COALESCE(json_agg(t), '[]') FROM ledger_{table} t)" for table in TABLES]

        def work(connection: PostgresConnection) -> dict[str, list[dict[str, Any]]]:
            found = connection.execute(f"SELECT {', '.join(tables)}").fetchone()
            return dict(zip(READ, found, strict=True))

        return (await self._database.read(work)).__getitem__

    async def books(self) -> Any:
        return books_of(await self._look())

    async def crossings(self) -> Any:
        return crossings_of(await self._look(), "aegis")

    async def close(self) -> None:
        await self._database.close()


class Sqlite:
    """The ledger over SQLite, in memory: the same statements and the same constraints as in a file."""

    empty = b""

    def __init__(self, package: str = "aegis") -> None:
        self._package = package

    async def open(self, clock: Any) -> Any:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        if not self.empty:
            schema = import_module(f"{self._package}.stores.schema")
            schema.migrate(connection, schema.shipped(), ":memory:")
            type(self).empty = connection.serialize()
        else:
            connection.deserialize(self.empty)
        connection.execute("PRAGMA foreign_keys = ON")
        self._connection = connection
        return import_module(f"{self._package}.stores.ledger").SqliteLedger(Direct(connection), clock)

    def _fetch(self, query: str) -> Sequence[Mapping[str, Any]]:
        return _named(self._connection.execute(query))

    async def books(self) -> Any:
        return books_of(self._fetch)

    async def crossings(self) -> Any:
        return crossings_of(self._fetch, self._package)

    async def close(self) -> None:
        self._connection.close()
