"""The gates of a return: nothing opens early, nothing opens twice at once, and two breaches close it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aegis.core.ramps import QUIET_TIMES, SHARES, Gates, Measured, Ramp, breach, judge, usual_burn

GATES = Gates()
GOOD = Measured(calls=100, p95_ms=200)
HOUR = 3_600_000
MINUTES_5 = 300_000
measured = st.builds(
    Measured,
    calls=st.integers(0, 1_000),
    failed=st.integers(0, 100),
    p95_ms=st.integers(0, 5_000),
    cost=st.integers(0, 10**12),
    dearest=st.integers(0, 10**11),
    open_breakers=st.sampled_from([(), ("anthropic",)]),
)
ramps = st.builds(
    Ramp, step=st.integers(0, 2), breaches=st.integers(0, 1), burn=st.integers(0, 10**12), p95_ms=st.integers(0, 1_000)
)


@given(ramp=ramps, seen=measured, lasted=st.integers(0, 10 * HOUR))
def test_a_return_moves_one_step_at_a_time_and_forward_only_without_a_breach(
    ramp: Ramp, seen: Measured, lasted: int
) -> None:
    verdict, after = judge(GATES, ramp, seen, lasted)

    wrong = breach(GATES, ramp, seen, lasted)
    assert abs(after.step - ramp.step) <= 1
    assert (verdict in ("back", "stop")) is bool(wrong)
    assert after.breaches == ramp.breaches + bool(wrong)
    assert (verdict == "stop") is (after.breaches == 2)
    if verdict == "on":
        assert lasted >= GATES.least_ms
        assert seen.calls >= GATES.calls or (lasted >= GATES.least_ms * QUIET_TIMES and not seen.failed)
    else:
        assert after.step <= ramp.step


def test_the_steps_are_those_of_the_specification() -> None:
    ramp, shares, now = Ramp(), [], 0
    while True:
        shares.append(ramp.share)
        now += MINUTES_5
        verdict, ramp = judge(GATES, ramp, GOOD, now)
        assert verdict == "on"
        if shares[-1] == 100:
            break

    assert tuple(shares) == SHARES == (10, 50, 100)


def test_time_alone_opens_nothing_and_calls_alone_neither() -> None:
    assert judge(GATES, Ramp(), GOOD, MINUTES_5 - 1)[0] == "wait"
    assert judge(GATES, Ramp(), replace(GOOD, calls=49), MINUTES_5)[0] == "wait"
    assert judge(GATES, Ramp(), Measured(), MINUTES_5 * QUIET_TIMES)[0] == "on"
    assert judge(GATES, Ramp(), Measured(calls=3, failed=1), MINUTES_5 * QUIET_TIMES)[0] == "wait"


def test_each_gate_closes_at_its_own_mark() -> None:
    ramp = Ramp(step=1, p95_ms=100, burn=10_000)
    seen = Measured(calls=100, failed=4, p95_ms=199, cost=6_000)

    assert breach(GATES, ramp, seen, HOUR) == ""
    assert "5 of 100 calls failed" in breach(GATES, ramp, replace(seen, failed=5), HOUR)
    assert "200 ms" in breach(GATES, ramp, replace(seen, p95_ms=200), HOUR)
    # half of the calls of 10,000 an hour, and a fifth more
    assert "cost more" in breach(GATES, ramp, replace(seen, cost=6_001), HOUR)
    assert "breaker" in breach(GATES, ramp, replace(seen, open_breakers=("openai",)), HOUR)


def test_a_breach_goes_one_step_back_and_the_second_stops() -> None:
    bad = replace(GOOD, failed=50)
    verdict, ramp = judge(GATES, Ramp(step=1), bad, 1_000)
    assert (verdict, ramp.share, ramp.since_ms) == ("back", 10, 1_000)
    assert judge(GATES, ramp, bad, 2_000)[0] == "stop"


def test_three_calls_say_nothing_about_a_rate() -> None:
    assert breach(GATES, Ramp(), Measured(calls=3, failed=2), HOUR) == ""


def test_few_dear_calls_are_money_too_and_one_is_no_trend() -> None:
    ramp = Ramp(step=0, burn=12_000)  # 10 % of it in five minutes and a fifth more: 120
    assert breach(GATES, ramp, Measured(calls=1, cost=5_000, dearest=5_000), MINUTES_5) == ""
    assert "cost more" in breach(GATES, ramp, Measured(calls=2, cost=10_000, dearest=5_000), MINUTES_5)
    assert "cost more" in breach(GATES, ramp, Measured(calls=49, cost=170, dearest=10), 1_000), (
        "before its time is over"
    )
    assert breach(GATES, ramp, Measured(calls=49, cost=130, dearest=10), 1_000) == ""


def test_a_return_is_held_to_what_is_usual_and_not_to_the_runaway_that_was_stopped() -> None:
    assert usual_burn(50_000, 400) == 400
    assert usual_burn(300, 400) == 300
    assert (usual_burn(300, 0), usual_burn(0, 400), usual_burn(0, 0)) == (300, 400, 0)
