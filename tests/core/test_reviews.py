"""Reviews: what is on the shipped lists, and when something is due again."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.reviews import EVERY, Every, done, later, named, shipped

TODAY = date(2026, 11, 21)


def test_both_lists_of_the_specification_are_there() -> None:
    found = shipped(TODAY)
    assert [one.every for one in found] == ["month"] * 6 + ["quarter"] * 5
    assert {one.due for one in found} == {date(2026, 12, 21), date(2027, 2, 21)}
    assert all(one.how for one in found)
    assert len({one.id for one in found}) == 11


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from(EVERY))
def test_a_period_later_is_one_or_three_months_on_and_never_skips_one(day: date, every: Every) -> None:
    after = later(day, every)
    months = after.year * 12 + after.month - day.year * 12 - day.month
    assert months == {"month": 1, "quarter": 3}[every]
    assert after.day <= day.day


def test_what_was_done_late_is_due_a_period_after_it_was_done() -> None:
    one = shipped(TODAY)[0]
    assert not one.overdue(one.due)
    assert one.overdue(date(2026, 12, 22))
    after = done(one, at=datetime(2027, 1, 31, tzinfo=UTC), by="ada")
    assert (after.due, after.done_by) == (date(2027, 2, 28), "ada")


def test_a_title_without_letters_names_nothing() -> None:
    assert named("Review & update: COST thresholds!") == "review-update-cost-thresholds"
    with pytest.raises(BadInput, match="needs a title"):
        named("!!!")
