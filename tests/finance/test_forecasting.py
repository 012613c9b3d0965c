"""Claims about forecasts: in proportion, never negative, honest about little history, and right about a budget's end."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.core.forecasts import Forecast
from aegis.core.money import USD
from aegis.finance.cones import cone
from aegis.finance.forecasting import Asked, History, forecast
from aegis.finance.levels import shape_of

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
DAYS = st.lists(st.integers(0, 10**6), min_size=0, max_size=50)


def made(days: list[int], *, scale: int = USD, limit: int | None = None, ahead: int = 10, spent: int = 0) -> Forecast:
    """A forecast from whole days of spending, the last of them yesterday; each day's all at its noon."""
    first = NOW.replace(hour=12) - timedelta(days=len(days))
    hours = {round((first + timedelta(days=n)).timestamp() * 1_000): day * scale for n, day in enumerate(days)}
    asked = Asked(
        budget="everything", part="", window="month", window_key="2026-11", unit="usd",
        ends_at=NOW + timedelta(days=ahead), spent=spent, limit=limit,
    )  # fmt: skip
    return forecast(asked, History(hours, NOW))


@settings(max_examples=40, deadline=None)
@given(days=DAYS)
def test_no_forecast_is_negative_and_each_has_its_band_around_it(days: list[int]) -> None:
    found = made(days)

    assert 0 <= found.usual.low <= found.usual.middle <= found.usual.high
    assert found.at_pace >= 0
    assert (found.confidence == "none") == (sum(days) == 0)


@settings(max_examples=25, deadline=None)
@given(days=DAYS, factor=st.sampled_from([2, 10, 1_000]))
def test_ten_times_the_spending_is_ten_times_the_forecast(days: list[int], factor: int) -> None:
    one, many = made(days), made(days, scale=factor * USD)

    for few, more in zip(
        (one.usual.low, one.usual.middle, one.usual.high, one.at_pace),
        (many.usual.low, many.usual.middle, many.usual.high, many.at_pace),
        strict=True,
    ):
        assert more == pytest.approx(few * factor, rel=1e-6, abs=factor)
    assert one.error == many.error


def test_steady_spending_goes_on_and_its_limit_is_reached_when_it_must_be() -> None:
    found = made([24] * 30, limit=100 * USD, spent=4 * USD)

    assert found.usual.middle == pytest.approx((4 + 240) * USD, rel=0.01)
    assert found.exhausted_at is not None
    assert abs(found.exhausted_at - (NOW + timedelta(days=4))) < timedelta(hours=2)
    assert (found.error.percent, found.error.trials > 0, found.confidence) == (0, True, "usual")


def test_a_week_with_a_weekend_is_told_apart() -> None:
    days = [100 if (NOW.weekday() - 28 + n) % 7 < 5 else 0 for n in range(28)]

    expected = shape_of(days, (NOW.weekday() - 28) % 7).expected(0, 7)
    assert min(expected[:5]) > 3 * max(expected[5:])
    assert sum(expected) == pytest.approx(500, rel=0.02), "a week comes to what weeks came to"


def test_little_history_is_said_and_the_band_is_wide() -> None:
    found = made([10, 10, 10])

    assert (found.confidence, found.history_days, found.error.trials) == ("low", 3, 0)
    assert found.usual.high >= 8 * found.usual.low > 0


def test_the_band_holds_about_four_of_five() -> None:
    held, tried = 0, 150
    for number in range(tried):
        rng = random.Random(number)
        days = [rng.lognormvariate(0, 0.6) for _ in range(60)]
        shape = shape_of(days[:45], 0)
        low, high = cone(days[:45], 0, shape, shape.expected(45 % 7, 15), 1.0)
        held += low <= sum(days[45:]) <= high
    assert 0.70 <= held / tried <= 0.95
