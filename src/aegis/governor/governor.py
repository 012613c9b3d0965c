"""The governed call: gates, then one atomic reservation of the worst case, then the call, then its true cost.

Policy: a refusal touches nothing; a call that ends without saying what it used counts at its worst case; what a call
may cost is on record, durably, before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from aegis.core.adjusting import Adjusted, Adjustment
from aegis.core.budgets import Balance, Budget, BudgetBook, Route
from aegis.core.calls import Call, Usage
from aegis.core.errors import BudgetExceeded, Refused, StoreError
from aegis.core.ledger import Correction, Shortage, Switch, Synced
from aegis.core.money import Nanos
from aegis.core.ports import Answers, Clock, Ledger
from aegis.core.prices import Price, PriceBook
from aegis.core.telemetry import Observer
from aegis.core.usage import check_usage
from aegis.governor.account import Account, Spend
from aegis.governor.allowances import Hold
from aegis.governor.cache import BYTES_MAX, AnswerCache, answer_key
from aegis.governor.fitting import Fit
from aegis.governor.gates import Gates, ServiceStatus
from aegis.governor.holder import Holder
from aegis.governor.late import late_correction
from aegis.governor.plans import Plan, Plans
from aegis.governor.policies import ServicePolicy
from aegis.governor.queue import WaitingRoom
from aegis.governor.records import Explanation, budget_refusal
from aegis.governor.reservation import Admission, Reservation
from aegis.governor.selection import candidates, under_one_name
from aegis.governor.switch import StopSwitch
from aegis.governor.teller import Teller


class Governor:
    """Admits metered calls; `core.ports.Governs`. Use it as `async with governor:`, which joins the ledger and, at
    the end, reports everything and gives back what was lent.

    `holder` names this process in the ledger: two live processes must not share a name. `cache_bytes` bounds the
    answers that are kept in memory.
    """

    def __init__(
        self,
        *,
        budgets: Sequence[Budget],
        prices: PriceBook,
        ledger: Ledger,
        clock: Clock,
        services: Mapping[str, ServicePolicy] | None = None,
        answers: Answers | None = None,
        observers: Sequence[Observer] = (),
        holder: str = "main",
        cache_bytes: int = BYTES_MAX,
    ) -> None:
        self._prices, self._ledger, self._clock = prices, ledger, clock
        self._teller = Teller(clock, observers)
        self._holder = Holder(ledger=ledger, clock=clock, name=holder, news=self._teller.news)
        self._gates = Gates(services or {}, clock, self._holder.allowance)
        self._cache = AnswerCache(clock, answers, bytes_max=cache_bytes)
        self._switch = StopSwitch(self._name, self._teller.now_ms)
        self._under_way: set[Reservation] = set()
        self._slowed: dict[str, int] = {}
        self._pools: tuple[Budget, ...] = ()
        self._fits: dict[tuple[str, str], Fit] = {}
        self._rooms: dict[str, WaitingRoom] = {}
        self.rebudget(budgets)
        self._tasks: TaskGroup | None = None

    # --- the path --------------------------------------------------------------------------------------------

    def admit(self, call: Call) -> Admission:
        """Admit a call for the length of an `async with` block, or raise `Refused` (nothing was spent) or `StoreError`,
        and `BadInput` for a bound that is no count of units (negative, fractional, absurd).

        Settle the reservation inside the block. A `ServiceError` that says it was not billed voids it; leaving the
        block in any other way without settling counts the worst case.
        """
        return Admission(self._open, self._close, call)

    def shrink(self, reservation: Reservation, worst: Usage) -> None:
        """A stream proceeded: from here on it uses at most `worst` in all, and others may have the rest. Raises
        `BadInput` for a bound that is no count of units.
        """
        check_usage(worst)
        if reservation.plan is not None and reservation.hold is not None:
            needs = reservation.plan.route.needs(reservation.plan.price.worst(worst), worst)
            self._holder.shrink(reservation.hold, needs)

    async def _open(self, admission: Admission) -> Reservation:
        """A place in the queue of the service, where the gates are tried until they let the call through."""
        call, started_ns = admission.call, self._clock.monotonic_ns()
        check_usage(call.worst)
        try:
            self._gates.count(call, started_ns)
            if call.wait_ms or self._rooms.get(call.service):
                reservation = await self._room(call.service).enter(call, self._attempt)
            else:  # nobody waits, nor may this one
                reservation = await self._attempt(call)
        except Refused as refusal:
            row = refusal.row if isinstance(refusal, BudgetExceeded) else None
            attempt = self._holder.attempt(call.id)
            self._holder.note(self._teller.refused(call, refusal, attempt, started_ns), row)
            raise
        except StoreError as error:
            self._teller.failed(call, error, started_ns)
            raise
        reservation.started_ns = started_ns
        admission.reservation = reservation
        self._under_way.add(reservation)
        return reservation

    async def _attempt(self, call: Call) -> Reservation:
        """Each candidate in order until one is not stopped and passes all of its gates."""
        refusal: Refused | None = None
        for model in candidates(call):
            try:
                self._switch.check(call, model)
                return await (self._answer(call, model) if call.cache_key else self._reserve(call, model))
            except Refused as no:
                refusal = no
        assert refusal is not None, "there is always a candidate"
        raise refusal

    async def _answer(self, call: Call, model: str) -> Reservation:
        """An answer from before, or else the place of the one that asks."""
        key = answer_key(call, model)
        if (answer := await self._cache.find(key)) is not None:
            cached = Reservation(call, model)
            cached.id, cached.cached, cached.end = self._holder.attempt(call.id), answer, "cached"
            return cached
        try:
            reservation = await self._reserve(call, model)
        except BaseException:
            self._cache.land(key, None)
            raise
        reservation.key = key
        return reservation

    async def _reserve(self, call: Call, model: str) -> Reservation:
        """Breaker, throttle, bucket; then every budget line at once; then the journal, durable before the block is
        entered. A refusal keeps nothing.
        """
        now_ns = self._clock.monotonic_ns()
        plan, reservation = self._plans.plan(call, model, now_ns), Reservation(call, model)
        reservation.plan = plan
        reservation.worst = plan.price.worst(call.worst) if call.cost is None else call.cost
        self._gates.admit(call, plan.passage, plan.route, now_ns)
        try:
            needs = plan.route.needs(reservation.worst, call.worst)
            if plan.fit is not None:
                needs, reservation.worst = plan.fitted(needs), plan.fit.held(reservation.worst)
            hold = self._holder.take(call.id, plan.route, needs) or await self._ask(call, plan.route, needs)
            reservation.id, reservation.hold = hold.attempt, hold
            hold.journalled = hold.journalled or reservation.worst > 0
            if hold.journalled:
                await self._holder.sent(hold, self._teller.sent(reservation, hold))
        except BaseException:
            self._give_back(reservation, plan)
            raise
        return reservation

    async def _ask(self, call: Call, route: Route, needs: tuple[int, ...]) -> Hold:
        hold = await self._holder.reserve(call.id, route, needs)
        if isinstance(hold, Shortage):
            raise budget_refusal(hold, self._clock.now())
        return hold

    def _give_back(self, reservation: Reservation, plan: Plan) -> None:
        """Nothing was sent: the gates and the ledger get back what they gave."""
        plan.passage.give_back()
        if reservation.hold is not None:
            reservation.void()
            self._holder.end(reservation.hold, reservation.amounts(), self._teller.unsent(reservation))

    def _close(self, reservation: Reservation, failure: BaseException | None) -> None:
        """Settle, learn, remember the answer, tell. Memory only: a cancelled caller cannot tear it."""
        self._under_way.discard(reservation)
        reservation.finish(failure)
        entry = self._teller.ended(reservation, failure)
        if reservation.hold is None:
            self._holder.note(entry)
        else:
            self._holder.end(reservation.hold, reservation.amounts(), entry)
        if reservation.plan is not None:
            reservation.plan.passage.learn(failure, reservation.cost, self._clock.monotonic_ns())
            if reservation.plan.fit is not None and reservation.end == "settled":
                reservation.plan.fit.learn(cost=reservation.cost, strict=reservation.strict(), held=reservation.worst)
        if reservation.key:
            keep_ms = self._gates.policy(reservation.call.service).cache_ms
            self._cache.land(reservation.key, reservation.answer or None, keep_ms=keep_ms)

    def _room(self, service: str) -> WaitingRoom:
        room = self._rooms.get(service)
        if room is None:
            policy = self._gates.policy(service)
            room = WaitingRoom(
                service,
                self._clock,
                waiting_max=policy.waiting_max,
                age_ms=policy.age_ms,
                bytes_max=policy.waiting_bytes_max,
            )
            self._rooms[service] = room
        return room

    # --- running it ------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._obey(await self._ledger.switches())
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._holder.run)
        await self._holder.flush()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tasks is not None, "a governor is left after it was entered"
        with anyio.CancelScope(shield=True):
            await self._leave()
        # The block's own error goes on as it is, not wrapped into a group with the reporter's.
        await self._tasks.__aexit__(None, None, None)

    async def tick(self) -> None:
        """One turn of housekeeping; call it about four times a second. It renews the lease, returns idle allowance,
        opens windows that began, writes new answers, and reads the switches. Raises `StoreError`.
        """
        self._obey(await self._ledger.switches())
        await self._holder.renew()
        await self._cache.write()
        await self._tell_ledger()

    async def _tell_ledger(self) -> None:
        if told := list(self._teller.told):
            await self._ledger.told(told)
            del self._teller.told[: len(told)]

    async def _leave(self) -> None:
        try:
            await self._cache.write()
            await self._holder.leave()
            await self._tell_ledger()
        except StoreError:
            return  # the lease lapses by itself, and what was held counts
        finally:
            self._holder.stop()

    # --- steering and reading it -----------------------------------------------------------------------------

    async def stop(self, scope: Mapping[str, str], reason: str) -> None:
        """Take no more calls of a scope (empty: none at all), here at once and everywhere within a tick."""
        await self._turn(scope, reason, stopped=True)

    async def resume(self, scope: Mapping[str, str], reason: str = "") -> None:
        """Take calls of a scope again."""
        await self._turn(scope, reason, stopped=False)

    async def turn(self, switch: Switch) -> None:
        """Turn a switch, here at once and everywhere within a tick. Raises `StoreError`."""
        await self._ledger.turn(switch)
        self._obey(await self._ledger.switches())

    def stopped(self) -> Sequence[Switch]:
        """Which scopes take no calls, as this process last read it."""
        return self._switch.stopped

    def slow(self, service: str, percent: int) -> None:
        """Scale a service's rate to `percent` of what is configured (100: back to normal), in this process. A switch of
        grade 0 slows it everywhere; whatever leaves least holds.
        """
        self._slowed[service] = percent
        self._slow(service)

    @property
    def budgets(self) -> Sequence[Budget]:
        """The budgets in force."""
        return self._budgets

    def rebudget(self, budgets: Sequence[Budget]) -> None:
        """From now on these budgets hold. A lowered limit refuses at once, also below what is spent already."""
        self._budgets = tuple(budgets)
        today = self._clock.now().date()
        self.book = book = BudgetBook(tuple(under_one_name((*budgets, *self._pools), self._prices, today)))
        self._plans = Plans(book, self._prices, self._gates, self._clock, self._fits)
        self._account = Account(self._ledger, book, self._clock, self._holder.idle)

    @property
    def prices(self) -> PriceBook:
        """The prices that hold."""
        return self._prices

    def reprice(self, prices: PriceBook) -> None:
        """From now on these prices hold; what is held already stays as it was priced."""
        self._prices.change(prices)
        self.rebudget(self._budgets)

    def _obey(self, switches: Sequence[Switch]) -> None:
        """What the store says now: slow down, let CRITICAL calls have their pools, end what has to end."""
        before = {service: self._switch.percent(service) for service in self._gates.services()}
        ending = self._switch.learn(switches)
        for service, percent in before.items():
            if percent != self._switch.percent(service):
                self._slow(service)
        if (pools := self._switch.pools()) != self._pools:
            self._pools = pools
            self.rebudget(self._budgets)
        for reservation in tuple(self._under_way) if ending else ():
            if any(self._switch.covers(switch, reservation.call, reservation.model) for switch in ending):
                reservation.interrupt()

    def _slow(self, service: str) -> None:
        self._gates.slow(service, min(self._slowed.get(service, 100), self._switch.percent(service)))

    def _name(self, service: str, model: str) -> str:
        return self._prices.name(service, model, self._clock.now().date())

    async def _turn(self, scope: Mapping[str, str], reason: str, *, stopped: bool) -> None:
        await self.turn(Switch(scope=dict(scope), stopped=stopped, reason=reason, at_ms=self._teller.now_ms()))

    async def balances(self) -> Sequence[Balance]:
        """How every budget stands in its current window."""
        await self._holder.flush()
        return await self._account.balances()

    async def spent(self, since: date | None = None) -> Sequence[Spend]:
        """What each service came to since a day, or in all."""
        await self._holder.flush()
        return await self._account.spent(since)

    async def explain(self, call_id: str) -> Sequence[Explanation]:
        """Every attempt of a call: which gate, which line, need, free, resets at."""
        await self._holder.flush()
        return await self._account.explain(call_id)

    def price(self, service: str, model: str, tier: str = "") -> Price:
        """What a model costs today at a tier of service. Raises `UnknownPrice`."""
        return self._prices.price(service, model, self._clock.now().date()).at(tier)

    async def correct(self, attempt: str, usage: Usage, cost: Nanos) -> bool:
        """The true use, learned late, of an attempt whose process is gone: it was counted at its worst case. False while
        its process still has it under way. Raises `BadInput` for a usage that cannot be true, and `StoreError`.
        """
        check_usage(usage)
        correction = await late_correction(self._ledger, attempt, usage, cost)
        if isinstance(correction, Correction):
            await self._holder.correct(correction)
        return correction is not None

    async def adjust(self, adjustment: Adjustment) -> Adjusted:
        """Take over what a provider's bill says (its lines are found in `book`); crossed levels are told. Raises `StoreError`."""
        await self._holder.flush()
        done = await self._ledger.adjust(adjustment)
        if done.crossings:
            self._teller.news(Synced(crossings=done.crossings))
            await self._tell_ledger()
        return done

    def fits(self) -> Mapping[tuple[str, str], Fit]:
        """What was learned of each model (service, model) whose service holds fitted bounds."""
        return self._fits

    def services(self) -> Sequence[ServiceStatus]:
        """How the gates of each service stand."""
        statuses = [self._gates.status(service) for service in sorted(self._gates.services())]
        rooms = [self._room(status.service) for status in statuses]
        return [
            replace(status, waiting=len(room), depths=room.depths())
            for status, room in zip(statuses, rooms, strict=True)
        ]

    def cached(self) -> tuple[int, int]:
        """How many calls were answered from the cache so far, and how many asked it in vain."""
        return self._cache.hits, self._cache.misses
