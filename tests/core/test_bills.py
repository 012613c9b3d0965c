"""A provider's figures are hostile until checked: what is no amount is refused whole, and no report goes on for ever."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.bills import DAY_MAX, ROWS_MAX, Sums, amount_of, begins, day_of, is_final, units_of_bill
from aegis.core.errors import BadInput

DAY = date(2026, 11, 18)


@pytest.mark.parametrize(
    "value",
    [
        -1,
        "-0.01",
        "NaN",
        "Infinity",
        "-Infinity",
        "sNaN",
        "1e400",
        "1e999999999",
        10**7,
        "",
        "a lot",
        None,
        True,
        [],
        {},
        "9" * 80,
    ],
    ids=repr,
)
def test_what_is_no_amount_is_refused(value: object) -> None:
    with pytest.raises(BadInput):
        amount_of(value, "USD")


@pytest.mark.parametrize("currency", ["EUR", "", None, "usd2", 5], ids=repr)
def test_what_is_not_in_dollars_is_refused(currency: object) -> None:
    with pytest.raises(BadInput):
        amount_of("1.00", currency)


@pytest.mark.parametrize(
    ("value", "places", "nanos"),
    [("123.45", 2, 1_234_500_000), (0.06, 0, 60_000_000), ("0.0000000014", 0, 1), (3, 0, 3 * 10**9), ("1E-9", 0, 1)],
    ids=["cents", "number", "rounded", "whole", "exponent"],
)
def test_an_amount_is_read_to_the_nano_dollar(value: object, places: int, nanos: int) -> None:
    assert amount_of(value, "usd", places=places) == nanos


@given(st.one_of(st.text(max_size=70), st.floats(), st.integers(), st.none(), st.booleans(), st.binary(max_size=9)))
def test_whatever_stands_there_is_an_amount_in_bounds_or_refused(value: object) -> None:
    try:
        nanos = amount_of(value, "usd")
    except BadInput:
        return
    assert type(nanos) is int
    assert 0 <= nanos <= DAY_MAX


@given(st.one_of(st.text(max_size=70), st.integers(), st.none(), st.booleans()))
def test_whatever_stands_for_a_day_is_a_day_or_refused(value: object) -> None:
    with suppress(BadInput):
        assert isinstance(day_of(value), date)


@pytest.mark.parametrize("value", [-1, 1.5, "3", True, 10**19], ids=repr)
def test_what_is_no_count_is_refused(value: object) -> None:
    with pytest.raises(BadInput):
        units_of_bill(value)


def test_a_day_that_sums_to_more_than_a_million_dollars_is_refused() -> None:
    sums = Sums(DAY, DAY)
    sums.cost("s", DAY, DAY_MAX)
    with pytest.raises(BadInput):
        sums.cost("s", DAY, 1)


def test_a_report_has_only_so_many_rows() -> None:
    sums = Sums(DAY, DAY)
    for _ in range(ROWS_MAX):
        sums.cost("s", DAY, 0)
    with pytest.raises(BadInput):
        sums.cost("s", DAY, 0)


def test_days_that_nobody_asked_for_do_not_count() -> None:
    sums = Sums(DAY, DAY)
    sums.cost("s", DAY - timedelta(days=1), 5)
    sums.cost("s", DAY, 7)
    assert [(one.day, one.cost) for one in sums.days()] == [(DAY, 7)]


@given(st.integers(0, 72 * 3_600_000))
def test_a_day_is_final_only_when_it_is_over_and_the_provider_had_its_time(passed_ms: int) -> None:
    now = begins(DAY) + timedelta(milliseconds=passed_ms)
    assert is_final(DAY, now, 6 * 3_600_000) == (passed_ms >= 30 * 3_600_000)


def test_a_moment_in_any_zone_is_its_utc_day() -> None:
    assert day_of("2026-11-18T01:00:00+02:00") == date(2026, 11, 17)
    assert day_of(int(datetime(2026, 11, 18, 23, tzinfo=UTC).timestamp())) == DAY
