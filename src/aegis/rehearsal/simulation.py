"""Recorded calls under another policy: the real governor with other budgets, gates and prices, on the record's own time.

What is known of a call is in the journal: when it was asked, for whom, which models it would take, how long it took and what it
used. Policy, stated with every result: a call that was refused then and is made now is taken to use what those like it used, in
the mean, of their worst case; answers from the cache stay answers from the cache; the calls that a program would have made in
place of refused ones are not known, so none are made up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import anyio.lowlevel

from aegis.core.budgets import Budget
from aegis.core.calls import Call, Priority
from aegis.core.charges import EndedAttempt
from aegis.core.errors import AegisError, Refused
from aegis.core.money import Nanos
from aegis.core.prices import MILLION, PriceBook
from aegis.governor.governor import Governor
from aegis.governor.policies import ServicePolicy
from aegis.rehearsal.clock import StoryClock
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger

CALLS_MAX: Final = 50_000
"""Recorded calls in one simulation: the newest; some two milliseconds each."""
HOUSEKEEPING: Final = timedelta(seconds=1)
"""A governor is made to look at its windows and leases at least this often."""
TURNS: Final = 8
CALM_ROUNDS: Final = 2
"""Turns of the loop without anything under way before time moves on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One call to play again: `usage` is what it uses once it is made, `took_ms` how long that takes; `free` calls were
    answered from the cache and cost nothing.
    """

    at: datetime
    took_ms: int
    call: Call
    usage: Mapping[str, int]
    free: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is tried: the budgets, the prices, the gates of each service, and how long a call of each severity may wait for
    its analysis.
    """

    budgets: Sequence[Budget]
    prices: PriceBook
    services: Mapping[str, ServicePolicy]
    waits: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a policy came to. Waits are milliseconds before a call was made; `missed` counts analyses of incidents that were
    refused.
    """

    made: int = 0
    cached: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cost: Counter[str] = field(default_factory=Counter)
    waits: list[int] = field(default_factory=list)
    missed: int = 0

    @property
    def spent(self) -> Nanos:
        return sum(self.cost.values())

    def wait(self, percent: int) -> int:
        """The wait that so many percent of the calls did not exceed."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0


def recorded_calls(attempts: Iterable[EndedAttempt], prices: PriceBook, waits: Mapping[str, int]) -> Sequence[Recorded]:
    """The calls behind these attempts, in order of time: one for each try, since each asked the governor by itself."""
    found = [one for one in attempts if one.state != "void"]
    means = _means(found)
    return [_recorded(one, prices, means, waits) for one in found]


