"""Buckets, breaker and throttle: what they let through, and that what was not used comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.breakers import Breaker, BreakerPolicy, BreakerState
from aegis.core.buckets import Bucket, Rate, SlidingWindow, TokenBucket, bucket_for
from aegis.core.calls import Priority
from aegis.core.throttles import ThrottleCurve, ThrottleStep, felt

SECOND = 1_000_000_000
gaps = st.lists(st.integers(0, 30 * SECOND), max_size=120)


@given(gaps)
def test_no_span_of_a_minute_ever_holds_more_starts_than_the_window_allows(passed: list[int]) -> None:
    bucket, now, starts = SlidingWindow(count=10, span_ns=60 * SECOND), 0, []
    for gap in passed:
        now += gap
        if bucket.take(now) == 0:
            starts.append(now)
    assert all(later - first >= 60 * SECOND for first, later in zip(starts, starts[10:], strict=False))


@given(gaps)
def test_a_token_bucket_never_lets_more_through_than_it_held_and_gained(passed: list[int]) -> None:
    bucket, now, taken = TokenBucket(size=100, gap_ns=6 * SECOND), 0, 0
    for gap in passed:
        now += gap
        taken += bucket.take(now) == 0
    assert taken <= 100 + now // (6 * SECOND)


@pytest.mark.parametrize("rate", [Rate(count=3, per_ms=60_000), Rate(count=3, per_ms=60_000, kind="token", refill=3)])
@given(st.lists(st.sampled_from(["take", "give_back", "wait"]), max_size=60))
def test_what_is_given_back_can_be_taken_again_and_room_never_lies(rate: Rate, steps: list[str]) -> None:
    bucket, now, out = bucket_for(rate), 0, 0
    for step in steps:
        room = bucket.room(now)
        assert 0 <= room <= 3
        if step == "take":
            wait = bucket.take(now)
            assert (wait == 0) == (room > 0)
            out += wait == 0
            assert bucket.room(now) == room - (wait == 0)
        elif step == "give_back" and out:
            bucket.give_back()
            out -= 1
        elif step == "wait":
            now, out = now + 61 * SECOND, 0


def test_the_wait_that_a_bucket_names_is_exactly_enough() -> None:
    buckets: list[Bucket] = [SlidingWindow(count=2, span_ns=60 * SECOND), TokenBucket(size=2, gap_ns=30 * SECOND)]
    for bucket in buckets:
        assert [bucket.take(0), bucket.take(0)] == [0, 0]
        wait = bucket.take(7)
        assert bucket.take(7 + wait - 1) > 0
        assert bucket.take(7 + wait) == 0


RATES = [Rate(count=10, per_ms=60_000), Rate(count=10, per_ms=60_000, kind="token")]


@pytest.mark.parametrize("rate", RATES)
def test_a_rate_can_be_reduced_but_never_to_nothing(rate: Rate) -> None:
    bucket = bucket_for(rate)
    for percent, room in ((50, 5), (1, 1), (100, 10)):
        bucket.scale(rate, percent, 0)
        assert bucket.room(0) == room


@pytest.mark.parametrize("rate", RATES)
def test_slowing_down_forgets_no_start_and_lets_no_more_through(rate: Rate) -> None:
    bucket = bucket_for(rate)
    assert [bucket.take(0) for _ in range(10)] == [0] * 10
    bucket.scale(rate, 50, 0)
    assert (bucket.room(0), bucket.take(1) > 0) == (0, True)
    wait = bucket.take(1)
    assert (bucket.take(wait) > 0, bucket.take(1 + wait)) == (True, 0)
    bucket.scale(rate, 100, 1 + wait)
    assert bucket.room(1 + wait) < 10


def breaker(**more: object) -> Breaker:
    return Breaker(policy=BreakerPolicy(**more))  # type: ignore[arg-type]


def test_five_failures_in_a_row_open_it_and_one_success_in_between_does_not_let_it_come_to_that() -> None:
    one = breaker()
    for second in range(4):
        one.failed(second, "down")
    one.succeeded(4)
    for second in range(5, 9):
        one.failed(second, "down")
    assert one.state is BreakerState.CLOSED
    one.failed(9, "down")
    assert (one.state, one.wait(9)) == (BreakerState.OPEN, 60 * SECOND)


def test_after_a_minute_one_probe_may_pass_and_its_end_decides() -> None:
    one = breaker(failures=1)
    one.failed(0, "down")
    later = 60 * SECOND
    assert [one.wait(later), one.wait(later)] == [0, SECOND]
    one.failed(later + 1, "still down")
    assert one.wait(later + 2) > 0
    assert one.wait(2 * later + 1) == 0
    one.succeeded(2 * later + 2)
    assert (one.state, one.wait(2 * later + 3)) == (BreakerState.CLOSED, 0)


def test_a_probe_that_was_not_sent_lets_another_one_pass() -> None:
    one = breaker(failures=1)
    one.failed(0, "down")
    assert one.wait(60 * SECOND) == 0
    one.unused()
    assert one.wait(60 * SECOND) == 0


def test_failing_every_other_call_opens_it_once_there_were_enough_calls() -> None:
    one = breaker(volume=20, failure_percent=50)
    for number in range(20):
        one.succeeded(number) if number % 2 else one.failed(number, "flaky")
        assert one.state is BreakerState.CLOSED or number >= 19
    one.failed(20, "flaky")
    assert one.state is BreakerState.OPEN


def test_old_failures_are_forgotten() -> None:
    one = breaker(failures=1_000, volume=4, span_ms=60_000)
    for second in range(10):
        one.failed(second * 61 * SECOND, "once in a while")
    assert one.state is BreakerState.CLOSED


def test_spending_faster_than_its_threshold_opens_it() -> None:
    one = breaker(cost=10, cost_span_ms=3_600_000)
    one.succeeded(0, cost=10)
    assert one.state is BreakerState.CLOSED
    one.succeeded(3_600 * SECOND, cost=10)
    assert one.state is BreakerState.CLOSED
    one.succeeded(3_601 * SECOND, cost=1)
    assert (one.state, one.why) == (BreakerState.OPEN, "spent more than its cost threshold")


@pytest.mark.parametrize(
    ("percent", "step", "space"),
    [
        (59, ThrottleStep.NONE, 0),
        (60, ThrottleStep.LIGHT, 1_000),
        (75, ThrottleStep.MODERATE, 3_000),
        (85, ThrottleStep.HEAVY, 10_000),
        (95, ThrottleStep.BLOCK, None),
        (300, ThrottleStep.BLOCK, None),
    ],
)
def test_the_curve_steps_where_it_is_documented_to(percent: int, step: ThrottleStep, space: int | None) -> None:
    curve = ThrottleCurve()
    assert (curve.step(percent, 100), curve.space_ms(step)) == (step, space)


def test_lower_priorities_feel_it_first_and_critical_calls_never() -> None:
    feels = {priority: felt(ThrottleStep.MODERATE, priority) for priority in Priority}
    assert feels == {
        Priority.LOW: ThrottleStep.HEAVY,
        Priority.MEDIUM: ThrottleStep.MODERATE,
        Priority.HIGH: ThrottleStep.LIGHT,
        Priority.CRITICAL: ThrottleStep.NONE,
    }
