"""The calls behind a number: the journal's newest lines that fit what a page was asked for, a bounded stretch of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from aegis.core.money import Nanos
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.spending import value_of
from aegis.stores.times import from_us, to_ms

Q = read_queries("calls")
READ_MAX: Final = 20_000
"""Lines of the journal that one page looks through, the newest of its stretch: about 60 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLine:
    """One attempt as a list shows it. `gate` is empty for what was admitted."""

    call_id: str
    state: str
    service: str
    model: str
    at: datetime
    took_ms: int
    cost: Nanos
    gate: str
    names: Mapping[str, str]
    """What the call said about itself: key, team, purpose, incident, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsWanted:
    """Which calls: from `since` and before `until`; `names` are names of a scope (service, model, key, ...) with the value
    that each must have; `states` are ends (empty: all).
    """

    since: datetime
    until: datetime
    names: Mapping[str, str] = field(default_factory=dict)
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsFound:
    """The lines, newest first, and whether the stretch had more lines than were looked through or are shown."""

    lines: tuple[CallLine, ...]
    more: bool


async def calls(database: Database, wanted: CallsWanted, limit: int) -> CallsFound:
    """The newest calls that are wanted. Raises `StoreError`."""
    values = {
        "since_ms": to_ms(wanted.since),
        "until_ms": to_ms(wanted.until),
        "service": wanted.names.get("service", ""),
        "most": READ_MAX,
    }
    others = {name: value for name, value in wanted.names.items() if name != "service"}

    def work(connection: sqlite3.Connection) -> CallsFound:
        lines: list[CallLine] = []
        read = 0
        for row in connection.execute(Q["stretch"], values):
            read += 1
            if wanted.states and row[1] not in wanted.states:
                continue
            asked = orjson.loads(row[7])
            if all(value_of(name, row[2], row[3], asked) == value for name, value in others.items()):
                if len(lines) == limit:
                    return CallsFound(lines=tuple(lines), more=True)
                lines.append(_line(row, asked))
        return CallsFound(lines=tuple(lines), more=read == READ_MAX)

    return await database.read(work)


async def calls_of_incident(database: Database, incident_id: str, since: datetime, limit: int) -> Sequence[CallLine]:
    """The calls that were made for an incident, which cannot be older than itself, newest first. Raises `StoreError`."""
    values = {
        "since_ms": to_ms(since),
        "said": f'%"incident":"{incident_id}"%',
        "most": READ_MAX,
        "limit": limit,
    }

    def work(connection: sqlite3.Connection) -> list[CallLine]:
        rows = connection.execute(Q["of_incident"], values).fetchall()
        return [_line(row, orjson.loads(row[7])) for row in reversed(rows)]

    return await database.read(work)


def _line(row: Sequence[Any], asked: Mapping[str, Any]) -> CallLine:
    attempt, state, service, model, at_ms, ended_ms, cost, _ = row
    names = {str(name): str(value) for name, value in asked.get("scope", {}).items()}
    return CallLine(
        call_id=attempt.rpartition("/")[0],
        state=state,
        service=service,
        model=model,
        at=from_us(at_ms * 1_000),
        took_ms=max(0, ended_ms - at_ms),
        cost=cost,
        gate=asked.get("gate", ""),
        names=names,
    )