def _recorded(
    one: EndedAttempt, prices: PriceBook, means: Mapping[tuple[str, str], int], waits: Mapping[str, int]
) -> Recorded:
    refused = one.state == "refused"
    percent = means.get((one.service, one.operation), 100)
    usage = {meter: units * percent // 100 for meter, units in one.usage.items()} if refused else dict(one.usage)
    wait_ms = waits.get(one.priority, 0) if one.scope.get("purpose") == "incident" else 0
    call = Call(
        id=one.call_id,
        service=one.service,
        operation=one.operation,
        worst=dict(one.usage) if refused else _bound(one, prices),
        models=tuple(dict.fromkeys(name for name in (one.wanted, one.model) if name)),
        scope=one.scope,
        priority=Priority[one.priority] if one.priority in Priority.__members__ else Priority.MEDIUM,
        wait_ms=wait_ms,
        tier=one.tier,
    )
    took = 0 if refused else max(0, (one.ended_at - one.at) // timedelta(milliseconds=1))
    return Recorded(at=one.at, took_ms=took, call=call, usage=usage, free=one.state == "cached")


def _bound(one: EndedAttempt, prices: PriceBook) -> Mapping[str, int]:
    """What the call was held for, as units: its usage, with as much more output as its hold in money leaves room for."""
    usage = dict(one.usage)
    try:
        price = prices.price(one.service, one.model, one.at.date()).at(one.tier)
        spare, each = one.worst - price.worst(usage), price.worst({"output_tokens": MILLION})
    except AegisError:  # no price any more, or no output: it is held for what it used
        return usage
    if spare > 0 and each:
        usage["output_tokens"] = usage.get("output_tokens", 0) + spare * MILLION // each
    return usage


def _means(found: Sequence[EndedAttempt]) -> Mapping[tuple[str, str], int]:
    """What made calls of a kind cost of what was held for them, in percent: as much of their worst case refused ones are taken
    to use.
    """
    cost: Counter[tuple[str, str]] = Counter()
    held: Counter[tuple[str, str]] = Counter()
    for one in found:
        if one.state == "settled" and one.worst:
            cost[one.service, one.operation] += one.cost
            held[one.service, one.operation] += one.worst
    return {kind: max(1, min(100, cost[kind] * 100 // held[kind])) for kind in held}


async def simulate(calls: Sequence[Recorded], policy: Policy) -> Outcome:
    """Play the calls under a policy. Nothing is sent anywhere; the ledger is one of its own that is thrown away. Raises
    `StoreError`.
    """
    outcome = Outcome()
    if not calls:
        return outcome
    clock = StoryClock(calls[0].at)
    with TemporaryDirectory(prefix="aegis-simulate-") as folder:
        async with AsyncExitStack() as opened:
            database = await Database.open(Path(folder) / "aegis.db")
            opened.push_async_callback(database.close)
            governor = await opened.enter_async_context(
                Governor(
                    budgets=policy.budgets,
                    prices=policy.prices,
                    ledger=SqliteLedger(database, clock),
                    clock=clock,
                    services=policy.services,
                )
            )
            await _Player(governor, clock, database, outcome).play(calls)
    return outcome


class _Player:
    """Lets the record's time pass and asks the governor at each call's moment."""

    def __init__(self, governor: Governor, clock: StoryClock, database: Database, outcome: Outcome) -> None:
        self._governor, self._clock, self._database, self._outcome = governor, clock, database, outcome
        self._kept = clock.now()

    async def play(self, calls: Sequence[Recorded]) -> None:
        async with anyio.create_task_group() as tasks:
            for one in calls:
                await self._reach(one.at)
                tasks.start_soon(self._ask, one)
                await self._calm()
            last = max(one.at + timedelta(milliseconds=one.took_ms + one.call.wait_ms) for one in calls)
            await self._reach(last + HOUSEKEEPING)

    async def _reach(self, at: datetime) -> None:
        """Wake whoever wakes before `at`, and keep the governor's house on the way."""
        while (wakes := self._clock.next_waking()) is not None and wakes <= at:
            self._clock.move_to(wakes)
            await self._calm()
        self._clock.move_to(at)
        if at - self._kept >= HOUSEKEEPING:
            self._kept = at
            await self._governor.tick()

    async def _calm(self) -> None:
        """Return when the store has answered everybody and every task waits for the clock."""
        rounds = 0
        while rounds < CALM_ROUNDS:
            for _ in range(TURNS):
                await anyio.lowlevel.checkpoint()
            rounds = 0 if self._database.under_way else rounds + 1
            if self._database.under_way:
                await anyio.sleep(0.0002)

    async def _ask(self, one: Recorded) -> None:
        outcome, asked = self._outcome, self._clock.now()
        if one.free:
            outcome.cached += 1
            return
        try:
            async with self._governor.admit(one.call) as reservation:
                outcome.waits.append((self._clock.now() - asked) // timedelta(milliseconds=1))
                await self._clock.sleep_ms(one.took_ms)
                reservation.settle(one.usage)
        except Refused as refusal:
            outcome.refused[refusal.gate] += 1
            outcome.missed += one.call.scope.get("purpose") == "incident" and bool(one.call.models)
        except AegisError as error:  # a price that the policy does not have
            outcome.refused[type(error).__name__] += 1
        else:
            outcome.made += 1
            outcome.cost[one.call.service] += reservation.cost
