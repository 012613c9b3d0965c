"""A level is told once for a budget and window, however often a program starts and however many of them there are."""

from __future__ import annotations

import pytest
from tests.governor.complaints import tries
from tests.governor.fakes import CENT, HOUR_MS, START, Stage, daily

from aegis.core.telemetry import LevelCrossed, WindowReset
from aegis.stores.memory_ledger import MemoryLedger
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio


async def live(clock: FakeClock, ledger: MemoryLedger, calls: int, limit: int = 10) -> list[str]:
    """Start a program, let it make calls and end; returns the levels that it told."""
    stage = Stage(daily(limit, warning=limit // 2), clock=clock, ledger=ledger)
    async with stage.governor as governor:
        await tries(governor, calls)
        await governor.tick()
    return [crossing.level for crossing in stage.heard(LevelCrossed)]


async def test_a_program_that_starts_again_tells_no_level_a_second_time() -> None:
    clock = FakeClock(START)
    ledger = MemoryLedger(clock)
    told = [await live(clock, ledger, calls) for calls in (6, 1, 0, 9, 3)]
    assert told == [["warning"], [], [], ["emergency"], []]
    clock.pass_ms(14 * HOUR_MS)
    assert await live(clock, ledger, 6) == ["warning"], "the next day is another window"


async def test_the_first_refusal_for_want_of_budget_is_an_emergency_before_all_is_spent() -> None:
    stage = Stage(daily(10, warning=9))
    async with stage.governor as governor:
        assert await tries(governor, 2, {"input_tokens": 6}, tokens=6) == 1
        await governor.tick()
        [crossing] = stage.heard(LevelCrossed)
        assert (crossing.level, crossing.spent, crossing.limit) == ("emergency", 6 * CENT, 10 * CENT)


async def test_a_limit_lowered_below_what_is_spent_refuses_at_once_and_its_level_is_told() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        assert await tries(governor, 6) == 6
        governor.rebudget([daily(4)])
        assert await tries(governor, 3) == 0
        await governor.tick()
        assert [crossing.level for crossing in stage.heard(LevelCrossed)] == ["emergency"]
        [balance] = await governor.balances()
        assert (balance.limit, balance.overrun) == (4 * CENT, 2 * CENT)


async def test_a_reset_is_told_only_where_something_had_been_crossed_or_refused() -> None:
    stage = Stage(daily(10, name="loud", warning=5), daily(100, name="quiet"))
    async with stage.governor as governor:
        await tries(governor, 6)
        await governor.tick()
        stage.clock.pass_ms(14 * HOUR_MS)
        await tries(governor, 1)
        await governor.tick()
        assert [reset.budget for reset in stage.heard(WindowReset)] == ["loud"]
