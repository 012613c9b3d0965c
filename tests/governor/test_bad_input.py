"""What providers, callers and clocks get wrong: a clear error where somebody can act on it, and money neither made nor
lost.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.governor.complaints import burst, metered, programs, quiet, settled, tries
from tests.governor.fakes import CENT, HOUR_MS, START, Stage, asking, daily
from tests.library.stage import PRICES, Client, Method, message, thing

import aegis
import aegis.sync
from aegis.core.errors import BadInput, UnknownPrice
from aegis.core.escrow import GRACE_MS, LEASE_MS
from aegis.core.money import CALL_MAX
from aegis.core.prices import Price
from aegis.core.usage import UNITS_MAX, check_usage
from aegis.core.windows import BELIEVE_AFTER_MS
from aegis.library import bedrock_client
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio

NO_COUNTS: tuple[Any, ...] = (
    -1,
    -(10**18),
    UNITS_MAX + 1,
    2**63,
    2**64 + 1,
    1.0,
    1.5,
    float("nan"),
    float("inf"),
    True,
    "12",
    None,
)


# --- what a provider says that it used ----------------------------------------------------------------------------


@pytest.mark.parametrize("units", NO_COUNTS, ids=repr)
async def test_a_count_that_cannot_be_true_is_named_and_costs_the_worst_case(units: Any) -> None:
    stage = Stage(daily(100), metered(100, "tokens"))
    async with stage.governor as governor:
        with pytest.raises(BadInput, match=r"input_tokens = .* is no count of units"):
            async with governor.admit(asking(tokens=40)) as reservation:
                reservation.settle({"input_tokens": units})
        assert (await settled(governor), await settled(governor, "tokens")) == (40 * CENT, 40)
        [why] = await governor.explain("call-1")
        assert (why.state, why.cost) == ("worst", 40 * CENT)


@pytest.mark.parametrize("units", NO_COUNTS, ids=repr)
def test_an_answer_with_such_a_count_reaches_its_caller_and_costs_the_worst_case(units: Any) -> None:
    answer = message(0, 0)
    answer.usage.output_tokens = units
    client = Client(messages=thing(create=Method(answer)))
    with aegis.sync.open_governor(budgets={"day": 1}, prices=PRICES) as governor:
        said = aegis.govern(client, governor).messages.create(
            model="claude", max_tokens=100, messages=[{"role": "user", "content": "hello"}]
        )
        [balance] = governor.balances()
    assert said is answer
    assert balance.settled >= 1_000_000, "a hundred tokens of output at the least"
    assert balance.held == 0


async def test_a_cost_beyond_all_sense_is_refused_before_it_can_fill_64_bits() -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        for number in range(3):
            with pytest.raises(BadInput, match=r"one call for 10000000000000.00 USD is a broken report"):
                async with governor.admit(asking(tokens=2, id=f"call-{number}")) as reservation:
                    reservation.settle({"input_tokens": UNITS_MAX})
        assert await settled(governor) == 6 * CENT
        assert await tries(governor, 200) == 94


async def test_a_meter_that_has_no_price_costs_the_worst_case() -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=40)) as reservation:
            reservation.settle({"input_tokens": 1, "telepathy": 9})
        assert await settled(governor) == 40 * CENT


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.floats() | st.none() | st.booleans(), max_size=3))
def test_whatever_passes_as_a_usage_is_whole_and_not_negative(usage: dict[str, Any]) -> None:
    try:
        checked = check_usage(usage)
    except BadInput:
        return
    assert all(type(units) is int and 0 <= units <= UNITS_MAX for units in checked.values())


# --- what a caller asks for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", NO_COUNTS, ids=repr)
async def test_a_bound_that_is_no_count_is_refused_and_frees_nothing(units: Any) -> None:
    stage = Stage(daily(10), metered(10, "tokens"))
    async with stage.governor as governor:
        with pytest.raises(BadInput, match="is no count of units"):
            async with governor.admit(asking(worst={"input_tokens": units})):
                pytest.fail("a call that nothing bounds was let in")
        async with governor.admit(asking(tokens=1)) as stream:
            with pytest.raises(BadInput, match="is no count of units"):
                governor.shrink(stream, {"input_tokens": units})
            stream.settle({"input_tokens": 1})
        assert await tries(governor, 100) == 9


async def test_a_bound_beyond_all_sense_is_refused_by_name() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        with pytest.raises(BadInput, match="anthropic dear: one call for"):
            async with governor.admit(asking(tokens=UNITS_MAX)):
                pass
        assert await tries(governor, 100) == 10


async def test_a_model_that_nobody_knows_is_refused_with_the_line_that_prices_it() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        with pytest.raises(UnknownPrice, match=r'unknown is not free; set prices: \{"anthropic/who"'):
            async with governor.admit(asking(models=("who",))):
                pass
        assert await settled(governor) == 0


@pytest.mark.parametrize("max_tokens", [None, 0, -5, "many", True, 1.5])
def test_a_request_without_a_cap_that_can_be_used_gets_one(max_tokens: Any) -> None:
    create = Method(message(1, 1))
    client = Client(messages=thing(create=create))
    with aegis.sync.open_governor(budgets={"day": 1}, prices=PRICES) as governor:
        request = {"model": "claude", "messages": [], **({} if max_tokens is None else {"max_tokens": max_tokens})}
        aegis.govern(client, governor).messages.create(**request)
    assert create.asked[0]["max_tokens"] == 4_096


def test_a_body_in_which_no_cap_can_be_put_is_refused_by_name() -> None:
    with pytest.raises(UnknownPrice, match="bedrock: a body without max_tokens has no cap"):
        bedrock_client.bound_invoke({"modelId": "claude", "body": b'{"prompt": "hello"}'}, None)


def test_no_price_can_make_a_cost_negative_or_endless() -> None:
    price = Price(service="s", model="m", rates={"input_tokens": ((0, 10**15),)})
    assert price.cost({"input_tokens": CALL_MAX // 10**9}) == CALL_MAX
    with pytest.raises(BadInput):
        price.cost({"input_tokens": CALL_MAX // 10**9 + 1})


# --- clocks that jump ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [1, 3, 400])
async def test_a_clock_that_leaps_over_the_end_of_a_window_mints_no_second_budget(days: int) -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        assert await tries(governor, 6) == 6
        stage.clock.jump(timedelta(days=days))
        assert await tries(governor, 9) == 4, "calls go on within the old window, which is still the one"
        await stage.clock.advance(BELIEVE_AFTER_MS // 2)
        assert await tries(governor, 9) == 0
        await stage.clock.advance(BELIEVE_AFTER_MS)
        assert await tries(governor, 20) == 10, "a clock that then runs steadily is believed"


async def test_a_clock_that_leaps_and_comes_back_mints_nothing() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        assert await tries(governor, 6) == 6
        for _ in range(5):
            stage.clock.jump(timedelta(days=2))
            await tries(governor, 1)
            stage.clock.jump(timedelta(days=-2))
        assert await tries(governor, 20) <= 4
        assert await settled(governor) <= 10 * CENT


async def test_a_clock_that_is_set_back_opens_no_day_a_second_time() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        assert await tries(governor, 20) == 10
        await stage.clock.advance(15 * HOUR_MS)
        assert await tries(governor, 6) == 6
        stage.clock.jump(timedelta(days=-1))
        assert await tries(governor, 20) == 4, "yesterday stays spent, and today stays the day"
        stage.clock.jump(timedelta(days=1))
        assert await tries(governor, 20) == 0


async def test_a_call_over_the_end_of_its_window_is_paid_in_the_window_that_admitted_it() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        async with governor.admit(asking(tokens=8)) as reservation:
            await stage.clock.advance(15 * HOUR_MS)
            assert await tries(governor, 20) == 10
            reservation.settle({"input_tokens": 8})
        assert await settled(governor) == 10 * CENT, "of today"
        await quiet(stage.clock, governor)
        [spend] = await governor.spent()
        assert spend.cost == 18 * CENT


async def test_a_program_that_stood_still_beyond_its_lease_is_fenced_and_pays_once(tmp_path: Path) -> None:
    clock = FakeClock(START)
    async with programs(tmp_path / "aegis.db", daily(10), clock=clock) as (frozen, other):
        async with frozen.admit(asking(tokens=4)) as under_way:
            await clock.advance(LEASE_MS + GRACE_MS + 10_000)
            await other.tick()
            assert await settled(other, held=True) == 4 * CENT, "what was sent counts at its worst case"
            assert await burst(other, calls=20, clock=clock) == 6
            under_way.settle({"input_tokens": 1})
        assert await burst(frozen, other, calls=20, clock=clock) == 3, "the truth about the lost call came in, once"
        await quiet(clock, frozen, other)
        assert await settled(other) == 10 * CENT


async def test_a_lease_is_not_kept_alive_by_a_wall_clock_set_back(tmp_path: Path) -> None:
    clock = FakeClock(START)
    async with programs(tmp_path / "aegis.db", daily(10), clock=clock) as (one, other):
        assert await tries(one, 2) == 2
        clock.jump(timedelta(hours=-5))
        await clock.advance(LEASE_MS + GRACE_MS + 1_000)
        assert await burst(other, calls=20, clock=clock) + await burst(one, calls=20, clock=clock) == 8
        await quiet(clock, one, other)
        assert await settled(one, held=True) == 10 * CENT
