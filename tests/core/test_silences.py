"""Silences: an owner, a reason, an end; what they match they hold, for as long as they say and no longer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.matching import Labels, parse_matcher
from aegis.core.notifications import Change
from aegis.core.schedules import parse
from aegis.core.silences import LONGEST, Silence, check, held_longer, louder, silenced
from aegis.core.standing import Hold
from aegis.stores.records import dump, load
from aegis.stores.standing import silence_from_json, silence_to_json

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEB: Labels = {"host": frozenset({"web-1"}), "severity": frozenset({"high"})}
PLAIN = Silence(
    id="sil_1",
    matchers=(parse_matcher("host=web-*"),),
    owner="ops",
    reason="deploy",
    created_at=NOON,
    starts_at=NOON,
    ends_at=NOON + HOUR,
)
minutes = st.integers(-200, 400).map(lambda m: NOON + timedelta(minutes=m))


@given(minutes, st.none() | st.integers(0, 60))
def test_it_holds_from_its_start_to_its_end_and_never_after_it_was_ended(now: datetime, ended: int | None) -> None:
    over = None if ended is None else NOON + timedelta(minutes=ended)
    one = replace(PLAIN, ended_at=over)
    holds = silenced(WEB, [one], now, "opened") is not None
    assert holds is (NOON <= now < min(PLAIN.ends_at, over or PLAIN.ends_at))
    assert (one.open_at(now) is not None) is holds


@given(minutes)
def test_a_recurring_one_holds_only_in_its_windows_and_before_its_end(now: datetime) -> None:
    recurring = replace(PLAIN, schedule=parse("sat 12:30-13:30"), ends_at=NOON + 2 * HOUR)
    inside = NOON + timedelta(minutes=30) <= now < NOON + timedelta(minutes=90)
    assert (recurring.open_at(now) is not None) is inside
    assert recurring.state(NOON) == "between"


def test_it_says_who_wanted_it_why_and_until_when() -> None:
    hold = silenced(WEB, [PLAIN, replace(PLAIN, id="sil_2", ends_at=NOON + 2 * HOUR)], NOON, "opened")
    assert hold is not None
    assert hold.by == "sil_2", "the one that ends last"
    assert hold.why == "silence sil_2 of ops (deploy) until 2026-11-21 14:00 UTC"


def test_what_it_does_not_match_is_told() -> None:
    assert silenced({"host": frozenset({"db-1"})}, [PLAIN], NOON, "opened") is None


def test_critical_is_held_unless_it_says_otherwise() -> None:
    critical: Labels = {**WEB, "severity": frozenset({"critical"})}
    assert silenced(critical, [PLAIN], NOON, "opened") is not None
    assert silenced(critical, [replace(PLAIN, critical_passes=True)], NOON, "opened") is None
    assert silenced(WEB, [replace(PLAIN, critical_passes=True)], NOON, "opened") is not None


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (replace(PLAIN, owner=" \x00"), "no_owner"),
        (replace(PLAIN, reason=""), "no_owner"),
        (replace(PLAIN, matchers=()), "matchers"),
        (replace(PLAIN, ends_at=NOON), "no_end"),
        (replace(PLAIN, starts_at=NOON - 2 * HOUR, ends_at=NOON - HOUR), "no_end"),
        (replace(PLAIN, ends_at=NOON + LONGEST + HOUR), "too_long"),
        (replace(PLAIN, schedule=parse("sat 10:00-11:00"), ends_at=NOON + timedelta(days=400)), "too_long"),
    ],
)
def test_a_silence_without_owner_reason_matcher_or_end_is_refused(wrong: Silence, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        check(wrong, now=NOON)
    assert refused.value.code == code


def test_a_recurring_one_may_last_a_year() -> None:
    yearly = replace(PLAIN, schedule=parse("sat 10:00-11:00"), ends_at=NOON + timedelta(days=360))
    assert check(yearly, now=NOON) == yearly


def test_it_survives_the_store() -> None:
    one = replace(PLAIN, schedule=parse("sat,sun 22:00-06:00 Europe/Berlin"), critical_passes=True, held=3)
    assert silence_from_json(one.id, load(dump(silence_to_json(one))), ended_at=None, held=3) == one


changes = st.sampled_from(["opened", "raised", "reopened", "updated", "analysed", "escalated"])


@given(st.lists(changes, min_size=1, max_size=6))
def test_people_hear_in_the_end_the_loudest_of_what_was_held_back(held_back: list[Change]) -> None:
    hold: Hold | None = None
    for change in held_back:
        made = silenced(WEB, [PLAIN], NOON, change)
        assert made is not None
        hold = held_longer(hold, made)
    assert hold is not None
    assert hold.messages == len(held_back)
    assert all(louder(hold.change, change) == hold.change for change in held_back)
    assert ("opened" in held_back) <= hold.unheard
