"""Claims about the detectors: what each finds, and what it leaves alone."""

import random
from collections.abc import Callable

import pytest

from aegis.core.anomalies import drivers_of
from aegis.core.money import USD
from aegis.finance.detectors import Hours, burning, drifted, jumped

WEEK, START = 168, 168 * 5
CENT = USD // 100


def hours(change: Callable[[int], float] = lambda _hour: 1.0, *, now: int = START + 48, seed: int = 7) -> Hours:
    """Two dollars an hour with noise, and after `START` so many times as much."""
    rng = random.Random(seed)
    noisy = {hour: 2 * USD * rng.lognormvariate(0, 0.3) for hour in range(now)}
    return Hours({h: round(cost * (change(h - START) if h >= START else 1)) for h, cost in noisy.items()}, CENT)


def test_eight_times_as_much_is_a_jump_after_two_hours_and_not_after_one() -> None:
    found = hours(lambda _: 8.0, now=START + 2)

    assert jumped(found, START + 2, USD // 2) is not None
    assert jumped(hours(lambda _: 8.0, now=START + 1), START + 1, USD // 2) is None


def test_a_leak_of_twice_as_much_adds_up_within_half_a_day() -> None:
    ends = [now for now in range(START + 1, START + 13) if drifted(hours(lambda _: 2.0, now=now), now, 0)]

    assert ends
    assert ends[0] <= START + 8


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_no_anomaly(seed: int) -> None:
    found = hours(seed=seed)

    assert not [now for now in range(START, START + 48, 3) if jumped(found, now, 0)]
    assert drifted(found, START + 48, USD // 2) is None


def test_micro_cost_is_no_anomaly_whatever_it_is_times() -> None:
    cents = Hours({hour: (CENT if hour < START else 20 * CENT) for hour in range(START + 2)}, CENT)

    assert jumped(cents, START + 2, USD // 2) is None


def test_without_history_only_the_burn_rate_speaks() -> None:
    young = Hours(dict.fromkeys(range(START - 6, START), 20 * USD), CENT)

    assert (jumped(young, START, 0), drifted(young, START, 0)) == (None, None)
    assert burning(young, START, float(USD), USD // 2) is not None
    assert burning(young, START, 10.0 * USD, USD // 2) is None


def test_drivers_are_what_rose_most_and_the_key_comes_first_among_equals() -> None:
    cost = {"key": {"red": 90, "blue": 10, "": 5}, "model": {"m": 105}, "service": {"a": 105}, "source": {"": 105}}
    usual = {"key": {"red": 5, "blue": 10, "": 5}, "model": {"m": 20}, "service": {"a": 20}, "source": {"": 20}}

    found = drivers_of(cost, usual)

    assert [(one.key, one.share) for one in found] == [("key:red", 100), ("model:m", 100), ("service:a", 100)]
