"""The response cache of record: answers by key, bounded in number, the least recently used go first."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Final

from aegis.stores.places import Transactions
from aegis.stores.queries import read_queries
from aegis.stores.times import to_ms

Q = read_queries("ledger_answers")
ANSWERS_MAX: Final = 10_000
"""Answers kept on disk; one is a few kilobytes, so some tens of megabytes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteAnswers:
    """`core.ports.Answers` in the store. Raises `StoreError`."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def get(self, key: str, now: datetime) -> bytes | None:
        def work(connection: sqlite3.Connection) -> bytes | None:
            found = connection.execute(Q["get"], {"key": key, "now_ms": to_ms(now)}).fetchone()
            # SQLite keeps any type in any column: a text was put there by somebody else.
            return None if found is None or isinstance(found[0], str) else bytes(found[0])

        return await self._database.read(work)

    async def put(self, key: str, answer: bytes, *, expires_at: datetime, now: datetime) -> None:
        values = {"key": key, "answer": answer, "expires_ms": to_ms(expires_at), "now_ms": to_ms(now)}

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(Q["put"], values)
            connection.execute(Q["expire"], {"now_ms": values["now_ms"]})
            connection.execute(Q["trim"], {"keep": ANSWERS_MAX})

        await self._database.write(work)

    async def clear(self) -> int:
        return await self._database.write(lambda connection: connection.execute(Q["clear"]).rowcount)


class MemoryAnswers:
    """`core.ports.Answers` without a file."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, datetime]] = {}

    async def get(self, key: str, now: datetime) -> bytes | None:
        answer, expires_at = self._kept.get(key, (b"", now))
        return answer if expires_at > now else None

    async def put(self, key: str, answer: bytes, *, expires_at: datetime, now: datetime) -> None:
        self._kept = {k: kept for k, kept in self._kept.items() if kept[1] > now} | {key: (answer, expires_at)}

    async def clear(self) -> int:
        count = len(self._kept)
        self._kept.clear()
        return count
