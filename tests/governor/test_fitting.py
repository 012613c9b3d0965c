"""Fitted holds strand less of a budget, go over by a bounded amount when they are wrong, and then begin anew strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.governor.complaints import burst, settled, tries
from tests.governor.fakes import CENT, Stage, asking, daily

from aegis.core.errors import BudgetExceeded
from aegis.governor.fitting import LEAST, WHOLE, Fit
from aegis.governor.policies import ServicePolicy

pytestmark = pytest.mark.anyio
WORST = 100
FITTED = {"anthropic": ServicePolicy(fitted=True)}
TENTH = {"input_tokens": 10}


async def test_once_calls_are_known_to_use_a_tenth_eight_times_as_many_fit_at_once() -> None:
    stage = Stage(daily(10_000), services=FITTED)
    async with stage.governor as governor:
        assert await burst(governor, calls=LEAST, used=TENTH, tokens=WORST) == LEAST
        left = 10_000 - 10 * LEAST
        assert await burst(governor, calls=1_000, used=TENTH, tokens=WORST) == left * 8 // WORST
        assert await settled(governor) == (10 * LEAST + 10 * (left * 8 // WORST)) * CENT
        [fit] = governor.fits().values()
        assert (fit.share, fit.over) == (125, 0)


async def test_a_strict_service_holds_the_worst_case_however_little_was_used() -> None:
    stage = Stage(daily(10_000))
    async with stage.governor as governor:
        assert await tries(governor, 2 * LEAST, TENTH, tokens=WORST) == 2 * LEAST
        assert await burst(governor, calls=500, used=TENTH, tokens=WORST) == (10_000 - 20 * LEAST) // WORST


async def test_a_call_that_uses_more_than_was_held_is_counted_whole_and_the_strict_bound_holds_again() -> None:
    stage = Stage(daily(1_000), services=FITTED)
    async with stage.governor as governor:
        assert await tries(governor, LEAST, TENTH, tokens=WORST) == LEAST
        assert await burst(governor, calls=40, used={"input_tokens": WORST}, tokens=WORST) == 40
        [balance] = await governor.balances()
        assert balance.settled == (10 * LEAST + 40 * WORST) * CENT
        assert balance.overrun == balance.settled - balance.limit, "how far it went over is on record"
        [fit] = governor.fits().values()
        assert (fit.share, fit.over) == (WHOLE, 40)
        with pytest.raises(BudgetExceeded):
            async with governor.admit(asking(tokens=1)):
                pass


async def test_a_call_that_says_nothing_counts_at_the_worst_case_and_not_at_what_was_held() -> None:
    stage = Stage(daily(10_000), services=FITTED)
    async with stage.governor as governor:
        assert await tries(governor, LEAST, TENTH, tokens=WORST) == LEAST
        async with governor.admit(asking(tokens=WORST)) as reservation:
            assert reservation.worst == 13 * CENT - CENT // 2
        assert reservation.cost == WORST * CENT


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=300))
def test_nothing_is_fitted_before_enough_calls_ended_nor_above_the_worst_case(costs: list[int]) -> None:
    fit = Fit()
    for number, cost in enumerate(costs, start=1):
        fit.learn(cost=cost, strict=1_000, held=1_000)
        assert 1 <= fit.share <= WHOLE
        assert number >= LEAST or fit.share == WHOLE
        assert fit.held(1_000) >= min(1_000, sorted(costs[:number])[number // 2]) or number < LEAST
