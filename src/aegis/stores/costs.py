"""Reads what a span of days came to: the ledger's daily totals, and one pass over its journal for everything else."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import orjson

from aegis.core.costs import Counted, IncidentCount, Recorded, Route, Served
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.shelf import EPOCH
from aegis.stores.spending import NOT_SAID, OTHERS, value_of
from aegis.stores.times import to_us

Q = read_queries("costs")
VALUES_MAX: Final = 10_000
"""Different values of one name; what comes after them is counted as `(others)`."""
_FREE: Final = ("refused", "cached")


@dataclass(slots=True)
class _Tally:
    """A `Counted` while it is being added up."""

    calls: int = 0
    cached: int = 0
    refused: int = 0
    cost: int = 0

    def add(self, state: str, cost: int, calls: int = 1) -> None:
        self.refused += calls * (state == "refused")
        self.cached += calls * (state == "cached")
        self.calls += calls * (state not in _FREE)
        self.cost += cost

    def counted(self) -> Counted:
        return Counted(calls=self.calls, cached=self.cached, refused=self.refused, cost=self.cost)


@dataclass(slots=True)
class _Sums:
    """Everything that one pass over the journal adds up."""

    names: Sequence[str]
    routes: dict[Route, _Tally] = field(default_factory=dict)
    gates: Counter[tuple[str, Route]] = field(default_factory=Counter)
    by: dict[str, dict[str, _Tally]] = field(default_factory=dict)
    served: dict[tuple[date, str, str, str], tuple[_Tally, Counter[str]]] = field(default_factory=dict)
    analyses: _Tally = field(default_factory=_Tally)

    def add(self, row: tuple[Any, ...]) -> None:
        at_ms, service, model, state, cost, body = row
        asked = orjson.loads(body)
        route = (service, model, str(asked.get("operation", "")))
        self.routes.setdefault(route, _Tally()).add(state, cost)
        if state == "refused":
            self.gates[str(asked.get("gate", "")), route] += 1
        for name in self.names:
            values = self.by.setdefault(name, {})
            value = value_of(name, service, model, asked) or NOT_SAID
            if value not in values and len(values) >= VALUES_MAX:
                value = OTHERS
            values.setdefault(value, _Tally()).add(state, cost)
        if model and asked.get("scope", {}).get("purpose") == "incident":
            self.analyses.add(state, cost)
        wanted = asked.get("wanted")
        if wanted and not asked.get("tier") and state not in _FREE:
            day = (EPOCH + timedelta(milliseconds=at_ms)).date()
            tally, usage = self.served.setdefault((day, service, wanted, model), (_Tally(), Counter()))
            tally.add(state, cost)
            usage.update(asked.get("usage", {}))


async def recorded(database: Database, first: date, last: date, names: Sequence[str]) -> Recorded:
    """What the days from `first` to `last` (UTC, both included) came to, also by these names (what `aegis spend --by`
    takes). The journal of the span is read whole: about two seconds for a million attempts. Raises `StoreError`.
    """
    start, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))

    def work(connection: sqlite3.Connection) -> Recorded:
        days = _days(connection.execute(Q["days"], {"first": first.isoformat(), "last": last.isoformat()}))
        span_ms = {"from_ms": to_us(start) // 1_000, "until_ms": to_us(end) // 1_000}
        sums = _Sums(names)
        for row in connection.execute(Q["attempts"], span_ms):
            sums.add(row)
        bodies = connection.execute(Q["incidents"], {"from_us": to_us(start), "until_us": to_us(end)})
        return Recorded(
            days=days,
            routes={route: tally.counted() for route, tally in sums.routes.items()},
            gates=dict(sums.gates),
            by={name: {value: tally.counted() for value, tally in sums.by.get(name, {}).items()} for name in names},
            served=tuple(_served(sums)),
            analyses=sums.analyses.counted(),
            incidents=_incidents(body for (body,) in bodies),
            emergencies=int(connection.execute(Q["emergencies"], span_ms).fetchone()[0]),
        )

    return await database.read(work)


def _days(rows: Iterable[tuple[Any, ...]]) -> dict[date, dict[str, Counted]]:
    days: dict[date, dict[str, _Tally]] = {}
    for day, service, state, calls, cost in rows:
        of_day = days.setdefault(date.fromisoformat(day), {})
        of_day.setdefault(service, _Tally()).add(state, cost, calls)
    return {day: {service: tally.counted() for service, tally in found.items()} for day, found in days.items()}


def _served(sums: _Sums) -> Iterable[Served]:
    for (day, service, wanted, model), (tally, usage) in sums.served.items():
        yield Served(
            day=day, service=service, wanted=wanted, model=model, calls=tally.calls, usage=dict(usage), cost=tally.cost
        )


def _incidents(bodies: Iterable[str]) -> IncidentCount:
    by_severity: Counter[str] = Counter()
    detections: Counter[str] = Counter()
    for body in bodies:
        incident = orjson.loads(body)
        name = incident["severity"]
        by_severity[name] += 1
        detections[name] += incident.get("count", 1)
    return IncidentCount(by_severity=dict(by_severity), detections=dict(detections))
