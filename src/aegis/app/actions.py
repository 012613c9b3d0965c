"""Does the actions of budget levels on the real parts, keeps a record of what stands, and takes it back when the
budget's next window opens.

Policy: the message leaves first, or has had `MESSAGE_WAIT` to leave; what was slowed or stopped ends with the window
or when a person resumes it, never later; the record survives a restart, and a crossing that a crash cut off is done.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import orjson

from aegis.app.crossed import Standing, crossings, ends, is_over, named, part_of, scope_words
from aegis.core.budgets import Budget, Level
from aegis.core.errors import BadInput, StoreError
from aegis.core.incidents import Incident, Severity
from aegis.core.ledger import Switch
from aegis.core.notifications import DeliveryState
from aegis.core.ports import Clock, Outbox
from aegis.core.stops import Grade
from aegis.core.telemetry import Happened, LevelCrossed, WindowReset
from aegis.emergency.planning import Order
from aegis.governor.actions import (
    ACTING,
    TELLING,
    Alarm,
    Outcome,
    perform,
    scope_covered,
    sentence,
)
from aegis.governor.governor import Governor
from aegis.incidents.pipeline import Pipeline
from aegis.stores.lookups import SqliteLookups

if TYPE_CHECKING:
    from aegis.app.emergency import Emergency

SETTING: Final = "budget_actions"
"""The setting of the store that keeps the record."""
STANDING_MAX: Final = 1_000
"""Crossings on record at once; beyond that the oldest that slow and stop nothing are forgotten."""
MESSAGE_WAIT: Final = timedelta(seconds=5)
"""How long a message may take to leave before something is stopped all the same."""
LOOK_EVERY: Final = timedelta(seconds=5)
"""How often the budgets of crossings on record are looked at: a rolling window has no end to wait for."""
BY: Final = "the budget"
ALL: Final = 100
NAMED_MAX: Final = 5
"""Keys that are named in a timeline."""
LEVEL_SEVERITY: Final[Mapping[str, Severity]] = {
    "warning": Severity.MEDIUM,
    "critical": Severity.HIGH,
    "emergency": Severity.CRITICAL,
}
"""A crossed level as an incident, as the severity table of the first specification has it."""
_log = logging.getLogger("aegis.budgets")


class BudgetActions:
    """The actions of one running Aegis, one crossing after the other."""

    def __init__(
        self,
        *,
        actions: Mapping[Level, Sequence[str]],
        budgets: Sequence[Budget],
        governor: Governor,
        pipeline: Pipeline,
        outbox: Outbox,
        lookups: SqliteLookups,
        clock: Clock,
        channels: Sequence[str],
        models: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`channels` are the services that carry messages; `models` are those that each service is asked for."""
        self._actions, self._budgets, self._channels = actions, tuple(budgets), tuple(channels)
        self._governor, self._pipeline, self._outbox = governor, pipeline, outbox
        self._lookups, self._clock, self._models = lookups, clock, models or {}
        self.emergency: Emergency | None = None
        """Stop and return, once it is wired: without it no key is held."""
        self._standing: dict[tuple[str, str, str], Standing] = {}
        self._resets: list[WindowReset] = []
        self._looked_at = clock.now()
        self._one_at_a_time = anyio.Lock()

    def rebudget(self, budgets: Sequence[Budget]) -> None:
        """From now on these are the configured budgets."""
        self._budgets = tuple(budgets)

    @property
    def waiting(self) -> bool:
        """Whether an action still has to be done, or something to be taken back."""
        return bool(self._resets) or any(standing.waiting for standing in self._standing.values())

    # --- a level is crossed ----------------------------------------------------------------------------------

    def notice(self, happened: Happened) -> None:
        """The observer that hears of windows that opened."""
        if isinstance(happened, WindowReset):
            self._resets.append(happened)

    def known(self, crossed: LevelCrossed) -> bool:
        """Whether this crossing is on record: told again after a restart, it is not done again."""
        return (crossed.budget, crossed.window, crossed.level) in self._standing

    async def crossed(self, crossed: LevelCrossed, incident: Incident) -> None:
        """Do what tells of a crossing whose incident is open, and put down what is to be done after its message has
        left. Raises `StoreError`.
        """
        async with self._one_at_a_time:
            await self._crossed(crossed, incident)

    async def _crossed(self, crossed: LevelCrossed, incident: Incident) -> None:
        names = self._actions.get(crossed.level, ())
        alarm = self._alarm(crossed.budget, crossed.window, crossed.level)
        standing = Standing(
            budget=crossed.budget,
            window=crossed.window,
            level=crossed.level,
            incident=incident.id,
            at=self._clock.now(),
            waiting=[name for name in names if name in ACTING],
        )
        outcomes = await perform(names, TELLING, _Hands(self, standing), alarm)
        await self._note(standing, outcomes)
        self._standing[standing.key] = standing
        await self._keep()

    async def turn(self, *, at_once: bool = False) -> None:
        """Do what waited for its message, and take back what was done for windows that are over. Raises `StoreError`.

        `at_once` waits for no message: the caller has sent what there is.
        """
        async with self._one_at_a_time:
            await self._act_all(at_once=at_once)
            await self._take_back_all()

    async def _act_all(self, *, at_once: bool) -> None:
        for standing in [one for one in self._standing.values() if one.waiting]:
            if at_once or await self._message_left(standing):
                await self._act(standing)

    async def _take_back_all(self) -> None:
        resets, self._resets = self._resets, []
        try:
            over = [s for s in self._standing.values() if any(ends(reset, s) for reset in resets)]
            for standing in [*over, *await self._overdue()]:
                await self._take_back(standing)
        except BaseException:
            self._resets = resets + self._resets
            raise

    async def _message_left(self, standing: Standing) -> bool:
        if self._clock.now() - standing.at >= MESSAGE_WAIT:
            return True
        deliveries = await self._outbox.of_incident(standing.incident)
        return not any(
            d.state is DeliveryState.LEASED or (d.state is DeliveryState.READY and not d.attempts) for d in deliveries
        )

    async def _act(self, standing: Standing) -> None:
        alarm = self._alarm(standing.budget, standing.window, standing.level)
        outcomes = await perform(standing.waiting, ACTING, _Hands(self, standing), alarm)
        standing.waiting.clear()
        await self._note(standing, outcomes)
        await self._keep()

    def _alarm(self, named: str, window: str, level: Level) -> Alarm:
        found = next((b for b in self._budgets if part_of(b, named) is not None), None)
        return Alarm(
            level=level,
            about=f"budget {named} reached its {level} amount ({window})",
            scope=scope_covered(found, part_of(found, named) or "") if found else None,
            observe=found is not None and found.observe,
        )

    # --- its window is over ----------------------------------------------------------------------------------

    async def _overdue(self) -> list[Standing]:
        """Crossings whose window is over though nobody said so: no call came that would have opened the next one."""
        now = self._clock.now()
        if not self._standing or now - self._looked_at < LOOK_EVERY:
            return []
        self._looked_at = now
        balances = {(named(b), b.window): b for b in await self._governor.balances()}
        return [s for s in self._standing.values() if is_over(s, balances.get((s.budget, s.kind)), now)]

    async def _take_back(self, standing: Standing) -> None:
        """Nothing of a crossing stands any more; its incident says so and is resolved."""
        if self._standing.pop(standing.key, None) is None:
            return
        for service in standing.slowed:
            await self._throttle(service, self._percent(service))
        for stop_id in standing.held:
            await self._give_back(stop_id, standing)
        for scope, reason in standing.stopped:
            await self._resume(scope, reason, standing)
        await self._keep()
        text = f"A new {standing.kind} window of the budget {standing.budget} opened: calls are admitted again"
        with suppress(BadInput):  # retention has deleted it
            await self._pipeline.note(standing.incident, by=BY, text=text)
            await self._pipeline.resolve(standing.incident, by=BY)

    async def _resume(self, scope: Mapping[str, str], reason: str, standing: Standing) -> None:
        """Turn a switch back, unless another crossing still needs it or a person has turned it since."""
        needed = any(dict(scope) == other for one in self._standing.values() for other, _ in one.stopped)
        ours = any(switch.scope == scope and switch.reason == reason for switch in self._governor.stopped())
        if ours and not needed:
            why = f"a new {standing.kind} window of the budget {standing.budget} opened"
            await self._audited("switch.resuming", scope, why)
            await self._governor.resume(scope, why)
            await self._audited("switch.resumed", scope, why)

    # --- hands -----------------------------------------------------------------------------------------------

    def channels(self) -> Sequence[str]:
        return self._channels

    def rated(self, scope: Mapping[str, str]) -> Sequence[str]:
        """The services with a rate that a scope covers: the one it names, those that are asked for its model, or all."""
        rated = [status.service for status in self._governor.services() if status.rate is not None]
        named = scope.get("service", scope.get("provider"))
        model = scope.get("model")
        return [s for s in rated if named in (None, s) and (model is None or model in self._models.get(s, ()))]

    async def slow(self, standing: Standing, services: Sequence[str], percent: int) -> None:
        """A throttle of grade 0: this process slows down now, every other within a second."""
        standing.slowed = sorted({*standing.slowed, *services})
        standing.percent = min(standing.percent, percent)
        for service in services:
            await self._throttle(service, self._percent(service, standing))

    async def _throttle(self, service: str, percent: int) -> None:
        """Turn the switch of a service's rate, unless a person or a stop has it."""
        self._governor.slow(service, percent)
        scope = {"service": service}
        found = next((one for one in self._governor.stopped() if one.scope == scope), None)
        if (found is None and percent == ALL) or (found is not None and (found.grade or found.by != BY)):
            return
        reason, at_ms = "a budget is nearly used up", int(self._clock.now().timestamp() * 1_000)
        kept = percent if percent < ALL else 0
        switch = Switch(scope=scope, stopped=percent < ALL, reason=reason, at_ms=at_ms, grade=0, percent=kept, by=BY)
        await self._governor.turn(switch)

    async def disable_keys(self, standing: Standing, scope: Mapping[str, str], reason: str) -> str:
        """Hold the keys of a scope: ours, and providers' where that is pre-authorised."""
        if self.emergency is None:
            return ""
        orders = self.emergency.orders
        order = Order(
            grade=Grade.G3,
            scope=scope,
            reason=reason,
            by=BY,
            automatic=True,
            only_targets=True,
            incident=standing.incident,
        )
        planned = await orders.plan(order)
        if not planned.plan.targets:
            return ""
        await orders.keep(planned)
        await orders.apply(planned.id, by=BY)
        standing.held.append(planned.id)
        names = [target.name for target in planned.plan.targets]
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        return f"{', '.join(names[:NAMED_MAX])}{more} held by {planned.id}"

    async def _give_back(self, stop_id: str, standing: Standing) -> None:
        """Our own keys come back with the window; a provider's wait for a person."""
        if self.emergency is None:
            return
        why = f"a new {standing.kind} window of the budget {standing.budget} opened"
        if not await self.emergency.orders.lapse(stop_id, why=why):
            text = f"{stop_id} holds credentials of a provider: aegis recover --stop {stop_id}"
            with suppress(BadInput):  # retention has deleted it
                await self._pipeline.note(standing.incident, by=BY, text=text)

    async def stop(self, standing: Standing, scope: Mapping[str, str], reason: str) -> str:
        for switch in self._governor.stopped():
            if switch.scope == scope:
                if any(dict(scope) == other for one in self._standing.values() for other, _ in one.stopped):
                    standing.stopped.append((dict(scope), switch.reason))
                return f"{scope_words(scope)} was stopped already: {switch.reason}"
        standing.stopped.append((dict(scope), reason))
        at_ms = int(self._clock.now().timestamp() * 1_000)
        switch = Switch(scope=dict(scope), stopped=True, reason=reason, at_ms=at_ms, grade=Grade.G2, by=BY)
        with suppress(StoreError):  # a log that cannot be written keeps nothing from being stopped
            await self._audited("switch.stopping", scope, reason)
        await self._governor.turn(switch)
        if self.emergency is not None:
            await self.emergency.parts.board.revoke(scope)
        await self._audited("switch.stopped", scope, reason)
        return f"{scope_words(scope)} is stopped until the window resets or somebody resumes it"

    async def _audited(self, what: str, scope: Mapping[str, str], why: str) -> None:
        if self.emergency is not None:
            facts = {"scope": scope_words(scope), "reason": why}
            await self.emergency.parts.audit.note(BY, what, facts)

    def _percent(self, service: str, extra: Standing | None = None) -> int:
        """The share of a service's rate that everything in force leaves."""
        all_ = [*self._standing.values(), *([extra] if extra else [])]
        return min((one.percent for one in all_ if service in one.slowed), default=100)

    # --- the record ------------------------------------------------------------------------------------------

    async def restore(self) -> list[LevelCrossed]:
        """After a start: read the record and slow down what it says (switches are kept by the store). Returns levels
        that are crossed and not on record: a crash came in between. Raises `StoreError`.
        """
        kept = await self._lookups.setting(SETTING)
        rows = [Standing.of(row) for row in orjson.loads(kept)] if kept else []
        self._standing = {row.key: row for row in rows}
        for service in {service for row in rows for service in row.slowed}:
            self._governor.slow(service, self._percent(service))
        self._looked_at = self._clock.now() - LOOK_EVERY
        return [
            c for b in await self._governor.balances() for c in crossings(b, self._clock.now()) if not self.known(c)
        ]

    async def _keep(self) -> None:
        spare = len(self._standing) - STANDING_MAX
        for key in [key for key, one in self._standing.items() if not one.holds][: max(0, spare)]:
            del self._standing[key]
        rows = [asdict(one) for one in self._standing.values()]
        await self._lookups.keep_setting(SETTING, orjson.dumps(rows).decode())

    async def _note(self, standing: Standing, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            text = f"Actions at {standing.level}: {sentence(outcomes)}"
            with suppress(BadInput):  # retention has deleted it
                await self._pipeline.note(standing.incident, by=BY, text=text)


@dataclass(slots=True)
class _Hands:
    """`governor.actions.Hands` for one crossing."""

    actions: BudgetActions
    standing: Standing

    def log(self, alarm: Alarm) -> None:
        _log.warning("%s", alarm.about, extra={"level_crossed": alarm.level})

    def channels(self) -> Sequence[str]:
        return self.actions.channels()

    def rated(self, scope: Mapping[str, str]) -> Sequence[str]:
        return self.actions.rated(scope)

    async def slow(self, services: Sequence[str], percent: int) -> None:
        await self.actions.slow(self.standing, services, percent)

    async def disable_keys(self, scope: Mapping[str, str], reason: str) -> str:
        return await self.actions.disable_keys(self.standing, scope, reason)

    async def stop(self, scope: Mapping[str, str], reason: str) -> str:
        return await self.actions.stop(self.standing, scope, reason)
