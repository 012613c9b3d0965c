"""A moment is the same moment however it is spelled, and nonsense is no moment."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.incidents.formats.times import SKEW, parse_time

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MOMENT = datetime(2026, 3, 3, 23, 40, 10, tzinfo=UTC)


def naive(first: int, last: int) -> st.SearchStrategy[datetime]:
    years = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (first, last))
    return st.datetimes(*years)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-03T23:40:10Z",
        "2026-03-03 23:40:10",
        "2026-03-03 23:40:10 UTC",
        "2026-03-04T00:40:10+01:00",
        "2026-03-04T00:40:10.0000000+0100",
        "2026-03-03T23:40:10.000000000Z",
        1_772_581_210,
        1_772_581_210.0,
        "1772581210",
        "1772581210.000",
        1_772_581_210_000,
        "1772581210000000",
        1_772_581_210_000_000_000,
        "03/Mar/2026:18:40:10 -0500",
        "Mar  3 23:40:10",
        "Mar  3 23:40:10 2026",
        "Tue, 03 Mar 2026 23:40:10 GMT",
        "/Date(1772581210000)/",
    ],
)
def test_spellings_of_one_moment(text: Any) -> None:
    assert parse_time(text, received_at=NOW) == MOMENT


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-99-99", "Feb 31 10:00:00", {}, [], None, True, -5, "9" * 40, float("nan")]
)
def test_nonsense_is_no_moment(text: Any) -> None:
    assert parse_time(text, received_at=NOW) is None


@given(naive(1990, 2090), st.integers(-14 * 60, 14 * 60))
def test_any_zone_comes_out_in_utc(local: datetime, minutes: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(moment.isoformat(), received_at=NOW) == moment.astimezone(UTC)


@given(naive(2020, 2030), st.integers(0, 300))
def test_a_stamp_without_a_year_is_the_last_such_day(local: datetime, days: int) -> None:
    moment = local.replace(microsecond=0, tzinfo=UTC)
    text = f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S}"
    found = parse_time(text, received_at=moment + timedelta(days=days))
    assert found == moment
    assert found <= moment + timedelta(days=days) + SKEW


@given(st.text(max_size=40) | st.integers() | st.floats())
def test_nothing_whatever_raises(value: Any) -> None:
    found = parse_time(value, received_at=NOW)
    assert found is None or found.tzinfo is UTC
