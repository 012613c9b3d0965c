"""What the ledger holds of a day, as bills are compared with it, and what came of the comparisons."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson

from aegis.core.adjusting import OUTSIDE
from aegis.core.bills import begins
from aegis.core.calls import Usage
from aegis.core.ledger import Entry
from aegis.core.money import Nanos
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.shelf import DAY_MS, EPOCH, entry_of
from aegis.stores.times import to_ms

Q = read_queries("reconciled")
UNKNOWN_MAX: Final = 10_000
"""Unknown charges of one service and day that are settled at once: a provider that lost so many answers lost more; the next
run takes the rest."""
BODIES_MAX: Final = 200_000
"""Calls of one service and day whose usage is added up to tell why figures differ: above it nobody is told why."""
KEPT_DAYS: Final = 400
"""A year and a month of comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the ledger's own totals say of one service and day; see `finance.reconciling.LedgerDay`."""

    cost: Nanos = 0
    worst: Nanos = 0
    outside: Nanos = 0
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A comparison on record. `changed_at` is when the provider's figure was seen to change last; `row` is what is shown."""

    service: str
    day: date
    provider: str
    billed: int
    asked_at: datetime
    changed_at: datetime
    incident: str
    row: Mapping[str, Any]


class Reconciled:
    """Reads the ledger's days and keeps comparisons. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def held(self, first: date, last: date) -> Mapping[tuple[str, date], Held]:
        """What each service came to on each day that has anything on record."""
        asked = {"first": first.isoformat(), "last": last.isoformat()}
        rows = await self._database.read(lambda c: c.execute(Q["totals"], asked).fetchall())
        sums: dict[tuple[str, date], Counter[str]] = {}
        for day, service, model, state, calls, cost in rows:
            one = sums.setdefault((service, date.fromisoformat(day)), Counter())
            one["cost"] += cost
            one["worst"] += cost if state == "worst" else 0
            one["outside"] += cost if model == OUTSIDE else 0
            one["calls"] += calls if state in ("settled", "worst") and model != OUTSIDE else 0
        return {key: Held(**one) for key, one in sums.items()}

    async def usage(self, service: str, day: date) -> tuple[Usage, Usage]:
        """What passed Aegis and what was booked as outside, by meter; nothing for a day with too many calls."""
        asked = {**_span(day), "service": service, "most": BODIES_MAX}

        def work(connection: sqlite3.Connection) -> tuple[Usage, Usage]:
            inside: Counter[str] = Counter()
            outside: Counter[str] = Counter()
            seen = 0
            for model, body in connection.execute(Q["bodies"], asked):
                (outside if model == OUTSIDE else inside).update(orjson.loads(body).get("usage", {}))
                seen += 1
            return ({}, outside) if seen >= BODIES_MAX else (inside, outside)

        return await self._database.read(work)

    async def unknown(self, service: str, day: date) -> Sequence[Entry]:
        """Attempts of that day that are counted at their worst case."""
        asked = {**_span(day), "service": service, "most": UNKNOWN_MAX}
        return await self._database.read(lambda c: [entry_of(row) for row in c.execute(Q["unknown"], asked)])

    async def kept(self, first: date, last: date) -> Sequence[Kept]:
        """The comparisons on record, the newest day first."""
        asked = {"first": first.isoformat(), "last": last.isoformat()}
        rows = await self._database.read(lambda c: c.execute(Q["kept"], asked).fetchall())
        return [_kept(row) for row in rows]

    async def keep(self, found: Sequence[Kept]) -> None:
        """Put comparisons in the place of those before; forget what is too old."""
        rows = [
            {
                "service": one.service,
                "day": one.day.isoformat(),
                "provider": one.provider,
                "billed": one.billed,
                "asked_ms": to_ms(one.asked_at),
                "changed_ms": to_ms(one.changed_at),
                "incident": one.incident,
                "body": orjson.dumps(dict(one.row)).decode(),
            }
            for one in found
        ]
        if not rows:
            return
        before = (max(one.day for one in found) - timedelta(days=KEPT_DAYS)).isoformat()

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(Q["keep"], rows)
            connection.execute(Q["forget"], {"before": before})

        await self._database.write(work)


def _kept(row: tuple[Any, ...]) -> Kept:
    service, day, provider, billed, asked_ms, changed_ms, incident, body = row
    return Kept(
        service=service,
        day=date.fromisoformat(day),
        provider=provider,
        billed=int(billed),
        asked_at=EPOCH + timedelta(milliseconds=asked_ms),
        changed_at=EPOCH + timedelta(milliseconds=changed_ms),
        incident=incident,
        row=orjson.loads(body),
    )


def _span(day: date) -> dict[str, int]:
    from_ms = to_ms(begins(day))
    return {"from_ms": from_ms, "until_ms": from_ms + DAY_MS}
