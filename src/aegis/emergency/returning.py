"""The way back: checks, then what was stopped, then 10, 50 and 100 % of the calls, each as long as its gates want.

Policy: the share is open before keys and workloads are, so that nothing floods back; a breach goes one step back, a
second one stops again; a stop that another still needs stays closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aegis.core.ramps import SHARES, Ramp, judge, usual_burn
from aegis.core.stops import Check, Grade, Stop, broken_off, heard, target_step
from aegis.emergency.attempts import next_batch, try_all
from aegis.emergency.ports import Checking, Parts, Surroundings
from aegis.emergency.stopping import AEGIS, facts_of, note_outcomes, scope_words, switch_of, took_in


class Returning:
    """`step` does the next step of a return."""

    def __init__(self, parts: Parts, around: Surroundings) -> None:
        self._parts, self._around = parts, around

    async def step(self, stop: Stop) -> Stop | None:
        """The stop after its next step; None while it has to wait. Raises `StoreError`: then do it again."""
        name = next((s for s in _steps(stop) if s not in stop.given and s not in stop.failed), None)
        match name:
            case "checks":
                return await self._check(stop, name, self._around.before)
            case "share":
                return await self._open(stop, name, SHARES[0])
            case "working":
                return await self._check(stop, name, self._around.after)
            case "ramp":
                now_ms, plan = self._parts.now_ms(), stop.plan
                usual = await self._parts.stops.usual(plan.scope, at_ms=now_ms, before_ms=plan.at_ms)
                burn = usual_burn(plan.burn, usual)
                ramp = Ramp(since_ms=now_ms, burn=burn, p95_ms=plan.p95_ms, why="begun")
                await self._around.chronicle.replay(stop, ramp.share)
                return _gave(replace(stop, ramp=ramp), name)
            case "all":
                return await self._open(stop, name, 100)
            case None:
                return await (self._over(stop) if stop.ramp is None else self._ramp(stop, stop.ramp))
        return await self._targets(stop)

    async def _targets(self, stop: Stop) -> Stop:
        """The next of what was stopped is given back; what is about to be done goes on record first."""
        settled = {*stop.given, *stop.failed}
        left = [target for target in stop.touched if target_step(target) not in settled]
        batch = next_batch(self._parts, stop, left)
        await self._parts.audit.note(AEGIS, "targets.returning", facts_of(stop, batch))
        outcomes = await try_all(self._parts, stop, batch, "restore")
        await note_outcomes(self._parts, stop, outcomes, "target.restored", "target.not_restored")
        given = tuple(target_step(one.target) for one in outcomes if one.became == "done")
        after = took_in(stop, outcomes, self._parts.now_ms())
        return replace(after, given=(*after.given, *given))

    async def _check(self, stop: Stop, name: str, checking: Checking) -> Stop:
        """A look at the world: the return goes on when nothing that blocks is wrong."""
        found = await checking(stop)
        after = replace(stop, checks=(*stop.checks, *found))
        wrong = [check for check in found if check.blocking and not check.good]
        if not wrong:
            return _gave(self._heard(after, f"{len(found)} checks: {_summary(found)}"), name)
        words = "No return: " + "; ".join(f"{check.name}: {check.text}" for check in wrong)
        return await self._again(after, words)

    async def _open(self, stop: Stop, name: str, percent: int) -> Stop:
        words = await self._turn(stop, percent)
        return _gave(self._heard(stop, words), name)

    async def _ramp(self, stop: Stop, ramp: Ramp) -> Stop | None:
        """One look at how the step goes."""
        now_ms = self._parts.now_ms()
        seen = await self._parts.stops.measured(stop.plan.scope, since_ms=ramp.since_ms)
        seen = replace(seen, open_breakers=tuple(self._around.breakers()))
        verdict, after = judge(self._around.gates, ramp, seen, now_ms)
        if verdict == "wait":
            return None if after == ramp else replace(stop, ramp=after)
        if verdict == "stop":
            return await self._again(replace(stop, ramp=after), f"Stopped again: {after.why}")
        if verdict == "on" and ramp.step == len(SHARES) - 1:
            return await self._over(replace(stop, ramp=after))
        words = await self._turn(stop, after.share)
        words = f"One step back, {after.why}: {words}" if verdict == "back" else words
        await self._around.chronicle.note(stop, words, loud=verdict == "back")
        await self._parts.audit.note(AEGIS, "return.stepped", {"stop": stop.id, "share": str(after.share)})
        if verdict == "on":
            await self._around.chronicle.replay(stop, after.share)
        return self._heard(replace(stop, ramp=after), words)

    async def _again(self, stop: Stop, words: str) -> Stop:
        """It is stopped again, as it was: what was given back already, too."""
        await self._turn(stop, stop.plan.percent)
        await self._around.chronicle.note(stop, words, loud=True)
        await self._parts.audit.note(AEGIS, "return.broken_off", {"stop": stop.id, "why": words})
        return broken_off(self._heard(stop, words))

    async def _over(self, stop: Stop) -> Stop:
        words = f"Returned: {scope_words(stop)}; root cause: {stop.root_cause}; approved by {stop.approver}"
        if stop.failed:
            words += f"; NOT given back: {'; '.join(f'{k}: {why}' for k, why in stop.failed.items())}"
            words += f" (to try these again: aegis recover --stop {stop.id})"
            await self._around.chronicle.note(stop, words, loud=True)
        await self._around.chronicle.close(stop, words)
        await self._parts.audit.note(AEGIS, "return.done", {"stop": stop.id, "failed": str(len(stop.failed))})
        return replace(self._heard(stop, words), state="returned")

    async def _turn(self, stop: Stop, percent: int) -> str:
        """Turn the stop's switch, if it is its own and no other stop of the same scope needs it."""
        if stop.plan.only_targets:
            return "admissions were never closed"
        others = [one for one in await self._parts.stops.standing() if one.id != stop.id]
        other = next((one for one in others if one.plan.scope == stop.plan.scope), None)
        switches = await self._parts.board.switches()
        found = next((one for one in switches if one.scope == stop.plan.scope), None)
        if found is not None and found.stop == stop.id and other is not None and percent > stop.plan.percent:
            theirs = other.plan.percent if other.ramp is None else other.ramp.share
            await self._turned(other, theirs)
            return f"{scope_words(stop)} stays closed: {other.id} needs it"
        if found is not None and found.stop != stop.id:
            return f"{scope_words(stop)} was turned by {found.by or 'somebody'} since: left alone"
        await self._turned(stop, percent)
        return f"{percent} % of the calls of {scope_words(stop)} are admitted"

    async def _turned(self, stop: Stop, percent: int) -> None:
        facts = {"stop": stop.id, "scope": scope_words(stop), "percent": str(percent)}
        await self._parts.audit.note(AEGIS, "admissions.turning", facts)
        await self._parts.board.turn(switch_of(stop, percent, self._parts.now_ms()))
        await self._parts.audit.note(AEGIS, "admissions.turned", facts)

    def _heard(self, stop: Stop, words: str) -> Stop:
        return heard(stop, self._parts.now_ms(), words)


def _steps(stop: Stop) -> tuple[str, ...]:
    """The steps of a return, in order. A throttle has no ramp: it ends, as does what was stopped for a
    time that is over (its switch let everything in at that moment, whoever was there to see it).
    """
    targets = [target_step(target) for target in stop.touched]
    if stop.plan.only_targets:
        return (*targets,) if stop.lapsed else ("checks", *targets, "working")
    if stop.lapsed:
        return (*targets, "all")
    if stop.plan.grade is Grade.G0:
        return ("checks", "all")
    return ("checks", "share", *targets, "working", "ramp")


def _summary(found: Sequence[Check]) -> str:
    return (
        "; ".join(f"{check.name} {'good' if check.good else 'to be looked at'}" for check in found)
        or "nothing to check"
    )


def _gave(stop: Stop, name: str) -> Stop:
    return replace(stop, given=(*stop.given, name))
