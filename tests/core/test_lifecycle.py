"""What people say about an incident: the newest word counts, whatever order the words arrive in."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.incidents import Incident, Observable, Severity, Status
from aegis.core.lifecycle import MOVES, Verb, Word, change_between, heard

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
OPEN = Incident(
    id="inc_1",
    title="Brute force",
    severity=Severity.HIGH,
    status=Status.OPEN,
    opened_at=NOON,
    updated_at=NOON,
    first_seen=NOON,
    last_seen=NOON,
    entity=Observable("ip", "203.0.113.9"),
)


def word(verb: Verb, minutes: int = 0, *, by: str = "anna", via: str = "slack", text: str = "") -> Word:
    return Word(verb=verb, by=by, via=via, at=NOON + timedelta(minutes=minutes), text=text)


def test_a_word_says_who_moved_the_incident_where_and_when() -> None:
    after = heard(OPEN, word("acknowledge", 5, text="on it"), LATER)
    assert (after.status, after.status_by, after.status_via) == (Status.ACKNOWLEDGED, "anna", "slack")
    assert after.status_at == NOON + timedelta(minutes=5)
    assert after.timeline[-1].text == "Acknowledged by anna in slack: on it"
    assert change_between(OPEN, after) == "acknowledged"


def test_saying_the_same_again_tells_nobody_and_the_first_who_said_it_has_it() -> None:
    once = heard(OPEN, word("acknowledge"), LATER)
    assert heard(once, word("acknowledge"), LATER) is once
    again = heard(once, word("acknowledge", 9, by="ben"), LATER)
    assert change_between(once, again) is None
    assert (again.status_by, again.timeline) == ("anna", once.timeline)


def test_an_older_word_never_undoes_a_newer_one_and_is_noted_once() -> None:
    reopened = heard(heard(OPEN, word("resolve", 1), LATER), word("reopen", 10), LATER)
    late = heard(reopened, word("resolve", 5, via="pagerduty"), LATER)
    assert late.status is Status.OPEN
    assert late.timeline[-1].kind == "late"
    assert change_between(reopened, late) is None
    assert heard(late, word("resolve", 5, via="pagerduty"), LATER) is late


def test_a_clock_that_runs_ahead_cannot_lock_everybody_else_out() -> None:
    ahead = heard(OPEN, word("resolve", 60 * 24 * 365), LATER)
    assert ahead.status_at == LATER
    assert heard(ahead, word("reopen", 60), LATER).status is Status.OPEN


def test_what_is_resolved_cannot_be_acknowledged() -> None:
    with pytest.raises(BadInput) as refused:
        heard(heard(OPEN, word("resolve"), LATER), word("acknowledge", 5), LATER)
    assert refused.value.code == "resolved"


def test_a_note_and_a_name_move_nothing() -> None:
    noted = heard(OPEN, word("note", text="first line\nsecond \u202eline"), LATER)
    assert noted.timeline[-1].text == "first line\nsecond line"
    given_to = heard(noted, word("assign", text="ben"), LATER)
    assert (given_to.assignee, given_to.status) == ("ben", Status.OPEN)
    assert heard(given_to, word("assign", text="ben"), LATER) is given_to


@pytest.mark.parametrize(("verb", "code"), [("note", "empty_note"), ("assign", "empty_name")])
def test_an_empty_text_is_refused(verb: Verb, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        heard(OPEN, word(verb, text=" \n\x00"), LATER)
    assert refused.value.code == code


moves = st.sampled_from(sorted(MOVES))


@given(st.lists(st.tuples(moves, st.integers(0, 50)), max_size=12))
def test_the_time_of_the_status_never_goes_back(said: list[tuple[Verb, int]]) -> None:
    incident = OPEN
    for verb, minutes in said:
        try:
            after = heard(incident, word(verb, minutes), LATER)
        except BadInput:
            continue
        assert (after.status_at or NOON) >= (incident.status_at or NOON)
        assert (change_between(incident, after) is None) == (after.status is incident.status)
        incident = after


@given(st.lists(st.sampled_from(["resolve", "reopen"]), min_size=1, max_size=4))
def test_words_end_where_the_newest_says_whatever_order_they_arrive_in(verbs: list[Verb]) -> None:
    said = [word(verb, minutes) for minutes, verb in enumerate(verbs)]
    for order in permutations(said):
        incident = OPEN
        for one in order:
            incident = heard(incident, one, LATER)
        assert incident.status is MOVES[verbs[-1]][0]
