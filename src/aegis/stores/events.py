"""Durable intake: events by id, stored before anybody is told that they were taken."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aegis.core.incidents import Event
from aegis.core.ports import Clock
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.records import event_from_text, event_to_text
from aegis.stores.times import to_us


class SqliteEvents:
    """The port `Events`. `clock` dates the arrival: retention goes by it, not by the time that an event claims."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._queries = read_queries("events")

    async def accept(self, events: Sequence[Event]) -> int:
        """Store events by id and return how many were new; durable when this returns. Raises `StoreError`: then none
        of them is known to be stored, and the same events can be given again.
        """
        taken_us = to_us(self._clock.now())
        rows = [
            {"id": event.id, "at_us": to_us(event.at), "taken_us": taken_us, "body": event_to_text(event)}
            for event in events
        ]
        return await self._database.write(lambda connection: self._add(connection, rows)) if rows else 0

    def _add(self, connection: sqlite3.Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        last = connection.execute(self._queries["last_seq"]).fetchone()[0]
        numbered = ({"seq": seq, **row} for seq, row in enumerate(rows, start=last + 1))
        return connection.executemany(self._queries["add"], numbered).rowcount

    async def pending(self, limit: int) -> Sequence[Event]:
        """The oldest events not yet worked, in order of arrival. Raises `StoreError`."""
        return await self._events("pending", {"limit": limit})

    async def worked_since(self, at: datetime, limit: int) -> Sequence[Event]:
        """Events already worked whose time is at or after `at`, in order of their time; the newest `limit` where there
        are more. Raises `StoreError`.
        """
        return (await self._events("worked_since", {"at_us": to_us(at), "limit": limit}))[::-1]

    async def waiting(self) -> int:
        """How many events nobody worked yet."""
        query = self._queries["waiting"]
        return await self._database.read(lambda connection: int(connection.execute(query).fetchone()[0]))

    async def _events(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Event]:
        query = self._queries[name]
        return await self._database.read(
            lambda connection: [event_from_text(row[0]) for row in connection.execute(query, parameters)]
        )
