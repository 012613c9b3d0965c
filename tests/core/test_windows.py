"""Windows tile time without gap or overlap, whatever the clocks of a zone do, and a doubtful clock opens none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.windows import (
    BELIEVE_AFTER_MS,
    JUMP_MS,
    ClockGuard,
    WindowKind,
    WindowPolicy,
    slot_of,
    slots_gone_before,
    window_at,
)

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "America/Santiago",
    "Asia/Beirut",
)
CALENDAR: tuple[WindowKind, ...] = ("day", "week", "month")
instants = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
policies = st.builds(
    WindowPolicy, kind=st.sampled_from(CALENDAR), zone=st.sampled_from(ZONES), week_start=st.integers(0, 6)
)


@given(policies, instants)
def test_every_instant_is_in_its_window_and_the_next_window_begins_where_it_ends(
    policy: WindowPolicy, now: datetime
) -> None:
    window = window_at(policy, now)
    assert window.starts_at <= now < window.ends_at
    following = window_at(policy, window.ends_at)
    assert following.starts_at == window.ends_at
    assert following.key > window.key


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)],
)
def test_a_day_has_as_many_hours_as_its_zone_gives_it(day: str, hours: int) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    window = window_at(WindowPolicy(kind="day", zone="Europe/Berlin"), noon)
    assert (window.key, window.ends_at - window.starts_at) == (day, timedelta(hours=hours))


def test_where_midnight_does_not_exist_the_day_begins_with_its_first_instant() -> None:
    # Beirut's clocks went from 00:00 to 01:00 on 2026-03-29: the day begins at 22:00 UTC the evening before.
    window = window_at(WindowPolicy(kind="day", zone="Asia/Beirut"), datetime(2026, 3, 29, 10, tzinfo=UTC))
    assert window.starts_at == datetime(2026, 3, 28, 22, tzinfo=UTC)
    assert window.ends_at - window.starts_at == timedelta(hours=23)


@pytest.mark.parametrize(
    ("kind", "key", "first", "after"),
    [
        ("day", "2026-11-21", "2026-11-21", "2026-11-22"),
        ("week", "2026-W47", "2026-11-16", "2026-11-23"),
        ("month", "2026-11", "2026-11-01", "2026-12-01"),
    ],
)
def test_keys_name_the_window(kind: WindowKind, key: str, first: str, after: str) -> None:
    window = window_at(WindowPolicy(kind=kind), datetime(2026, 11, 21, 15, tzinfo=UTC))
    assert (window.key, f"{window.starts_at:%Y-%m-%d}", f"{window.ends_at:%Y-%m-%d}") == (key, first, after)


@given(st.integers(0, 10**13), st.integers(48, 10**10))
def test_a_slot_is_gone_only_when_it_lies_wholly_outside(now_ms: int, span_ms: int) -> None:
    policy = WindowPolicy(kind="rolling", span_ms=span_ms)
    width = slot_of(policy, now_ms + span_ms) - slot_of(policy, now_ms + span_ms - max(1, span_ms // 48))
    gone_before = slots_gone_before(policy, now_ms)
    newest_gone = gone_before - width
    assert newest_gone + width <= now_ms - span_ms


@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 60_000)), max_size=40))
def test_while_a_leap_is_doubted_the_clock_goes_on_at_the_pace_of_the_monotonic_one(
    steps: list[tuple[int, int]],
) -> None:
    guard, wall, mono = ClockGuard(), 10**12, 0
    read = guard.reading(wall, mono)
    for leap, passed in steps:
        wall, mono = wall + leap + passed, mono + passed
        before, read = read, guard.reading(wall, mono)
        if guard.doubted:
            assert read - before <= passed + JUMP_MS


def test_a_leap_is_believed_when_the_clock_then_runs_steadily() -> None:
    guard = ClockGuard()
    guard.reading(0, 0)
    leapt = 3_600_000
    assert guard.reading(leapt, 0) == 0
    assert guard.reading(leapt + BELIEVE_AFTER_MS - 1, BELIEVE_AFTER_MS - 1) == BELIEVE_AFTER_MS - 1
    assert guard.reading(leapt + BELIEVE_AFTER_MS, BELIEVE_AFTER_MS) == leapt + BELIEVE_AFTER_MS


def test_a_clock_set_back_is_read_as_it_is() -> None:
    guard = ClockGuard()
    guard.reading(10_000_000, 0)
    assert guard.reading(5_000_000, 1_000) == 5_000_000
