"""What the tests of other systems' complaints share: programs on one store, and bursts of calls under way at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from tests.governor.fakes import PRICES, START, asking

from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Usage
from aegis.core.errors import Refused
from aegis.core.windows import WindowPolicy
from aegis.governor.governor import Governor
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger
from aegis.testing import FakeClock

FULL = {"input_tokens": 1}


@asynccontextmanager
async def programs(
    path: Path, *budgets: Budget, count: int = 2, clock: FakeClock | None = None
) -> AsyncIterator[Sequence[Governor]]:
    """Programs that govern by one file, each with a connection and a holder of its own."""
    clock = clock or FakeClock(START)
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            database = await Database.open(path)
            stack.push_async_callback(database.close)
            ledger = SqliteLedger(database, clock)
            governor = Governor(budgets=budgets, prices=PRICES, ledger=ledger, clock=clock, holder=f"pod-{number}")
            made.append(await stack.enter_async_context(governor))
        yield made


async def burst(
    *governors: Governor, calls: int, used: Usage = FULL, clock: FakeClock | None = None, **more: Any
) -> int:
    """Ask for so many calls at once, in turn from each governor; all that are admitted are under way together, then
    use `used`. Returns how many were admitted. `clock` is moved on for who waits for what others give back.
    """
    under_way = decided = 0
    end = anyio.Event()

    async def one(governor: Governor, number: int) -> None:
        nonlocal under_way, decided
        try:
            async with governor.admit(asking(**{"id": f"call-{number}", **more})) as reservation:
                under_way, decided = under_way + 1, decided + 1
                await end.wait()
                reservation.settle(used)
        except Refused:
            decided += 1

    async with anyio.create_task_group() as group:
        for number in range(calls):
            group.start_soon(one, governors[number % len(governors)], number)
        while decided < calls:
            await anyio.lowlevel.checkpoint()
            if clock is not None and clock.sleeping:
                for governor in governors:
                    await governor.tick()
                await clock.advance(50)
        end.set()
    return under_way


def metered(limit: int, unit: str, *, name: str = "tokens", span_ms: int = 0, **more: Any) -> Budget:
    """A budget in a meter's units, a day or a rolling span."""
    window = WindowPolicy(kind="rolling", span_ms=span_ms) if span_ms else WindowPolicy(kind="day")
    return Budget(name=name, unit=unit, windows=(Amounts(window=window, emergency=limit),), **more)


async def tries(governor: Governor, number: int, used: Usage = FULL, **more: Any) -> int:
    """Ask for calls one after the other until one is refused; returns how many passed."""
    for passed in range(number):
        try:
            async with governor.admit(asking(**{"id": f"try-{passed}", **more})) as reservation:
                reservation.settle(used)
        except Refused:
            return passed
    return number


async def settled(governor: Governor, budget: str = "everything", *, held: bool = False) -> int:
    """What a budget has settled in all its parts, in its own unit. Nothing of it may still be held, unless other
    programs have some of it at hand (`held`).
    """
    balances = [balance for balance in await governor.balances() if balance.budget == budget]
    assert held or all(balance.held == 0 for balance in balances), "a call that ended holds nothing"
    return sum(balance.settled for balance in balances)


async def quiet(clock: FakeClock, *governors: Governor) -> None:
    """Let three seconds pass in which nobody calls: what programs have at hand goes back."""
    for governor in governors:
        await governor.tick()
    await clock.advance(3_000)
    for governor in governors:
        await governor.tick()
