"""A cost is exact and rounded up once; the worst case is an upper bound; what has no price is never free."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aegis.core.errors import BadInput, UnknownPrice
from aegis.core.prices import MILLION, Listed, Pattern, Price, PriceBook, free

TODAY = date(2026, 11, 21)
METERS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
rates = st.integers(0, 10**12)
tiers = st.lists(st.tuples(st.integers(1, 10**6), rates), max_size=3).map(
    lambda more: ((0, 10**9), *sorted(dict(more).items()))
)
prices = st.dictionaries(st.sampled_from(METERS), tiers, min_size=1).map(
    lambda table: Price(service="s", model="m", rates={"input_tokens": ((0, 7),), **table})
)
usages = st.dictionaries(
    st.sampled_from(("input_tokens", "cache_read_tokens", "cache_write_tokens")), st.integers(0, 10**7)
)


@given(prices, usages, st.data())
def test_the_worst_case_bounds_every_usage_within_it(price: Price, worst: dict[str, int], data: st.DataObject) -> None:
    used = {meter: data.draw(st.integers(0, units)) for meter, units in worst.items()}
    assert price.cost(used) <= price.worst(worst)


@given(prices, st.integers(0, 10**7), st.data())
def test_a_prompt_is_bounded_whatever_part_of_it_is_cached(price: Price, prompt: int, data: st.DataObject) -> None:
    read = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - read))
    used = {
        "input_tokens": prompt - read - written,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
    }
    assert price.cost(used) <= price.worst({"prompt_tokens": prompt})


@given(st.integers(0, 10**9), st.integers(0, 10**12))
def test_a_cost_is_rounded_up_to_the_next_nano_dollar(units: int, rate: int) -> None:
    cost = Price(service="s", model="m", rates={"output_tokens": ((0, rate),)}).cost({"output_tokens": units})
    assert (cost - 1) * MILLION < units * rate <= cost * MILLION


def test_a_prompt_over_the_step_pays_the_dearer_rate_for_every_token() -> None:
    price = Price(service="s", model="m", rates={"input_tokens": ((0, 100), (1_000, 500)), "output_tokens": ((0, 1),)})
    assert (price.cost({"input_tokens": 1_000}), price.cost({"input_tokens": 1_001})) == (1, 1)
    assert (price.cost({"input_tokens": 20_000}), price.cost({"input_tokens": 1_000_000})) == (10, 500)


def test_cached_tokens_count_toward_the_length_of_a_prompt() -> None:
    price = Price(service="s", model="m", rates={"input_tokens": ((0, MILLION), (1_000, 5 * MILLION))})
    assert price.cost({"input_tokens": 1, "cache_read_tokens": 1_000}) == 5 * 1_001


def test_a_cache_meter_without_a_rate_is_charged_like_its_neighbour_and_never_at_zero() -> None:
    price = Price(
        service="s", model="m", rates={"input_tokens": ((0, MILLION),), "cache_write_1h_tokens": ((0, 2 * MILLION),)}
    )
    assert price.cost({"cache_read_tokens": 1}) == 1
    assert price.cost({"cache_write_tokens": 1}) == 2


def test_a_meter_nobody_priced_is_refused_with_the_line_that_sets_it() -> None:
    with pytest.raises(UnknownPrice, match=r'"s/m": \{web_searches'):
        Price(service="s", model="m", rates={"input_tokens": ((0, 1),)}).worst({"web_searches": 1})


def test_requests_are_free_unless_a_price_names_them_and_then_each_call_is_one() -> None:
    assert Price(service="s", model="m", rates={"input_tokens": ((0, 1),)}).cost({"requests": 3}) == 0
    assert Price(service="s", model="m", rates={"requests": ((0, 5 * MILLION),)}).cost({}) == 5


def test_an_explicit_zero_is_free() -> None:
    assert free("virustotal").worst({"requests": 10**9, "anything": 10**9}) == 0


def test_a_cost_beyond_64_bits_is_refused_not_wrapped() -> None:
    with pytest.raises(BadInput):
        Price(service="s", model="m", rates={"input_tokens": ((0, 10**12),)}).cost({"input_tokens": 10**15})


def listed(*dated: tuple[str, int]) -> Listed:
    return Listed(
        service="s",
        name="model-a",
        patterns=((Pattern("starts", "model-a"), Pattern("ends", "x")),),
        prices=tuple(
            Price(service="s", model="model-a", rates={"input_tokens": ((0, rate),)}, since=date.fromisoformat(since))
            for since, rate in dated
        ),
    )


def test_the_newest_price_that_has_begun_holds() -> None:
    book = PriceBook(
        listed=[listed(("2026-01-01", 1 * MILLION), ("2026-11-21", 2 * MILLION), ("2027-01-01", 3 * MILLION))]
    )
    costs = [book.price("s", "Model-A-2x", day).cost({"input_tokens": 1}) for day in (date(2026, 11, 20), TODAY)]
    assert costs == [1, 2]


@pytest.mark.parametrize("model", ["model-b", "model-a-2", "", "x"])
def test_a_name_that_no_entry_matches_has_no_price(model: str) -> None:
    with pytest.raises(UnknownPrice):
        PriceBook(listed=[listed(("2026-01-01", 1))]).price("s", model, TODAY)


@given(st.text(max_size=40))
def test_no_name_is_free_by_accident(model: str) -> None:
    assume(model.lower() != "model-a" and not (model.lower().startswith("model-a") and model.lower().endswith("x")))
    with pytest.raises(UnknownPrice):
        PriceBook(listed=[listed(("2026-01-01", 1))]).price("s", model, TODAY)
