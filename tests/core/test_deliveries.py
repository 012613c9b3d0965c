"""The order of a lane, and what is carried on when one message overtakes another."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aegis.core.deliveries import AGE_STEP, Place, carry_on, rank
from aegis.core.incidents import Severity

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WAITS = st.timedeltas(timedelta(0), timedelta(days=400))
PLACES = st.builds(
    Place,
    change=st.sampled_from(["opened", "raised", "reopened", "analysed", "updated", "resolved"]),
    priority=st.sampled_from(Severity),
    created_at=WAITS.map(lambda wait: NOON + wait),
    due_at=WAITS.map(lambda wait: NOON + wait),
    attempts=st.integers(0, 9),
    last_error=st.sampled_from(["", "429"]),
)


@given(st.sampled_from([one for one in Severity if one is not Severity.CRITICAL]), WAITS)
def test_nothing_ever_stands_before_a_critical_one(priority: Severity, waited: timedelta) -> None:
    assert rank(priority, waited) < rank(Severity.CRITICAL, timedelta(0))


@given(st.sampled_from(Severity), WAITS, WAITS)
def test_waiting_never_moves_anything_back(priority: Severity, waited: timedelta, more: timedelta) -> None:
    assert int(priority) <= rank(priority, waited) <= rank(priority, waited + more)


def test_a_low_one_stands_beside_a_fresh_high_one_after_two_steps() -> None:
    fresh_high = rank(Severity.HIGH, timedelta(0))

    assert rank(Severity.LOW, 2 * AGE_STEP - timedelta(seconds=1)) < fresh_high
    assert rank(Severity.LOW, 2 * AGE_STEP) == fresh_high
    assert rank(Severity.LOW, timedelta(-1)) == Severity.LOW  # the clock was set back


@given(PLACES, PLACES)
def test_overtaking_loses_neither_place_nor_priority_nor_the_first_page(newer: Place, older: Place) -> None:
    carried = carry_on(newer, older)

    assert carried.priority >= older.priority
    assert carried.created_at <= older.created_at
    assert carried.attempts == newer.attempts + older.attempts
    assert carried.due_at == older.due_at or not older.attempts
    pages = {"opened", "raised", "reopened"}
    assert carried.change in pages or older.change not in pages or newer.change == "resolved"


def test_a_later_end_of_the_story_is_told_as_such() -> None:
    opened = Place(change="opened", priority=Severity.HIGH, created_at=NOON, due_at=NOON, attempts=0, last_error="")
    changes = ("analysed", "updated", "raised", "resolved", "acknowledged")
    newer = [Place(**{**{name: getattr(opened, name) for name in Place.__slots__}, "change": one}) for one in changes]

    carried = [carry_on(one, opened).change for one in newer]

    assert carried == ["opened", "opened", "raised", "resolved", "acknowledged"]
