"""Reads the ledger's journal, and incidents, in the order of time, a page at once: for exports and simulation."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

import orjson

from aegis.core.charges import EndedAttempt
from aegis.core.incidents import Incident
from aegis.core.money import Nanos
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.records import incident_from_text
from aegis.stores.shelf import EPOCH
from aegis.stores.times import to_ms, to_us

Q = read_queries("attempts")
PAGE: Final = 5_000
"""Attempts in memory at once: some megabytes."""
INCIDENTS: Final = 200
"""Incidents in memory at once: each may hold hundreds of detections."""


async def attempts(database: Database, since: datetime, until: datetime) -> AsyncIterator[Sequence[EndedAttempt]]:
    """Every attempt that began in the span and has ended, oldest first, in pages. Raises `StoreError`."""
    from_ms, until_ms, after = to_ms(since), to_ms(until), ""
    while True:
        asked = {"from_ms": from_ms, "until_ms": until_ms, "after": after, "limit": PAGE}
        rows = await database.read(partial(_page, asked=asked))
        if rows:
            yield [_attempt(row) for row in rows]
        if len(rows) < PAGE:
            return
        after, from_ms = rows[-1][0], rows[-1][1]


async def day_totals(database: Database, first: date, last: date) -> Mapping[tuple[date, str], Nanos]:
    """What each service came to on each day (UTC, both ends included), by the ledger's own totals. Raises `StoreError`."""
    asked = {"first": first.isoformat(), "last": last.isoformat()}
    rows = await database.read(lambda connection: connection.execute(Q["totals"], asked).fetchall())
    return {(date.fromisoformat(day), service): cost for day, service, cost in rows}


async def incidents(database: Database, since: datetime, until: datetime) -> AsyncIterator[Sequence[Incident]]:
    """Every incident that opened in the span, oldest first, in pages. Raises `StoreError`."""
    asked = {"from_us": to_us(since), "until_us": to_us(until), "after": "", "limit": INCIDENTS}
    while True:
        rows = await database.read(partial(_incidents, asked=dict(asked)))
        found = [incident_from_text(body) for body in rows]
        if found:
            yield found
            asked |= {"from_us": to_us(found[-1].opened_at), "after": found[-1].id}
        if len(rows) < INCIDENTS:
            return


def _incidents(connection: sqlite3.Connection, asked: dict[str, Any]) -> list[str]:
    return [body for (body,) in connection.execute(Q["incidents"], asked)]


def _page(connection: sqlite3.Connection, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    return connection.execute(Q["page"], asked).fetchall()


def _attempt(row: tuple[Any, ...]) -> EndedAttempt:
    attempt, at_ms, ended_ms, state, service, model, cost, worst, body = row
    said = orjson.loads(body)
    return EndedAttempt(
        attempt=attempt,
        at=EPOCH + timedelta(milliseconds=at_ms),
        ended_at=EPOCH + timedelta(milliseconds=ended_ms),
        state=state,
        service=service,
        model=model,
        operation=said.get("operation", ""),
        priority=said.get("priority", ""),
        cost=cost,
        worst=worst,
        scope=said.get("scope", {}),
        usage=said.get("usage", {}),
        wanted=said.get("wanted", ""),
        tier=said.get("tier", ""),
        gate=said.get("gate", ""),
        message=said.get("message", ""),
    )
