"""What incident reports are written from beside the incident: the journal around it, its stops, what people wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from aegis.core.stops import Stop
from aegis.stores.places import Transactions
from aegis.stores.queries import read_queries
from aegis.stores.records import storable
from aegis.stores.spending import value_of
from aegis.stores.stops import covers, stop_of
from aegis.stores.times import to_us

Q = read_queries("reports")
ATTEMPTS_MAX: Final = 100_000
"""Attempts of one report, the newest: about half a second."""
STOPS_MAX: Final = 10_000
SECTION_CHARS_MAX: Final = 100_000
WHO_CHARS_MAX: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One attempt of the journal: what it was for (`values` by name), and the gate that refused it (empty: none)."""

    attempt: str
    state: str
    service: str
    model: str
    at_ms: int
    took_ms: int
    cost: int
    incident: str
    values: Mapping[str, str]
    gate: str


class SqliteReports:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def ended(
        self, scope: Mapping[str, str], *, since_ms: int, until_ms: int, names: Sequence[str]
    ) -> tuple[Sequence[Ended], bool]:
        """The attempts of a scope in a span, oldest first, with the values of these names; whether older ones were left out."""
        asked = {"since_ms": since_ms, "until_ms": until_ms, "limit": ATTEMPTS_MAX}

        def work(connection: sqlite3.Connection) -> tuple[list[Ended], int]:
            found, read = [], 0
            for row in connection.execute(Q["ended_between"], asked):
                read += 1
                if covers(scope, row[2], row[3], row[7]):
                    found.append(_ended(row, names))
            return found, read

        found, read = await self._database.read(work)
        return found[::-1], read == ATTEMPTS_MAX

    async def stops_of(self, incident_id: str, *, since_ms: int) -> Sequence[Stop]:
        """The stops that were applied for an incident, or that it is the record of, oldest first."""
        asked = {"since_ms": since_ms, "limit": STOPS_MAX}

        def work(connection: sqlite3.Connection) -> list[Stop]:
            stops = (stop_of(row[0]) for row in connection.execute(Q["stops_about"], asked) if incident_id in row[0])
            return [stop for stop in stops if stop.incident == incident_id]

        return await self._database.read(work)

    async def sections(self, incident_id: str) -> Mapping[str, str]:
        """What people wrote, by the names of the sections."""
        asked = {"incident_id": incident_id}
        return dict(await self._database.read(lambda connection: connection.execute(Q["sections"], asked).fetchall()))

    async def write(self, incident_id: str, section: str, text: str, *, by: str, now: datetime) -> None:
        """Keep what somebody wrote into a section."""
        row = {
            "incident_id": incident_id,
            "section": section,
            "text": storable(text, SECTION_CHARS_MAX),
            "written_by": storable(by, WHO_CHARS_MAX),
            "at_us": to_us(now),
        }
        await self._database.write(lambda connection: connection.execute(Q["write"], row).rowcount)


def _ended(row: Sequence[Any], names: Sequence[str]) -> Ended:
    attempt, state, service, model, at_ms, ended_ms, cost, body = row
    asked = orjson.loads(body)
    return Ended(
        attempt=attempt,
        state=state,
        service=service,
        model=model,
        at_ms=at_ms,
        took_ms=max(0, ended_ms - at_ms),
        cost=cost,
        incident=str(asked.get("scope", {}).get("incident", "")),
        values={name: value_of(name, service, model, asked) or "" for name in names},
        gate=str(asked.get("gate", "")),
    )
