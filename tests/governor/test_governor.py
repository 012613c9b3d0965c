"""What a governed call promises: a refusal spends nothing, and whatever happens inside the block is paid once."""

from __future__ import annotations

import anyio
import pytest
from tests.governor.fakes import CENT, HOUR_MS, Stage, asking, daily

from aegis.core.errors import BadInput, Billed, BudgetExceeded, Refused, ServiceError, Stopped, StoreError, UnknownPrice
from aegis.core.telemetry import CallEnded, LevelCrossed, WindowReset
from aegis.stores.memory_ledger import MemoryLedger

pytestmark = pytest.mark.anyio


async def test_a_settled_call_costs_what_it_used() -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=40)) as reservation:
            assert reservation.worst == 40 * CENT
            reservation.settle({"input_tokens": 7})
        assert (reservation.cost, await stage.settled()) == (7 * CENT, 7)
    assert [(e.outcome, e.cost) for e in stage.heard(CallEnded)] == [("settled", 7 * CENT)]


async def test_a_refused_call_spends_nothing_and_says_why() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=8)) as reservation:
            reservation.settle({"input_tokens": 8})
        with pytest.raises(BudgetExceeded) as refusal:
            async with governor.admit(asking(tokens=3, id="too much")):
                pytest.fail("a refused call was let in")
        assert (refusal.value.need, refusal.value.settled, refusal.value.limit) == (3 * CENT, 8 * CENT, 10 * CENT)
        assert refusal.value.retry_after_ms == 14 * 3_600_000
        assert await stage.settled() == 8
        [why] = await governor.explain("too much")
        assert (why.state, why.gate, why.refusal["need"], why.cost) == ("refused", "budget", 3 * CENT, 0)


async def test_a_block_left_without_settling_counts_at_the_worst_case() -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=40)) as reservation:
            pass
        assert (reservation.cost, await stage.settled()) == (40 * CENT, 40)


async def test_a_cancelled_caller_still_pays() -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        with anyio.CancelScope() as scope:
            async with governor.admit(asking(tokens=40)):
                scope.cancel()
                await anyio.sleep_forever()
        [balance] = await governor.balances()
        assert (balance.settled, balance.held) == (40 * CENT, 0)


@pytest.mark.parametrize(("billed", "cents"), [(Billed.NO, 0), (Billed.UNKNOWN, 40), (Billed.YES, 40)])
async def test_a_failed_call_is_free_only_when_the_service_did_not_bill(billed: Billed, cents: int) -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        with pytest.raises(ServiceError):
            async with governor.admit(asking(tokens=40)):
                raise ServiceError("anthropic", "overloaded", retryable=True, billed=billed, status=529)
        assert await stage.settled() == cents


@pytest.mark.parametrize("usage", [{"input_tokens": -5}, {"input_tokens": float("nan")}, {"input_tokens": 10**16}])
async def test_a_usage_that_cannot_be_true_mints_nothing(usage: dict[str, int]) -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        with pytest.raises(BadInput):
            async with governor.admit(asking(tokens=40)) as reservation:
                reservation.settle(usage)
        assert await stage.settled() == 40


async def test_a_second_settlement_changes_nothing() -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=40)) as reservation:
            reservation.settle({"input_tokens": 5})
            reservation.settle({"input_tokens": 9})
            reservation.void()
        assert (await stage.settled(), reservation.repeated) == (5, 2)


async def test_the_truth_above_the_worst_case_is_recorded_and_nothing_more_fits() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=9)) as reservation:
            reservation.settle({"input_tokens": 15})
        [balance] = await governor.balances()
        assert (balance.settled, balance.overrun) == (15 * CENT, 5 * CENT)
        with pytest.raises(BudgetExceeded):
            async with governor.admit(asking(tokens=1)):
                pass


async def test_a_model_without_a_price_is_refused_with_the_line_that_sets_it() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        with pytest.raises(UnknownPrice, match=r'prices: \{"anthropic/mystery"'):
            async with governor.admit(asking(models=("mystery",))):
                pass


async def test_the_next_candidate_is_tried_when_a_budget_no_longer_allows_the_first() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=50, models=("dear", "cheap"))) as reservation:
            assert reservation.model == "cheap"
            reservation.settle({"input_tokens": 50})
        assert await stage.settled() == 5
    assert not stage.heard(LevelCrossed)


async def test_each_level_is_told_once_in_a_window_and_again_in_the_next() -> None:
    stage = Stage(daily(10, warning=5))
    async with stage.governor as governor:
        for _ in range(4):
            try:
                async with governor.admit(asking(tokens=3)) as reservation:
                    reservation.settle({"input_tokens": 3})
            except Refused:
                pass
        await governor.tick()
        levels = [(crossing.level, crossing.window) for crossing in stage.heard(LevelCrossed)]
        assert levels == [("warning", "day 2026-11-21"), ("emergency", "day 2026-11-21")]
        stage.clock.pass_ms(14 * HOUR_MS)
        await governor.tick()
        assert [reset.window for reset in stage.heard(WindowReset)] == ["day 2026-11-22"]
        async with governor.admit(asking(tokens=6)) as reservation:
            reservation.settle({"input_tokens": 6})
        await governor.tick()
    assert stage.heard(LevelCrossed)[-1].window == "day 2026-11-22"


async def test_a_stopped_scope_takes_no_calls_until_it_is_resumed() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        await governor.stop({"service": "anthropic"}, "a key was stolen")
        with pytest.raises(Stopped, match="a key was stolen"):
            async with governor.admit(asking()):
                pass
        await governor.resume({"service": "anthropic"})
        async with governor.admit(asking()) as reservation:
            reservation.settle({"input_tokens": 1})


async def test_a_store_that_does_not_answer_closes_money_and_opens_again_by_itself() -> None:
    stage = Stage(daily(100))
    ledger = stage.ledger
    assert isinstance(ledger, MemoryLedger)
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=10)) as under_way:
            ledger.broken = True
            with pytest.raises(StoreError):
                async with governor.admit(asking(tokens=10)):
                    pytest.fail("nothing may be sent that is not on record")
            ledger.broken = False
            under_way.settle({"input_tokens": 4})
        async with governor.admit(asking(tokens=10)) as reservation:
            reservation.settle({"input_tokens": 2})
        [balance] = await governor.balances()
        assert (balance.settled, balance.held) == (6 * CENT, 0)


async def test_spending_is_known_by_service() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=6)) as reservation:
            reservation.settle({"input_tokens": 6})
        with pytest.raises(BudgetExceeded):
            async with governor.admit(asking(tokens=6)):
                pass
        [spend] = await governor.spent()
        assert (spend.service, spend.calls, spend.refused, spend.cost) == ("anthropic", 1, 1, 6 * CENT)
