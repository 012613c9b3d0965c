"""The way down: one step of a stop at a time. Each may be done again after a crash; what was done is kept after each.

Policy: nothing but the plan's targets is touched; what is about to be touched is on record before it is; one that cannot
be stopped is written down and delays no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from aegis.core.ledger import Switch
from aegis.core.stops import Grade, Stop, Target, heard, stop_steps, target_step
from aegis.emergency.attempts import Outcome, next_batch, try_all
from aegis.emergency.ports import Parts, Surroundings

MESSAGE_WAIT_MS: Final = 5_000
"""How long the first message may take to leave before things are stopped all the same."""
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
                many = "1 process" if len(holders) == 1 else f"{len(holders)} processes"
                return _did(self._heard(stop, f"took back what {many} had been lent"), name)
        settled = {*stop.done, *stop.failed}
        left = [target for target in stop.plan.targets if target_step(target) not in settled]
        return await self._targets(stop, next_batch(self._parts, stop, left))

    async def _targets(self, stop: Stop, batch: Sequence[Target]) -> Stop:
        """The next of the targets, in two steps: first what will be touched goes on record, then it is."""
        names = list(map(target_step, batch))
        if new := [name for name in names if name not in stop.begun]:
            await self._parts.audit.note(AEGIS, "targets.stopping", facts_of(stop, batch))
            return replace(stop, begun=(*stop.begun, *new))
        outcomes = await try_all(self._parts, stop, batch, "stop")
        await note_outcomes(self._parts, stop, outcomes, "target.stopped", "target.not_stopped")
        untouched = {
            target_step(one.target) for one in outcomes if one.became in ("refused", "failed") and not one.maybe
        }
        after = took_in(stop, outcomes, self._parts.now_ms())
        done = tuple(target_step(one.target) for one in outcomes if one.became == "done")
        begun = tuple(name for name in after.begun if name not in untouched)
        return replace(after, done=(*after.done, *done), begun=begun)

    async def _over(self, stop: Stop) -> Stop:
        stopped, failed = len(stop.stopped), len(stop.failed)
        words = f"Stopped at {stop.plan.grade.name}: {_scope(stop)}"
        words += f"; {stopped} targets stopped" if stop.plan.targets else ""
        words += f"; NOT stopped: {'; '.join(f'{k}: {why}' for k, why in stop.failed.items())}" if failed else ""
        words += f" (to try these again: aegis stop retry {stop.id})" if failed else ""
        words += f"; nobody could look at {'; '.join(stop.plan.unseen)}" if stop.plan.unseen else ""
        await self._around.chronicle.note(stop, words, loud=bool(failed or stop.plan.unseen))
        await self._parts.audit.note(AEGIS, "stop.done", {"stop": stop.id, "failed": str(failed)})
        return replace(self._heard(stop, words), state="stopped")

    def _heard(self, stop: Stop, words: str) -> Stop:
        return heard(stop, self._parts.now_ms(), words)


def took_in(stop: Stop, outcomes: Sequence[Outcome], now_ms: int) -> Stop:
    """The stop with what was heard of some of its targets, and how often the others were tried."""
    for one in outcomes:
        name = target_step(one.target)
        if one.became == "again":
            stop = replace(stop, tries={**stop.tries, name: stop.tries.get(name, 0) + 1})
        elif one.became == "done":
            stop = heard(stop, now_ms, one.words)
        else:
            stop = replace(stop, failed={**stop.failed, name: one.words})
            stop = heard(stop, now_ms, f"{one.target.name} ({one.target.kind}): not done, {one.words}")
    return stop


async def note_outcomes(parts: Parts, stop: Stop, outcomes: Sequence[Outcome], done: str, failed: str) -> None:
    """Put on record what became of targets; those that are tried again have no outcome yet."""
    for one in outcomes:
        if one.became == "done":
            await parts.audit.note(AEGIS, done, {"stop": stop.id, "target": one.target.key})
        elif one.became != "again":
            await parts.audit.note(AEGIS, failed, {"stop": stop.id, "target": one.target.key, "why": one.words})


def facts_of(stop: Stop, batch: Sequence[Target]) -> dict[str, str]:
    """An entry about targets that are about to be touched: each has a line."""
    return {"stop": stop.id} | {f"target {number}": target.key for number, target in enumerate(batch, 1)}


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
