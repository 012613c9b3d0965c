"""Windows of the week: what the wall shows decides, also when clocks change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.schedules import DAY_MINUTES, Weekly, instant, parse

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
BERLIN = ZoneInfo("Europe/Berlin")


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


weekly = st.builds(
    Weekly,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, DAY_MINUTES - 1),
    end=st.integers(0, DAY_MINUTES),
    zone=st.sampled_from(ZONES),
)
moments = st.integers(0, 2 * 366 * DAY_MINUTES).map(lambda n: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=n))


def on_the_wall(window: Weekly, now: datetime) -> bool:
    """The rule in its plainest form: look at the wall."""
    wall = now.astimezone(ZoneInfo(window.zone))
    shown = wall.hour * 60 + wall.minute
    yesterday = (wall.weekday() - 1) % 7
    if window.end > window.start:
        return wall.weekday() in window.days and window.start <= shown < window.end
    today = wall.weekday() in window.days and shown >= window.start
    return today or (yesterday in window.days and shown < window.end)


@given(weekly, moments)
def test_what_the_wall_shows_inside_the_window_is_inside(window: Weekly, now: datetime) -> None:
    if on_the_wall(window, now):
        span = window.at(now)
        assert span is not None
        assert span.starts_at <= now < span.ends_at


@given(weekly, moments)
def test_outside_on_the_wall_is_outside_but_for_the_hour_that_comes_twice(window: Weekly, now: datetime) -> None:
    if window.at(now) is not None and not on_the_wall(window, now):
        offsets = {(now + timedelta(hours=h)).astimezone(ZoneInfo(window.zone)).utcoffset() for h in (-25, 0, 25)}
        assert len(offsets) > 1


@given(weekly, moments)
def test_the_next_window_is_the_first_minute_that_is_inside_after_one_that_is_not(
    window: Weekly, now: datetime
) -> None:
    following = window.next_after(now)
    assert following.starts_at > now
    assert window.at(following.starts_at) is not None
    assert not any(
        window.at(now + timedelta(minutes=m)) is not None and window.at(now) is None
        for m in range(0, int((following.starts_at - now) / timedelta(minutes=1)), 97)
    )


def test_a_window_over_the_night_belongs_to_the_day_it_opens_on() -> None:
    window = parse("fri 22:00-06:00 Europe/Berlin")
    assert window.at(berlin("2026-11-21T05:59")) is not None
    assert window.at(berlin("2026-11-21T06:00")) is None
    assert window.at(berlin("2026-11-20T05:00")) is None


def test_the_night_of_25_hours_is_quiet_for_an_hour_more() -> None:
    span = parse("sat 22:00-06:00 Europe/Berlin").at(berlin("2026-10-25T01:00"))
    assert span is not None
    assert span.ends_at - span.starts_at == timedelta(hours=9)


def test_the_night_of_23_hours_is_quiet_for_an_hour_less() -> None:
    span = parse("sat 22:00-06:00 Europe/Berlin").at(berlin("2026-03-29T01:00"))
    assert span is not None
    assert span.ends_at - span.starts_at == timedelta(hours=7)


def test_a_time_that_the_clocks_skip_is_the_moment_of_the_change() -> None:
    day = date(2026, 3, 29)
    assert instant(day, 2 * 60 + 30, "Europe/Berlin") == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert parse("sun 02:15-02:45 Europe/Berlin").at(datetime(2026, 3, 29, 1, 0, tzinfo=UTC)) is None


def test_a_time_that_comes_twice_is_covered_both_times() -> None:
    window = parse("sun 02:15-02:45 Europe/Berlin")
    assert window.at(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) is not None
    assert window.at(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mon-fri 9:00-17:00", "mon,tue,wed,thu,fri 09:00-17:00 UTC"),
        ("sat,sun 00:00-24:00 Europe/Berlin", "sat,sun 00:00-24:00 Europe/Berlin"),
        ("daily 22:00-07:00", "daily 22:00-07:00 UTC"),
        ("fri-mon 12:00-13:00", "mon,fri,sat,sun 12:00-13:00 UTC"),
    ],
)
def test_a_window_reads_back_as_it_is_written(text: str, said: str) -> None:
    assert parse(text).text() == said
    assert parse(said) == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mon",
        "mon 9-17",
        "mon 09:00-25:00",
        "mon 24:00-06:00",
        "noday 09:00-10:00",
        "mon 09:60-10:00",
        "mon 09:00-10:00 Mars/Base",
    ],
)
def test_what_is_no_window_says_what_it_must_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|IANA"):
        parse(text)
