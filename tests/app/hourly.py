"""Puts calls into a store's journal at any time of the past, as the ledger would have."""

import math
import random
import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta

import orjson

from aegis.core.money import USD, Nanos
from aegis.stores.database import Database

HOUR = timedelta(hours=1)
INSERT = (
    "INSERT INTO ledger_journal (attempt, holder, epoch, state, service, model, at_ms, ended_ms, worst, cost, holds, body)"
    " VALUES (?, 'h', 1, 'settled', 'anthropic', ?, ?, ?, ?, ?, '[]', ?)"
)
TOTAL = (
    "INSERT INTO ledger_totals (day, service, model, state, calls, cost) VALUES (?, 'anthropic', ?, 'settled', 1, ?)"
    " ON CONFLICT (day, service, model, state) DO UPDATE SET calls = calls + 1, cost = cost + excluded.cost"
)
Call = tuple[datetime, str, Nanos]
"""When, with which key, at what cost."""


async def journal(database: Database, calls: Iterable[Call], *, model: str = "m") -> None:
    """One settled call for each."""
    rows = list(calls)

    def work(connection: sqlite3.Connection) -> None:
        before = connection.execute("SELECT COUNT(*) FROM ledger_journal").fetchone()[0]
        for number, (at, key, cost) in enumerate(rows, start=before):
            ms = round(at.timestamp() * 1_000)
            body = orjson.dumps({"operation": "messages", "scope": {"key": key}, "priority": "HIGH"}).decode()
            connection.execute(INSERT, (f"call-{number}/1", model, ms, ms, cost, cost, body))
            connection.execute(TOTAL, (at.date().isoformat(), model, cost))

    await database.write(work)


def usual_weeks(now: datetime, *, weeks: int = 5, seed: int = 7) -> list[Call]:
    """Two keys that spend about two dollars an hour each, with noise, up to two hours ago."""
    rng = random.Random(seed)
    hours = range(2, weeks * 168)
    return [
        (now - back * HOUR, key, round(2 * USD * math.exp(rng.gauss(0, 0.2))))
        for back in hours
        for key in ("red", "blue")
    ]
