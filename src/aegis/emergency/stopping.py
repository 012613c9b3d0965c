"""The way down: one step of a stop at a time. Each may be done again after a crash; what was done is kept after each.

Policy: nothing but the plan's targets is touched; one that cannot be stopped is written down and delays no other.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from aegis.core.errors import BadInput, ServiceError
from aegis.core.ledger import Switch
from aegis.core.stops import Grade, Stop, Target, heard, stop_steps
from aegis.emergency.ports import Parts, Surroundings

MESSAGE_WAIT_MS: Final = 5_000
"""How long the first message may take to leave before things are stopped all the same."""
TRIES: Final = 3
RETRY_MS: Final = 1_000
"""A service that does not answer is asked three times, a second and two apart."""
AEGIS: Final = "aegis"


class Stopping:
    """`step` does the next step of a stop."""

    def __init__(self, parts: Parts, around: Surroundings) -> None:
        self._parts, self._around = parts, around

    async def step(self, stop: Stop) -> Stop | None:
        """The stop after its next step; None while it has to wait. Raises `StoreError`: then do it again."""
        name = next((s for s in stop_steps(stop.plan) if s not in stop.done and s not in stop.failed), None)
        match name:
            case None:
                return await self._over(stop)
            case "incident":
                return _did(replace(stop, incident=await self._around.chronicle.open(stop)), name)
            case "message":
                waited = self._parts.now_ms() - stop.applied_ms >= MESSAGE_WAIT_MS
                return _did(stop, name) if waited or await self._around.chronicle.left(stop) else None
            case "admissions":
                words = await close_admissions(self._parts, stop)
                return _did(self._heard(stop, words), name)
            case "allowances":
                holders = await self._parts.board.revoke(stop.plan.scope)
                return _did(self._heard(stop, f"took back what {len(holders)} processes had been lent"), name)
        return await self._target(stop, name)

    async def _target(self, stop: Stop, name: str) -> Stop:
        target = next(one for one in stop.plan.targets if f"target {one.key}" == name)
        after = await tried(self._parts, stop, name, target, "stop")
        if name in after.done:
            await self._parts.audit.note(AEGIS, "target.stopped", {"stop": stop.id, "target": target.key})
        return after

    async def _over(self, stop: Stop) -> Stop:
        stopped, failed = len(stop.touched), len(stop.failed)
        words = f"Stopped at {stop.plan.grade.name}: {_scope(stop)}"
        words += f"; {stopped} targets stopped" if stop.plan.targets else ""
        words += f"; NOT stopped: {'; '.join(f'{k}: {why}' for k, why in stop.failed.items())}" if failed else ""
        words += f"; nobody could look at {'; '.join(stop.plan.unseen)}" if stop.plan.unseen else ""
        await self._around.chronicle.note(stop, words, loud=bool(failed or stop.plan.unseen))
        await self._parts.audit.note(AEGIS, "stop.done", {"stop": stop.id, "failed": str(failed)})
        return replace(self._heard(stop, words), state="stopped")

    def _heard(self, stop: Stop, words: str) -> Stop:
        return heard(stop, self._parts.now_ms(), words)


async def tried(parts: Parts, stop: Stop, name: str, target: Target, verb: Literal["stop", "restore"]) -> Stop:
    """The stop after one more try to `stop` or `restore` a target: done, failed for good, or to be tried again."""
    actuator = parts.actuators.get(target.kind)
    if actuator is None:
        return _failed(parts, stop, name, target, f"nobody here can {verb} {target.kind}")
    try:
        await (actuator.stop(target) if verb == "stop" else actuator.restore(target))
    except BadInput as refused:
        return _failed(parts, stop, name, target, str(refused))
    except ServiceError as error:
        tries = stop.tries.get(name, 0) + 1
        if tries >= TRIES or not error.retryable:
            return _failed(parts, stop, name, target, str(error))
        await parts.clock.sleep_ms(RETRY_MS * tries)
        return replace(stop, tries={**stop.tries, name: tries})
    if verb == "stop":
        return heard(_did(stop, name), parts.now_ms(), f"stopped {target.name} ({target.kind})")
    after = replace(stop, given=(*stop.given, name))
    return heard(after, parts.now_ms(), f"gave back {target.name} ({target.kind})")


async def close_admissions(parts: Parts, stop: Stop) -> str:
    """Turn the switch of a stop's scope; what is so afterwards. A switch that stops more already is left alone."""
    plan = stop.plan
    found = next((one for one in await parts.board.switches() if one.stopped and one.scope == plan.scope), None)
    if plan.grade is Grade.G0 and found is not None and found.grade:
        return f"{_scope(stop)} was stopped already: {found.reason}"
    await parts.board.turn(switch_of(stop, plan.percent, parts.now_ms()))
    return (
        f"{_scope(stop)} is throttled to {plan.percent} %" if plan.grade is Grade.G0 else f"{_scope(stop)} is stopped"
    )


def switch_of(stop: Stop, percent: int, at_ms: int) -> Switch:
    """The switch of a stop, letting so many percent of the calls pass; at 100 it is off."""
    plan = stop.plan
    return Switch(
        scope=plan.scope,
        stopped=percent < 100,
        reason=plan.reason,
        at_ms=at_ms,
        grade=int(plan.grade),
        percent=percent if percent < 100 else 0,
        expires_ms=plan.expires_ms if percent == plan.percent else 0,
        pool=plan.pool,
        cancel=plan.cancel,
        by=stop.applied_by or plan.by,
        stop=stop.id,
    )


def scope_words(stop: Stop) -> str:
    """What a stop is about, as people read it."""
    return ", ".join(f"{name} {value}" for name, value in stop.plan.scope.items()) or "everything"


_scope = scope_words


def moment(at_ms: int) -> datetime:
    """A moment of a record."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


def _did(stop: Stop, name: str) -> Stop:
    return replace(stop, done=(*stop.done, name))


def _failed(parts: Parts, stop: Stop, name: str, target: Target, why: str) -> Stop:
    after = replace(stop, failed={**stop.failed, name: why})
    return heard(after, parts.now_ms(), f"{target.name} ({target.kind}): not done, {why}")
