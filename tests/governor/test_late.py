"""A batch is priced request by request, and counted to the truth also by a process that did not make it."""

from __future__ import annotations

import pytest
from tests.governor.fakes import CENT, PRICES, START, Stage, asking, daily

from aegis.core.errors import BudgetExceeded
from aegis.core.prices import Price, PriceBook
from aegis.stores.memory_ledger import MemoryLedger
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio


async def test_a_cost_that_was_reckoned_apart_is_held_and_settled() -> None:
    stage = Stage(daily(10))
    async with stage.governor:
        with pytest.raises(BudgetExceeded):
            async with stage.governor.admit(asking(1, cost=11 * CENT)):
                pass
        async with stage.governor.admit(asking(1, cost=10 * CENT)) as reservation:
            assert reservation.worst == 10 * CENT
            reservation.settle({"input_tokens": 3}, cost=4 * CENT)
        assert await stage.settled() == 4


async def test_what_a_lost_process_held_is_corrected_once_and_only_when_it_is_lost() -> None:
    clock = FakeClock(START)
    ledger = MemoryLedger(clock)
    lost = Stage(daily(10), daily(100, name="tokens", unit="input_tokens"), ledger=ledger, clock=clock)
    async with lost.governor:
        reservation = await lost.governor.admit(asking(5, cost=9 * CENT)).__aenter__()
        attempt = reservation.id
        assert not await lost.governor.correct(attempt, {"input_tokens": 2}, 3 * CENT), "it is under way"
    other = Stage(daily(10), daily(100, name="tokens", unit="input_tokens"), ledger=ledger, clock=clock, holder="other")
    async with other.governor:
        assert await other.settled() == 9, "until somebody knows, the worst case counts"
        for _ in range(2):
            assert await other.governor.correct(attempt, {"input_tokens": 2}, 3 * CENT)
            assert await other.settled() == 3
        used = {balance.budget: balance.settled for balance in await other.governor.balances()}
        assert used["tokens"] == 2


async def test_a_call_at_the_list_price_after_a_cheaper_one_is_held_at_the_list_price() -> None:
    dear = PRICES.overrides["anthropic", "dear"]
    half = Price(service="anthropic", model="dear", rates=dict.fromkeys(dear.rates, ((0, 1),)))
    tiered = Price(service="anthropic", model="dear", rates=dear.rates, tiers={"flex": half})
    stage = Stage(daily(10), prices=PriceBook(overrides={("anthropic", "dear"): tiered}))
    async with stage.governor:
        async with stage.governor.admit(asking(1, tier="flex")) as reservation:
            assert reservation.worst == 1
        async with stage.governor.admit(asking(1)) as reservation:
            assert reservation.worst == CENT
