"""What a stretch of hours came to by service, model, key, team, severity and purpose: one look for a whole page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aegis.core.money import Nanos
from aegis.stores.calls import Q
from aegis.stores.database import Database
from aegis.stores.times import to_ms

NAMES: Final = ("service", "model", "key", "team", "severity", "purpose")


@dataclass(frozen=True, slots=True)
class Sum:
    """Calls made and their cost."""

    calls: int = 0
    cost: Nanos = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.calls + other.calls, self.cost + other.cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A stretch of hours, added up: in all, and by each name (`NAMES`) and its values (empty: not said)."""

    total: Sum
    by: Mapping[str, Mapping[str, Sum]]


async def sums(database: Database, since: datetime, until: datetime) -> Sums:
    """The hours from `since` and before `until`. Raises `StoreError`."""
    asked = {"since_ms": to_ms(since), "until_ms": to_ms(until)}
    rows = await database.read(lambda connection: connection.execute(Q["sums"], asked).fetchall())
    return summed(rows)


def summed(rows: Sequence[tuple[str, str, str, str, str, str, int, int]]) -> Sums:
    """Rows of the values of `NAMES`, calls and cost, added up by each of the names."""
    total, by = Sum(), {name: dict[str, Sum]() for name in NAMES}
    for *values, calls, cost in rows:
        one = Sum(calls, cost)
        total += one
        for name, value in zip(NAMES, values, strict=True):
            by[name][str(value)] = by[name].get(str(value), Sum()) + one
    return Sums(total=total, by=by)
