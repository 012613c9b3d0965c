"""On call: somebody always is, each in turn, and the clocks change nothing about it."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from aegis.core.rotations import Override, Rotation

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date(2026, 1, 5)
WEEK = Rotation(name="soc", contacts=("anna", "ben", "carl"), begins=MONDAY, zone="Europe/Berlin")

rotations = st.builds(
    Rotation,
    name=st.just("soc"),
    contacts=st.sampled_from([("anna",), ("anna", "ben"), ("anna", "ben", "carl")]),
    begins=st.dates(date(2025, 1, 1), date(2027, 1, 1)),
    every=st.sampled_from(["day", "week"]),
    at=st.integers(0, 1439),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
moments = st.integers(0, 2 * 366 * 1440).map(lambda n: datetime(2025, 6, 1, tzinfo=UTC) + timedelta(minutes=n))


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_it_hands_over_on_the_weekday_it_began_on_at_its_time_of_the_wall() -> None:
    assert WEEK.on_call(berlin("2026-01-05T09:00")).primary == "anna"
    assert WEEK.on_call(berlin("2026-01-12T08:59")).primary == "anna"
    there = WEEK.on_call(berlin("2026-01-12T09:00"))
    assert (there.primary, there.secondary) == ("ben", "carl")
    assert there.until == berlin("2026-01-19T09:00")


@given(rotations, moments)
def test_somebody_is_on_call_until_it_changes_and_the_same_until_then(rotation: Rotation, now: datetime) -> None:
    there = rotation.on_call(now)
    assert there.primary in rotation.contacts
    assert there.until > now
    assert rotation.on_call(there.until - timedelta(minutes=1)).primary == there.primary


@given(rotations, moments)
def test_each_comes_in_turn_and_the_secondary_is_the_next(rotation: Rotation, now: datetime) -> None:
    shifts = [there for _, there in rotation.shifts(now, most=5)]
    for one, other in pairwise(shifts):
        assert other.primary == (one.secondary or one.primary)


@given(rotations, moments)
def test_shifts_are_a_day_or_a_week_long_but_for_the_clocks(rotation: Rotation, now: datetime) -> None:
    length = timedelta(days=7 if rotation.every == "week" else 1)
    starts = [at for at, _ in rotation.shifts(now, most=5)][1:]
    assert all(abs((b - a) - length) <= timedelta(hours=1) for a, b in pairwise(starts))


def test_who_stands_in_is_asked_and_who_is_away_is_not_the_second_either() -> None:
    away = Override(contact="carl", starts_at=berlin("2026-01-06T00:00"), ends_at=berlin("2026-01-08T00:00"))
    rotation = Rotation(name="soc", contacts=WEEK.contacts, begins=MONDAY, zone="Europe/Berlin", overrides=(away,))
    there = rotation.on_call(berlin("2026-01-07T12:00"))
    assert (there.primary, there.secondary) == ("carl", "ben")
    assert there.until == away.ends_at
    assert rotation.on_call(berlin("2026-01-08T00:00")).primary == "anna"
