"""Rate, breaker, throttle, shares and observe mode, as a caller of the governor meets them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.governor.fakes import CENT, Stage, asking, daily

from aegis.core.breakers import BreakerPolicy, BreakerState
from aegis.core.buckets import Rate
from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Priority
from aegis.core.errors import (
    Billed,
    BreakerOpen,
    BudgetExceeded,
    RateLimited,
    Refused,
    RetriesSpent,
    ServiceError,
    Throttled,
)
from aegis.core.ports import Governs
from aegis.core.telemetry import LevelCrossed
from aegis.core.throttles import ThrottleCurve, ThrottleStep
from aegis.core.windows import WindowPolicy
from aegis.governor.policies import ServicePolicy

pytestmark = pytest.mark.anyio
MINUTE_MS = 60_000


async def use(stage: Stage, tokens: int = 1, **more: Any) -> None:
    governs: Governs = stage.governor
    async with governs.admit(asking(tokens=tokens, **more)) as reservation:
        reservation.settle({"input_tokens": tokens})


async def fail(stage: Stage, status: int, **more: Any) -> None:
    with pytest.raises(ServiceError):
        async with stage.governor.admit(asking(**more)):
            raise ServiceError("anthropic", "no", retryable=True, billed=Billed.NO, status=status)


async def test_the_eleventh_call_of_a_minute_waits_for_the_first_to_be_a_minute_old() -> None:
    stage = Stage(daily(100), services={"anthropic": ServicePolicy(rates=(Rate(count=10, per_ms=MINUTE_MS),))})
    async with stage.governor:
        for _ in range(10):
            await use(stage)
        with pytest.raises(RateLimited) as refusal:
            await use(stage)
        assert refusal.value.retry_after_ms == MINUTE_MS
        stage.clock.pass_ms(MINUTE_MS)
        await use(stage)


async def test_a_call_that_a_later_gate_refuses_gives_its_place_in_the_rate_back() -> None:
    stage = Stage(daily(5), services={"anthropic": ServicePolicy(rates=(Rate(count=2, per_ms=MINUTE_MS),))})
    async with stage.governor as governor:
        for _ in range(5):
            with pytest.raises(BudgetExceeded):
                await use(stage, tokens=6)
        [status] = governor.services()
        assert (status.room, status.rate) == (2, 2)


async def test_two_rates_have_to_be_met_and_the_tighter_one_is_shown() -> None:
    rates = (Rate(count=4, per_ms=MINUTE_MS), Rate(count=3, per_ms=60 * MINUTE_MS))
    stage = Stage(daily(100), services={"anthropic": ServicePolicy(rates=rates)})
    async with stage.governor as governor:
        for _ in range(3):
            await use(stage)
        stage.clock.pass_ms(MINUTE_MS)
        with pytest.raises(RateLimited):
            await use(stage)
        assert governor.services()[0].room == 0


async def test_the_breaker_opens_on_the_services_failures_and_closes_after_a_good_probe() -> None:
    policy = ServicePolicy(breaker=BreakerPolicy(failures=3))
    stage = Stage(daily(100), services={"anthropic": policy})
    async with stage.governor as governor:
        for _ in range(3):
            await fail(stage, 529)
        with pytest.raises(BreakerOpen) as refusal:
            await use(stage)
        assert refusal.value.retry_after_ms == MINUTE_MS
        assert governor.services()[0].breaker is BreakerState.OPEN
        stage.clock.pass_ms(MINUTE_MS)
        await use(stage)
        assert governor.services()[0].breaker is BreakerState.CLOSED


async def test_our_own_bad_requests_and_refusals_teach_the_breaker_nothing() -> None:
    stage = Stage(daily(2), services={"anthropic": ServicePolicy(breaker=BreakerPolicy(failures=2))})
    async with stage.governor as governor:
        for status in (400, 401, 404, 422):
            await fail(stage, status)
        for _ in range(5):
            with pytest.raises(BudgetExceeded):
                await use(stage, tokens=3)
        assert governor.services()[0].breaker is BreakerState.CLOSED


async def test_a_probe_that_the_budget_refused_lets_the_next_one_pass() -> None:
    stage = Stage(daily(5), services={"anthropic": ServicePolicy(breaker=BreakerPolicy(failures=1))})
    async with stage.governor:
        await fail(stage, 500)
        stage.clock.pass_ms(MINUTE_MS)
        with pytest.raises(BudgetExceeded):
            await use(stage, tokens=6)
        await use(stage)


async def test_one_broken_model_does_not_close_another() -> None:
    stage = Stage(daily(100), services={"anthropic": ServicePolicy(breaker=BreakerPolicy(failures=2))})
    async with stage.governor:
        await fail(stage, 500, models=("cheap",))
        await use(stage)
        await fail(stage, 500, models=("cheap",))
        await use(stage)
        with pytest.raises(BreakerOpen):
            await use(stage, models=("cheap",))
        await use(stage, models=("cheap", "dear"))


async def test_near_the_quota_calls_are_spaced_and_the_least_urgent_go_without_first() -> None:
    stage = Stage(daily(100, throttle=ThrottleCurve()))
    async with stage.governor as governor:
        await use(stage, tokens=86)
        with pytest.raises(Throttled) as heavy:
            await use(stage)
        assert heavy.value.retry_after_ms == 10_000
        with pytest.raises(Throttled, match="LOW calls are blocked"):
            await use(stage, priority=Priority.LOW)
        assert governor.services()[0].throttle is ThrottleStep.HEAVY
        await use(stage, priority=Priority.CRITICAL)
        stage.clock.pass_ms(10_000)
        await use(stage)


async def test_far_from_the_quota_nothing_is_held_back() -> None:
    stage = Stage(daily(100, throttle=ThrottleCurve()))
    async with stage.governor:
        for _ in range(59):
            await use(stage)


async def test_noise_cannot_use_what_is_kept_for_critical_calls() -> None:
    kept = {Priority.CRITICAL: 30, Priority.HIGH: 20}
    stage = Stage(daily(100, reserve=kept))
    async with stage.governor as governor:
        for priority, fit in [(Priority.LOW, 50), (Priority.HIGH, 20), (Priority.CRITICAL, 30)]:
            passed = 0
            for _ in range(100):
                try:
                    await use(stage, priority=priority)
                    passed += 1
                except BudgetExceeded:
                    break
            assert passed == fit, priority
            if priority is Priority.LOW:
                await governor.tick()
                assert not stage.heard(LevelCrossed), "a share that is used up is no emergency"
        assert await stage.settled() == 100


async def test_a_budget_that_observes_refuses_nothing_and_records_what_it_would_have() -> None:
    stage = Stage(daily(10, observe=True))
    async with stage.governor as governor:
        for _ in range(3):
            await use(stage, tokens=8)
        [balance] = await governor.balances()
        assert (balance.settled, balance.limit, balance.crossed) == (24 * CENT, 10 * CENT, ("emergency",))


async def test_a_free_request_is_counted_against_its_quota_and_costs_nothing() -> None:
    quota = Budget(
        name="virustotal",
        scope={"service": "virustotal"},
        unit="requests",
        windows=(Amounts(window=WindowPolicy(kind="day"), emergency=3),),
    )
    stage = Stage(daily(0), quota)
    async with stage.governor as governor:
        for _ in range(3):
            async with governor.admit(asking(service="virustotal", models=(), worst={"requests": 1})) as reservation:
                reservation.settle({"requests": 1})
        with pytest.raises(Refused):
            async with governor.admit(asking(service="virustotal", models=(), worst={"requests": 1})):
                pass
        assert [(b.budget, b.settled) for b in await governor.balances()] == [("everything", 0), ("virustotal", 3)]


async def test_a_stream_gives_back_what_it_no_longer_needs_once_that_is_on_record() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor, governor.admit(asking(tokens=9)) as stream:
        with pytest.raises(BudgetExceeded):
            await use(stage, tokens=5)
        governor.shrink(stream, {"input_tokens": 4})
        await use(stage, tokens=5)
        stream.settle({"input_tokens": 4})


async def test_retries_are_calls_of_their_own_and_have_a_budget_of_their_own() -> None:
    stage = Stage(daily(100), services={"anthropic": ServicePolicy(breaker=None)})
    async with stage.governor as governor:
        for _ in range(50):
            await fail(stage, 503)
        for attempt in (2, 3, 2, 3, 2):
            await use(stage, attempt=attempt)
        with pytest.raises(RetriesSpent, match="5 of 50 calls"):
            await use(stage, attempt=2, id="once more")
        assert await stage.settled() == 5, "each try paid for itself, the refused one nothing"
        [why] = await governor.explain("once more")
        assert (why.state, why.gate) == ("refused", "retry")
        await use(stage)
