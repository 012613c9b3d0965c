"""Stops of record: one row each, changed only by whoever has read its newest version; and who takes them further."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from aegis.core.errors import BadInput
from aegis.core.ramps import Measured, Ramp
from aegis.core.stops import Check, Grade, Plan, Stop, Target
from aegis.stores.places import Transactions
from aegis.stores.queries import read_queries
from aegis.stores.shelf import entries_of
from aegis.stores.spend_hours import COLUMNS, HOUR_MS

Q = read_queries("stops")
MEASURED_MAX: Final = 20_000
"""Attempts that one measurement reads, the newest: about 20 ms. More calls than that say no more about a rate."""
USUAL_DAYS: Final = 7
"""A week: every day of it once, so that a weekend neither makes nor breaks what is usual."""
USUAL_DAYS_MIN: Final = 3
"""Of fewer days there is no usual: then only the hour before the stop is known."""
KEPT_MS: Final = 400 * 86_400_000
"""Plans and stops that are over are kept for longer than a year: yearly reviews read them."""


class SqliteStops:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def add(self, stop: Stop) -> None:
        """Put a stop on record; what is very old goes."""
        row, before_ms = _row(stop), stop.plan.at_ms - KEPT_MS

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(Q["forget"], {"before_ms": before_ms})
            connection.execute(Q["add"], row)

        await self._database.write(work)

    async def save(self, stop: Stop) -> bool:
        """Keep a stop whose `version` is one further than what was read; False when somebody was faster."""
        row = _row(stop)
        del row["at_ms"]
        return await self._database.write(lambda connection: connection.execute(Q["save"], row).rowcount == 1)

    async def get(self, stop_id: str) -> Stop:
        """Raises `BadInput` when there is none such."""
        found = await self._found("get", {"id": stop_id})
        if not found:
            raise BadInput(f"there is no stop {stop_id[:64]}; `aegis stop` shows them", code="no_such_stop")
        return found[0]

    async def newest(self, limit: int) -> Sequence[Stop]:
        return await self._found("newest", {"limit": limit})

    async def standing(self) -> Sequence[Stop]:
        """Those that were applied and not given back, oldest first."""
        return await self._found("standing", {})

    async def lease(self, holder: str, *, now_ms: int, until_ms: int) -> bool:
        """Be the one who takes stops further until then; False while somebody else is."""
        values = {"holder": holder, "now_ms": now_ms, "until_ms": until_ms}
        return await self._database.write(lambda connection: connection.execute(Q["lease"], values).rowcount == 1)

    async def let_go(self, holder: str) -> None:
        """Somebody else may from now on."""
        await self._database.write(lambda connection: connection.execute(Q["let_go"], {"holder": holder}).rowcount)

    async def measured(self, scope: Mapping[str, str], *, since_ms: int) -> Measured:
        """What the calls of a scope did since a moment. What came to nothing known (worst case, void) has failed."""
        values = {"since_ms": since_ms, "limit": MEASURED_MAX}

        def work(connection: sqlite3.Connection) -> Measured:
            return _measure(
                row for row in connection.execute(Q["ended_since"], values) if covers(scope, row[1], row[2], row[6])
            )

        return await self._database.read(work)

    async def usual(self, scope: Mapping[str, str], *, at_ms: int, before_ms: int) -> int:
        """What a scope usually costs in an hour at this time of the day: the median of that hour and those beside it in the
        seven days before a moment, idle ones too. 0 where hours of fewer than `USUAL_DAYS_MIN` days are known.
        """
        if scope.keys() - COLUMNS.keys():
            return 0  # hours are not kept apart by it
        exact = {COLUMNS[name]: value for name, value in scope.items()}
        where = " AND ".join(["hour_ms >= :since_ms", *(f"{column} = :{column}" for column in exact)])
        query = f"SELECT hour_ms, SUM(cost) FROM spend_hours WHERE {where} GROUP BY hour_ms"  # noqa: S608 - our names
        hour, last = at_ms // HOUR_MS, before_ms // HOUR_MS - 1  # the hour that was stopped in is not usual
        asked = {**exact, "since_ms": (last - 24 * USUAL_DAYS - 1) * HOUR_MS}
        cost = dict(await self._database.read(lambda connection: connection.execute(query, asked).fetchall()))
        days = range((hour - last + 23) // 24, (hour - last + 23) // 24 + USUAL_DAYS)
        hours = [(hour - 24 * day + beside) * HOUR_MS for day in days for beside in (-1, 0, 1)]
        known = [one for one in hours if cost and min(cost) <= one <= last * HOUR_MS]
        if len(known) < 3 * USUAL_DAYS_MIN:
            return 0
        return int(sorted(cost.get(one, 0) for one in known)[len(known) // 2])

    async def under_way(self, scope: Mapping[str, str], *, before_ms: int) -> int:
        """How many calls of a scope that were sent before a moment have no end in the ledger yet."""

        def work(connection: sqlite3.Connection) -> int:
            sent = [entry for row in connection.execute(Q["sent"]) for entry in entries_of(row[0])]
            asked = [e for e in sent if e.at_ms < before_ms and covers(scope, e.service, e.model, e.body)]
            return sum(connection.execute(Q["has_ended"], {"attempt": e.attempt}).fetchone() is None for e in asked)

        return await self._database.read(work)

    async def _found(self, query: str, values: Mapping[str, Any]) -> Sequence[Stop]:
        rows = await self._database.read(lambda connection: connection.execute(Q[query], values).fetchall())
        return [stop_of(row[0]) for row in rows]


def stop_of(body: str) -> Stop:
    """The stop that was kept."""
    kept = orjson.loads(body)
    plan = kept.pop("plan")
    targets = tuple(Target(**target) for target in plan.pop("targets"))
    for name in ("alone", "unseen"):
        plan[name] = tuple(plan.get(name, ()))
    checks = tuple(Check(**check) for check in kept.pop("checks"))
    ramp = kept.pop("ramp")
    for name in ("begun", "done", "given"):
        kept[name] = tuple(kept.get(name, ()))
    kept["said"] = tuple((at_ms, words) for at_ms, words in kept["said"])
    made = Plan(**{**plan, "grade": Grade(plan["grade"])}, targets=targets)
    return Stop(**kept, plan=made, checks=checks, ramp=None if ramp is None else Ramp(**ramp))


def _row(stop: Stop) -> dict[str, Any]:
    return {
        "id": stop.id,
        "state": stop.state,
        "version": stop.version,
        "at_ms": stop.plan.at_ms,
        "body": orjson.dumps(asdict(stop)).decode(),
    }


def covers(scope: Mapping[str, str], service: str, model: str, body: str | bytes) -> bool:
    """Whether an attempt is of a scope: the same rule as for spending."""
    if not scope:
        return True
    asked = orjson.loads(body)
    said = {"service": service, "provider": service, "model": model, "operation": asked.get("operation")}
    said["severity"] = asked.get("priority")
    return all((asked.get("scope", {}).get(name) or said.get(name)) == value for name, value in scope.items())


def _measure(rows: Any) -> Measured:
    calls = failed = cost = dearest = 0
    took: list[int] = []
    for state, _service, _model, at_ms, ended_ms, charged, _body in rows:
        calls, cost, failed = calls + 1, cost + charged, failed + (state != "settled")
        dearest = max(dearest, charged)
        if state == "settled":
            took.append(ended_ms - at_ms)
    took.sort()
    p95_ms = took[len(took) * 95 // 100] if took else 0
    return Measured(calls=calls, failed=failed, cost=cost, dearest=dearest, p95_ms=p95_ms)
