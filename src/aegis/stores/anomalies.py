"""Keeps the episodes of anomalous spending, so that a restart tells nobody twice. One is open for one driver at most."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from aegis.core.anomalies import Alarm, Driver, Episode
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.times import to_ms

Q = read_queries("anomalies")


class SqliteAnomalies:
    """`finance.watching.Episodes` in the store. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, episode: Episode) -> bool:
        """Keep an episode; False when another one of its driver is open (another process was faster)."""

        def work(connection: sqlite3.Connection) -> bool:
            found = connection.execute(Q["open_about"], {"driver": episode.driver}).fetchone()
            if episode.closed_at is None and found is not None and found[0] != episode.id:
                return False
            connection.execute(Q["put"], _values(episode))
            return True

        return await self._database.write(work)

    async def open(self) -> Sequence[Episode]:
        """Those under way, oldest first."""
        rows = await self._database.read(lambda c: c.execute(Q["open"]).fetchall())
        return [_episode(row[0]) for row in rows]

    async def newest(self, limit: int) -> Sequence[Episode]:
        """The newest, newest first."""
        rows = await self._database.read(lambda c: c.execute(Q["newest"], {"limit": limit}).fetchall())
        return [_episode(row[0]) for row in rows]

    async def get(self, episode_id: str) -> Episode | None:
        row = await self._database.read(lambda c: c.execute(Q["one"], {"id": episode_id}).fetchone())
        return None if row is None else _episode(row[0])


def _values(episode: Episode) -> Mapping[str, object]:
    body = {**asdict(episode), "told": sorted(episode.told)}
    closed_ms = 0 if episode.closed_at is None else to_ms(episode.closed_at)
    return {
        "id": episode.id,
        "driver": episode.driver,
        "opened_ms": to_ms(episode.opened_at),
        "closed_ms": closed_ms,
        "body": orjson.dumps(body).decode(),
    }


def _episode(text: str) -> Episode:
    body: dict[str, Any] = orjson.loads(text)
    return Episode(
        **{
            **body,
            "alarms": tuple(_alarm(alarm) for alarm in body["alarms"]),
            "told": frozenset(body["told"]),
            "opened_at": datetime.fromisoformat(body["opened_at"]),
            "seen_at": datetime.fromisoformat(body["seen_at"]),
            "closed_at": datetime.fromisoformat(body["closed_at"]) if body["closed_at"] else None,
        }
    )


def _alarm(body: Mapping[str, Any]) -> Alarm:
    times = {name: datetime.fromisoformat(body[name]) for name in ("since", "until")}
    return Alarm(**{**body, **times, "drivers": tuple(Driver(**driver) for driver in body["drivers"])})
