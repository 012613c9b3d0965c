"""Reads the ledger's journal for people: spending by any name that a call's scope has, and the newest attempts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from aegis.core.money import Nanos
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.shelf import entries_of
from aegis.stores.times import to_ms

Q = read_queries("spending")
GROUPS_MAX: Final = 100_000
"""Different combinations in one answer; what comes after them is counted as `(others)`."""
NOT_SAID: Final = "(none)"
OTHERS: Final = "(others)"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class SpentOn:
    """What the calls of one combination of values came to."""

    values: tuple[str, ...]
    calls: int = 0
    cached: int = 0
    refused: int = 0
    cost: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One line of the journal, as a list shows it. `gate` is empty for what was admitted."""

    call_id: str
    state: str
    service: str
    model: str
    at: datetime
    cost: Nanos
    gate: str


async def spent_on(database: Database, names: Sequence[str], since: datetime | None = None) -> Sequence[SpentOn]:
    """Spending by these names (service, model, or a name of the scope such as key or incident), the dearest first. The
    whole journal since then is read: about a second for a million attempts. Raises `StoreError`.
    """
    since_ms = 0 if since is None else to_ms(since)

    def work(connection: sqlite3.Connection) -> list[SpentOn]:
        groups: dict[tuple[str, ...], SpentOn] = {}
        for service, model, state, cost, body in connection.execute(Q["since"], {"since_ms": since_ms}):
            asked = orjson.loads(body)
            values = tuple([value_of(name, service, model, asked) or NOT_SAID for name in names])
            if values not in groups and len(groups) >= GROUPS_MAX:
                values = (OTHERS,) * len(names)
            group = groups.setdefault(values, SpentOn(values=values))
            group.refused += state == "refused"
            group.cached += state == "cached"
            group.calls += state not in ("refused", "cached")
            group.cost += cost
        return sorted(groups.values(), key=lambda group: (-group.cost, group.values))

    return await database.read(work)


async def newest(database: Database, limit: int) -> Sequence[Attempt]:
    """The newest attempts, newest first. Raises `StoreError`."""

    def work(connection: sqlite3.Connection) -> list[Attempt]:
        ended = [_attempt(row) for row in connection.execute(Q["newest"], {"limit": limit})]
        found = [*_under_way(connection), *ended]
        return sorted(found, key=lambda attempt: attempt.at, reverse=True)[:limit]

    return await database.read(work)


async def under_way(database: Database, name: str, value: str) -> int:
    """How many calls were sent, with this value under a name of their scope, and are not in the journal yet: it hears of
    an end a moment later. Raises `StoreError`.
    """

    def work(connection: sqlite3.Connection) -> int:
        return sum(
            orjson.loads(e.body).get("scope", {}).get(name) == value
            for row in connection.execute(Q["under_way"])
            for e in entries_of(row[0])
            if connection.execute(Q["has_ended"], {"attempt": e.attempt}).fetchone() is None
        )

    return await database.read(work)


async def answers_kept(database: Database, now: datetime) -> tuple[int, int, datetime | None]:
    """How many cached answers hold, their bytes, and when the last of them expires. Raises `StoreError`."""
    row = await database.read(lambda c: c.execute(Q["answers"], {"now_ms": to_ms(now)}).fetchone())
    return int(row[0]), int(row[1]), _at(row[2]) if row[2] else None


def value_of(name: str, service: str, model: str, asked: dict[str, Any]) -> str:
    """What an attempt says about one name, empty for nothing: the same rule as for a budget's scope."""
    said = asked.get("scope", {}).get(name)
    if said is None:
        plain = {"service": service, "provider": service, "model": model, "operation": asked.get("operation")}
        said = asked.get("priority") if name == "severity" else plain.get(name)
    return str(said) if said else ""


def _attempt(row: tuple[Any, ...]) -> Attempt:
    return Attempt(
        call_id=row[0].rpartition("/")[0],
        state=row[1],
        service=row[2],
        model=row[3],
        at=_at(row[4]),
        cost=row[5],
        gate=orjson.loads(row[6]).get("gate", ""),
    )


def _under_way(connection: sqlite3.Connection) -> Iterator[Attempt]:
    """Attempts that were sent and have not ended."""
    for row in connection.execute(Q["under_way"]):
        for e in entries_of(row[0]):
            if connection.execute(Q["has_ended"], {"attempt": e.attempt}).fetchone() is None:
                yield _attempt((e.attempt, e.state, e.service, e.model, e.at_ms, e.cost, e.body))


def _at(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
