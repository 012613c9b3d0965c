"""Gathers what the report of one incident is written from: its deliveries, its calls, what was spent around it, its stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from aegis.app.crossed import part_of
from aegis.core.budgets import Budget
from aegis.core.incidents import Incident, Status
from aegis.core.stops import Stop
from aegis.core.telemetry import CallEnded
from aegis.governor.actions import scope_covered
from aegis.incidents.report_record import Report, Spend, Spent, stood
from aegis.incidents.report_spend import NAMES
from aegis.stores.database import Database
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.reports import Ended, SqliteReports

BEFORE: Final = timedelta(hours=1)
"""How much of the time before an incident its curve shows: what was usual."""
SPAN_MAX: Final = timedelta(days=14)
PARTS: Final = 60
"""Points of the curve."""
TOP_MAX: Final = 5
"""Sources, keys and models that are named."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
OUTCOMES: Final[Mapping[str, str]] = {"settled": "settled", "void": "void", "cached": "cached", "refused": "refused"}
"""How a line of the journal reads in a report; what has no known end (`worst`) has failed."""


async def report_of(database: Database, incident: Incident, budgets: Sequence[Budget], *, now: datetime) -> Report:
    """Everything that the report of an incident says. Raises `StoreError`."""
    reports = SqliteReports(database)
    stops = await reports.stops_of(incident.id, since_ms=_ms(min(incident.first_seen, incident.opened_at)))
    since, until = _span(incident, stops, now)
    scope, about = _scope(incident, stops, budgets)
    since_ms, until_ms = _ms(since), _ms(until)
    found, cut = await reports.ended(scope, since_ms=since_ms, until_ms=until_ms, names=tuple(NAMES))
    handling = {"incident": incident.id}
    own, _ = await reports.ended(handling, since_ms=since_ms, until_ms=_ms(now) + 1, names=())
    return Report(
        incident=incident,
        calls=[_call(one) for one in own],
        deliveries=await SqliteOutbox(database).of_incident(incident.id),
        spend=_spend(found, about, since_ms, until_ms, cut=cut, since_stop=_since(stops, found, _ms(now))),
        stops=stops,
        kept=await reports.sections(incident.id),
        made_at=now,
    )


def _span(incident: Incident, stops: Sequence[Stop], now: datetime) -> tuple[datetime, datetime]:
    """From an hour before it was first seen to its end, and to that of its last stop."""
    begun = min(incident.first_seen, incident.opened_at)
    ends = [incident.updated_at, *(EPOCH + timedelta(milliseconds=stop.said[-1][0]) for stop in stops if stop.said)]
    until = max(ends) if incident.status is Status.RESOLVED else now
    since = max(begun, until - SPAN_MAX) - BEFORE
    return since, max(until, since + timedelta(minutes=1)) + timedelta(milliseconds=1)


def _scope(incident: Incident, stops: Sequence[Stop], budgets: Sequence[Budget]) -> tuple[Mapping[str, str], str]:
    """Whose spending is shown: that of the stop, of the budget, of the key; else what handling the incident cost."""
    if stops:
        return stops[-1].plan.scope, _words(stops[-1].plan.scope)
    entity = incident.entity
    if entity.kind == "budget":
        for budget in budgets:
            part = part_of(budget, entity.value)
            scope = None if part is None else scope_covered(budget, part)
            if scope is not None:
                return scope, f"the budget {entity.value}"
        return {}, "everything"
    if entity.kind == "key":
        return {"key": entity.value}, f"the key {entity.value}"
    return {"incident": incident.id}, "the analysis of this incident"


def _words(scope: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in scope.items()) or "everything"


def _since(stops: Sequence[Stop], found: Sequence[Ended], now_ms: int) -> Mapping[str, int]:
    """What was spent while each stop stood."""
    return {
        stop.id: sum(one.cost for one in found if 0 <= one.at_ms - stop.applied_ms < stood(stop, now_ms))
        for stop in stops
    }


def _spend(
    found: Sequence[Ended], about: str, since_ms: int, until_ms: int, *, cut: bool, since_stop: Mapping[str, int]
) -> Spend:
    each = -(-(until_ms - since_ms) // PARTS)
    parts = [0] * PARTS
    made = [one for one in found if one.state != "refused"]
    for one in made:
        parts[(one.at_ms - since_ms) // each] += one.cost
    ends = [min(since_ms + each * (number + 1), until_ms) for number in range(PARTS)]
    return Spend(
        about=about,
        since_ms=since_ms,
        until_ms=until_ms,
        points=tuple(zip(ends, parts, strict=True)),
        calls=len(made),
        refused=len(found) - len(made),
        since_stop=since_stop,
        top={name: _top(made, name) for name in NAMES},
        cut=cut,
    )


def _top(made: Sequence[Ended], name: str) -> tuple[Spent, ...]:
    sums: dict[str, list[int]] = {}
    for one in made:
        if value := one.values[name]:
            both = sums.setdefault(value, [0, 0])
            both[0], both[1] = both[0] + 1, both[1] + one.cost
    dearest = sorted(sums.items(), key=lambda item: (-item[1][1], -item[1][0], item[0]))[:TOP_MAX]
    return tuple(Spent(value=value, calls=calls, cost=cost) for value, (calls, cost) in dearest)


def _call(one: Ended) -> CallEnded:
    return CallEnded(
        at=EPOCH + timedelta(milliseconds=one.at_ms),
        call_id=one.attempt,
        service=one.service,
        model=one.model,
        outcome=OUTCOMES.get(one.state, "failed"),  # type: ignore[arg-type]
        cost=one.cost,
        refused=one.gate,
        took_ms=one.took_ms,
    )


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
