"""Wires stop and return: what can be stopped here, who is told of it, and what is looked at before a return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aegis.app.trying import Tried
from aegis.core.breakers import BreakerState
from aegis.core.errors import BadInput
from aegis.core.incidents import AnalysisSource, Incident, Severity
from aegis.core.incidents import Observable as Entity
from aegis.core.money import show_usd
from aegis.core.notifications import DeliveryState
from aegis.core.ports import Clock, Incidents, NewId, Outbox
from aegis.core.ramps import Gates
from aegis.core.stops import Check, Grade, Stop
from aegis.emergency.actuators.processes import Processes
from aegis.emergency.planning import Orders
from aegis.emergency.ports import Actuator, Audit, Parts, Surroundings
from aegis.emergency.stepping import Stepper
from aegis.emergency.stopping import scope_words
from aegis.emergency.virtual_keys import VirtualKeys
from aegis.governor.governor import Governor
from aegis.incidents.analysis import WHY_REFUSED
from aegis.incidents.pipeline import Pipeline
from aegis.stores.database import Database
from aegis.stores.keys import SqliteKeys
from aegis.stores.ledger import SqliteLedger
from aegis.stores.stops import SqliteStops
from aegis.stores.workloads import SqliteWorkloads

if TYPE_CHECKING:
    from aegis.app.running import App

BY: Final = "emergency stop"
STOP_WHY: Final = WHY_REFUSED["stop"]
"""What the offline analysis says when a stop kept the model from being asked."""
GRACE_MS: Final = 10_000
"""How long a program may take to end by itself before it is killed: as long as `docker stop` gives it."""
REPLAYED_MAX: Final = 200
"""Incidents that are analysed again after a stop: the worst and newest; the offline analysis of others stands."""
SEVERITIES: Final = {Grade.G0: Severity.MEDIUM, Grade.G1: Severity.HIGH, Grade.G2: Severity.HIGH}
EFFECTS: Final = {
    Grade.G0: "Calls are slowed down; none is refused for it alone.",
    Grade.G1: "Calls are refused until somebody gives them back: analysis goes on offline, programs get errors.",
    Grade.G2: "Calls are refused and keys are held until somebody gives them back; analysis goes on offline.",
    Grade.G3: "Calls are refused, and credentials are disabled at their provider, also for programs beside Aegis.",
    Grade.G4: "Calls are refused, credentials are disabled, and registered programs are stopped.",
}


class Telling:
    """`emergency.ports.Chronicle` on the incident path."""

    def __init__(self, pipeline: Pipeline, incidents: Incidents, outbox: Outbox) -> None:
        self._pipeline, self._incidents, self._outbox = pipeline, incidents, outbox

    async def open(self, stop: Stop) -> str:
        if stop.incident:
            return stop.incident
        plan = stop.plan
        facts = {
            "stop": stop.id,
            "grade": plan.grade.name,
            "by": stop.applied_by,
            "reason": plan.reason,
            "effect": EFFECTS[plan.grade],
            **({"burn": show_usd(plan.burn)} if plan.burn else {}),
        }
        title = f"Emergency stop {plan.grade.name}: {scope_words(stop)}"
        severity = SEVERITIES.get(plan.grade, Severity.CRITICAL)
        entity = Entity("stop", stop.id)
        rule = f"stop:{stop.id}"
        return (await self._pipeline.open_own(rule, title=title, severity=severity, entity=entity, facts=facts)).id

    async def left(self, stop: Stop) -> bool:
        deliveries = await self._outbox.of_incident(stop.incident)
        return not any(
            d.state is DeliveryState.LEASED or (d.state is DeliveryState.READY and not d.attempts) for d in deliveries
        )

    async def note(self, stop: Stop, text: str, *, loud: bool = False) -> None:
        with suppress(BadInput):  # retention has deleted it
            if loud:
                await self._pipeline.desk.note(stop.incident, BY, via="emergency", text=text)
            else:
                await self._pipeline.note(stop.incident, by=BY, text=text)

    async def close(self, stop: Stop, text: str) -> None:
        with suppress(BadInput):
            await self._pipeline.note(stop.incident, by=BY, text=text)
            await self._pipeline.resolve(stop.incident, by=BY)

    async def replay(self, stop: Stop, share: int) -> int:
        waiting = sorted(
            (one for one in await self._incidents.unresolved() if _left_undone(one, stop)),
            key=lambda one: (one.severity, one.opened_at),
            reverse=True,
        )[:REPLAYED_MAX]
        again = waiting[: -(-len(waiting) * share // 100)]
        self._pipeline.redo(again)
        return len(again)


def _left_undone(incident: Incident, stop: Stop) -> bool:
    analysis = incident.analysis
    return (
        analysis is not None
        and incident.id != stop.incident
        and incident.severity >= Severity.HIGH
        and analysis.source is AnalysisSource.OFFLINE
        and analysis.why_offline == STOP_WHY
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """The first specification's recovery checklist, looked at instead of ticked off. `ask` asks every service whether it
    would take what is sent, at no cost.
    """

    parts: Parts
    governor: Governor
    outbox: Outbox
    incidents: Incidents
    ask: Callable[[], Awaitable[Sequence[Tried]]]

    async def before(self, stop: Stop) -> Sequence[Check]:
        return [await self._stopped(stop), await self._bill(stop), await self._record(stop), await self._queue()]

    async def after(self, _stop: Stop) -> Sequence[Check]:
        tried = await self.ask()
        failing = [f"{one.service}: {one.text}" for one in tried if not one.ok]
        asked = ", ".join(one.service for one in tried if one.asked and one.ok)
        cut = [one.service for one in self.governor.services() if one.breaker is BreakerState.OPEN]
        return [
            Check(name="keys", good=not failing, text="; ".join(failing) or f"asked: {asked or 'nothing to ask'}"),
            Check(name="providers", good=not cut, text=f"cut off: {', '.join(cut)}" if cut else "none is cut off"),
        ]

    async def _stopped(self, stop: Stop) -> Check:
        """What was stopped is stopped still: also its admissions."""
        running = []
        for target in stop.stopped:
            actuator = self.parts.actuators.get(target.kind)
            state = await actuator.status(target) if actuator else "unknown"
            running += [f"{target.name} ({state})"] if state in ("running", "unknown") else []
        on = stop.plan.only_targets or any(
            one.stopped and one.scope == stop.plan.scope for one in await self.parts.board.switches()
        )
        running += [] if on else [f"admissions of {scope_words(stop)}"]
        text = f"not stopped: {', '.join(running)}" if running else f"{len(stop.stopped)} targets and admissions"
        return Check(name="stopped", good=not running, text=text)

    async def _bill(self, stop: Stop) -> Check:
        """What was spent since, and whether every call has an end in the ledger. What the provider says is another bill."""
        seen = await self.parts.stops.measured(stop.plan.scope, since_ms=stop.applied_ms)
        left = await self.parts.stops.under_way(stop.plan.scope, before_ms=stop.applied_ms)
        text = f"{show_usd(seen.cost, decimals=4)} in {seen.calls} calls since the stop"
        text += f"; {left} calls from before it have no end yet" if left else "; every call before it has its end"
        return Check(name="bill", good=not left, text=text)

    async def _record(self, stop: Stop) -> Check:
        found = await self.incidents.get(stop.incident)
        text = f"{stop.incident}: {len(found.timeline)} entries" if found else "the incident was deleted"
        return Check(name="record", good=found is not None and bool(stop.root_cause), text=text, blocking=False)

    async def _queue(self) -> Check:
        waiting = await self.outbox.undelivered()
        return Check(name="queue", good=waiting == 0, text=f"{waiting} deliveries wait", blocking=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """Stop and return in a running Aegis."""

    parts: Parts
    orders: Orders
    stepper: Stepper

    async def turn(self, _now: datetime) -> None:
        """Take what is under way further. Raises `StoreError`."""
        await self.stepper.turn()


def parts_of(database: Database, clock: Clock, new_id: NewId, *, audit: Audit, more: Iterable[Actuator] = ()) -> Parts:
    """What stops are planned and done with, on a store; `more` are actuators beside our own keys and `aegis run`."""
    actuators: list[Actuator] = [
        VirtualKeys(SqliteKeys(database), clock=clock, new_id=new_id),
        Processes(SqliteWorkloads(database), clock=clock, how="end", grace_ms=GRACE_MS),
        *more,
    ]
    return Parts(
        stops=SqliteStops(database),
        board=SqliteLedger(database, clock),
        actuators={one.kind: one for one in actuators},
        audit=audit,
        clock=clock,
    )


def stop_and_return(
    app: App, database: Database, more: Iterable[Actuator], ask: Callable[[], Awaitable[Sequence[Tried]]]
) -> Emergency:
    """Stop and return, wired to a running Aegis; `more` are actuators as for `parts_of`, `ask` asks every service whether it would take what is sent."""
    governor, settings = app.governor, app.config.emergency
    parts = parts_of(database, app.clock, app.new_id, audit=app.audit, more=more)
    checklist = Checklist(parts=parts, governor=governor, outbox=app.outbox, incidents=app.incidents, ask=ask)
    around = Surroundings(
        chronicle=Telling(app.pipeline, app.incidents, app.outbox),
        gates=Gates(least_ms=settings.step_ms, calls=settings.calls),
        before=checklist.before,
        after=checklist.after,
        breakers=lambda: [one.service for one in governor.services() if one.breaker is BreakerState.OPEN],
    )
    return Emergency(
        parts=parts,
        orders=Orders(parts, new_id=app.new_id, preauthorised=settings.preauthorised),
        stepper=Stepper(parts, around, holder=app.new_id("stepper")),
    )
