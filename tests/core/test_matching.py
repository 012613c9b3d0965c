"""Matchers and conditions: fields of the record with stars, and never a slow pattern."""

import fnmatch
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.incidents.stage import detection, incident

from aegis.core.incidents import Observable, Severity
from aegis.core.matching import Condition, Team, fits, labels_of, parse_matcher
from aegis.core.schedules import parse

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
WEB = Observable("host", "WEB-1")
ABOUT = incident(detection(severity=Severity.HIGH, observables=[WEB], techniques=["T1110.001"], source="Auth.log"))

small = st.text(alphabet="ab*", max_size=8)


@given(small, st.text(alphabet="ab", max_size=8))
def test_stars_mean_what_they_mean_in_a_shell(pattern: str, value: str) -> None:
    assert fits(pattern, value) is bool(re.fullmatch(fnmatch.translate(pattern), value))


def test_a_hostile_value_is_looked_at_once() -> None:
    assert not fits("*a*a*a*a*a*a*a*b", "a" * 100_000)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("host=web-*", True),
        ("host=WEB-1", True),
        ("host!=web-*", False),
        ("host=db-1,web-1", True),
        ("user=root", False),
        ("user!=root", True),
        ("severity=HIGH,CRITICAL", True),
        ("tag=attack.t1110", True),
        ("tag=T1110.001", True),
        ("source=auth.log", True),
        ("rule=ssh-*", True),
        ("kind=spend", False),
        ("team=payments", True),
    ],
)
def test_a_matcher_looks_at_one_field_of_the_record(text: str, holds: bool) -> None:
    teams = [Team(name="payments", matchers=(parse_matcher("host=web-*"),))]
    assert parse_matcher(text).holds(labels_of(ABOUT, teams)) is holds


@pytest.mark.parametrize("text", ["", "host", "host=", "title=x", "host=,", "host=" + "x" * 257, "host=" + "a*" * 9])
def test_what_is_no_matcher_says_what_it_must_be(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_matcher(text)


def test_a_matcher_reads_back_as_it_is_written() -> None:
    assert parse_matcher(parse_matcher("host!=web-*,db-1").text()) == parse_matcher("host!=web-*,db-1")


def test_a_condition_says_which_part_of_it_does_not_hold() -> None:
    labels = labels_of(ABOUT)
    assert Condition().holds(labels, NOON)
    assert Condition(times=(parse("sat,sun 00:00-24:00"),)).holds(labels, NOON)
    assert "not mon" in Condition(times=(parse("mon 09:00-17:00"),)).why_not(labels, NOON)
    why = Condition(severities=frozenset({Severity.LOW}), tags=frozenset({"t1110"})).why_not(labels, NOON)
    assert why == "severity is high, not low"


def test_what_an_event_says_in_its_text_is_no_label() -> None:
    hostile = incident(detection(evidence={"message": "team=payments host=web-1"}, title="severity=LOW"))
    assert not parse_matcher("team=payments").holds(labels_of(hostile))
    assert parse_matcher("severity=HIGH").holds(labels_of(hostile))
