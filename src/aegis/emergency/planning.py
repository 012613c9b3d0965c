"""Orders: makes a plan, applies exactly it, asks for the return. What follows is done by `stepping`.

Policy: planning touches nothing; applying takes the plan as it was kept or refuses; a person's stop closes admissions
before this returns, whatever else is down. What is meant to be done is on the audit log before it is done: a return
without that entry does not begin, a stop does.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace

from aegis.core.errors import BadInput, ServiceError, StoreError
from aegis.core.ports import NewId
from aegis.core.stops import (
    PERCENT_G0,
    TARGETS_MAX,
    Grade,
    Plan,
    Scope,
    Stop,
    Target,
    check_apply,
    heard,
    may_go_alone,
    plan_hash,
)
from aegis.emergency.ports import Parts
from aegis.emergency.stopping import close_admissions

BEFORE_MS = 3_600_000
"""What a scope did in the hour before is what doing nothing costs, and what a return is held to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody asks for. `expires_ms` 0 holds until it is given back; `pool` is in nano-dollars."""

    grade: Grade
    scope: Scope
    reason: str
    by: str
    automatic: bool = False
    percent: int = PERCENT_G0
    expires_ms: int = 0
    pool: int = 0
    cancel: bool = False
    only_targets: bool = False
    incident: str = ""
    """The incident that led to it, where there is one already."""


def returnable(stop: Stop) -> bool:
    """Whether only what its return could not give back is left to return. Raises `BadInput` where nothing can."""
    again = stop.state == "returned" and bool(stop.failed)
    if stop.state != "stopped" and not again:
        raise BadInput(f"{stop.id} is {stop.state}: only what is stopped can return", code="not_stopped")
    return again


class Orders:
    """`preauthorised` are kinds of targets, and targets, that need no second person: the configuration's."""

    def __init__(self, parts: Parts, *, new_id: NewId, preauthorised: Collection[str] = ()) -> None:
        self._parts, self._new_id, self._preauthorised = parts, new_id, frozenset(preauthorised)

    async def plan(self, order: Order) -> Stop:
        """The stop as it would be, not kept. Raises `BadInput` for too many targets and an end where there is none, and `StoreError`."""
        if order.expires_ms and order.grade > Grade.G2:
            raise BadInput("credentials and workloads do not come back by themselves: no end for these", code="no_end")
        now_ms = self._parts.now_ms()
        before = await self._parts.stops.measured(order.scope, since_ms=now_ms - BEFORE_MS)
        targets, alone, unseen = await self._targets(order)
        plan = Plan(
            id=self._new_id("stp"),
            grade=order.grade,
            scope=dict(order.scope),
            reason=order.reason,
            by=order.by,
            at_ms=now_ms,
            automatic=order.automatic,
            percent=order.percent if order.grade is Grade.G0 else 0,
            expires_ms=order.expires_ms,
            pool=order.pool,
            cancel=order.cancel,
            only_targets=order.only_targets,
            targets=targets,
            alone=alone,
            unseen=unseen,
            burn=before.cost,
            p95_ms=before.p95_ms,
        )
        return Stop(plan=plan, hashed=plan_hash(plan), incident=order.incident)

    async def _targets(self, order: Order) -> tuple[tuple[Target, ...], tuple[str, ...], tuple[str, ...]]:
        """Every target up to the grade, the lowest grade first; those that need no second person (an automatic stop has no
        others); and where nobody could look: that keeps nothing else from being stopped.
        """
        found: list[Target] = []
        alone: list[str] = []
        unseen: list[str] = []
        for actuator in sorted(self._parts.actuators.values(), key=lambda one: (one.grade, one.kind)):
            if actuator.grade > order.grade:
                continue
            try:
                there = await actuator.plan_targets(order.scope)
            except ServiceError as error:
                unseen.append(f"{actuator.kind}: {error}")
                continue
            for target in there:
                free = may_go_alone(actuator.grade, target, self._preauthorised)
                if free or not order.automatic:
                    found.append(target)
                    alone += [target.key] if free else []
        if len(found) > TARGETS_MAX:
            raise BadInput(f"{len(found)} targets are more than anybody reads: name a scope", code="too_many")
        return tuple(found), tuple(alone), tuple(unseen)

    async def keep(self, stop: Stop) -> None:
        """Put a plan on record: it can be applied for ten minutes."""
        await self._parts.stops.add(stop)
        await self._parts.audit.note(stop.plan.by, "stop.planned", {"stop": stop.id, "hash": stop.hashed})

    async def apply(self, stop_id: str, *, by: str, broken_glass: bool = False) -> Stop:
        """Begin a stop that was planned. Raises `BadInput` when it is no longer what was planned, too old, applied already
        or needs a second person, and `StoreError`: then nothing was touched.
        """
        stop, now_ms = await self._parts.stops.get(stop_id), self._parts.now_ms()
        if stop.state != "planned":
            raise BadInput(f"the plan {stop_id} was applied already; it is {stop.state}", code="applied")
        check_apply(stop.plan, stop.hashed, by=by, now_ms=now_ms, broken_glass=broken_glass)
        alone = " alone, breaking the glass" if stop.plan.second_person and by == stop.plan.by else ""
        facts = {"stop": stop.id, "hash": stop.hashed, "grade": stop.plan.grade.name, "reason": stop.plan.reason}
        facts |= {"alone": "yes"} if alone else {}
        with suppress(StoreError):  # a log that cannot be written keeps nothing from being stopped
            await self._parts.audit.note(by, "stop.applying", facts)
        after = heard(stop, now_ms, f"{by} applied the plan of {stop.plan.by}{alone}")
        after = replace(after, state="stopping", applied_by=by, applied_ms=now_ms, version=stop.version + 1)
        if not await self._parts.stops.save(after):
            raise BadInput(f"the plan {stop_id} was applied already", code="applied")
        if not stop.plan.automatic and not stop.plan.only_targets:
            await close_admissions(self._parts, after)
            # Not kept when somebody takes it further already: then it is closed once more, which changes nothing.
            await self._parts.stops.save(replace(after, done=("admissions",), version=after.version + 1))
        await self._parts.audit.note(by, "stop.applied", facts)
        return after

    async def retry(self, stop_id: str, *, by: str) -> Stop:
        """Try again what a stop could not stop. Raises `BadInput` when there is nothing such, and `StoreError`."""
        stop, now_ms = await self._parts.stops.get(stop_id), self._parts.now_ms()
        if stop.state != "stopped" or not stop.failed:
            raise BadInput(
                f"{stop_id} is {stop.state}, and nothing of it waits to be tried again", code="nothing_failed"
            )
        with suppress(StoreError):
            await self._parts.audit.note(by, "stop.retried", {"stop": stop.id, "failed": str(len(stop.failed))})
        after = heard(stop, now_ms, f"{by} has {len(stop.failed)} targets tried again")
        return await self._changed(replace(after, state="stopping", failed={}, tries={}))

    async def recover(self, stop_id: str, *, by: str, approver: str, root_cause: str) -> Stop:
        """Ask for the return of a stop, or for what its return could not give back. Raises `BadInput` without an approver
        and a root cause, or when it does not stand still, and `StoreError`: then nothing was begun.
        """
        stop, now_ms = await self._parts.stops.get(stop_id), self._parts.now_ms()
        again = returnable(stop)
        if not approver.strip() or not root_cause.strip():
            raise BadInput("a return needs --approver and --root-cause", code="not_approved")
        if stop.plan.grade > Grade.G2 and approver == by:
            raise BadInput("credentials and workloads come back when another person approves", code="second_person")
        facts = {"stop": stop.id, "approver": approver, "root_cause": root_cause}
        await self._parts.audit.note(by, "return.asked", facts)
        after = heard(stop, now_ms, f"{by} asked for the return, approved by {approver}; root cause: {root_cause}")
        after = replace(after, state="returning", approver=approver, root_cause=root_cause, checks=(), ramp=None)
        return await self._changed(replace(after, given=stop.given if again else (), failed={}, tries={}))

    async def _changed(self, stop: Stop) -> Stop:
        """Keep what a person has changed. Raises `BadInput` when it was changed meanwhile."""
        after = replace(stop, version=stop.version + 1)
        if not await self._parts.stops.save(after):
            raise BadInput(f"{stop.id} was changed meanwhile; look again", code="changed")
        return after

    async def lapse(self, stop_id: str, *, why: str) -> bool:
        """Give back what an automatic stop took that is ours (no credential, no program): its reason is over. False when a
        person has to. Raises `StoreError`.
        """
        stop, now_ms = await self._parts.stops.get(stop_id), self._parts.now_ms()
        graded = {one.kind: one.grade for one in self._parts.actuators.values()}
        beyond = any(graded.get(target.kind, Grade.G4) > Grade.G2 for target in stop.plan.targets)
        if stop.state not in ("stopping", "stopped") or beyond:
            return stop.state == "returned"
        await self._parts.audit.note(stop.plan.by, "return.lapsed", {"stop": stop.id, "why": why})
        after = replace(stop, state="returning", lapsed=True, given=(), failed={}, tries={}, approver=stop.plan.by)
        after = heard(replace(after, root_cause=why, version=stop.version + 1), now_ms, why)
        return await self._parts.stops.save(after)
