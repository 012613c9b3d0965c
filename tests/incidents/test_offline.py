"""The offline analysis: what an analyst reads at three in the morning when no model can be asked."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.incidents.stage import NOON, detection, incident

from aegis.core.incidents import AnalysisSource, Finding, Incident, Observable, Severity, Verdict
from aegis.core.techniques import TACTICS
from aegis.incidents.offline import ACTIONS_MAX, analyse_offline, platform_of
from aegis.incidents.playbook import PLAYS, play_of

DEPLOY, BASTION = Observable("user", "deploy"), Observable("host", "bastion-1")


def told(about: Incident) -> str:
    analysis = analyse_offline(about, why="its budget is used up", at=NOON)
    return " ".join((analysis.summary, analysis.impact, *analysis.actions))


def test_it_says_what_to_whom_how_often_and_since_when() -> None:
    guesses = [detection(title="Passwords are being guessed", at=n, observables=[BASTION]) for n in range(7)]
    login = detection("login", title="A password fitted", severity=Severity.CRITICAL, at=9, observables=[DEPLOY])
    summary = analyse_offline(incident(*guesses, login), why="", at=NOON).summary

    assert summary == (
        "A password fitted from 203.0.113.9: 8 detections by 2 rules between 12:00 and 12:09 UTC on 21 November 2026. "
        "Involved: address 203.0.113.9; user deploy; host bastion-1. Seen with it: Passwords are being guessed."
    )


def test_containing_the_account_comes_first_when_it_is_serious() -> None:
    aws = {"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com"}
    arn = Observable("user", "arn:aws:iam::210987654321:user/deploy")
    about = incident(detection("stop", entity=arn, tactics=["privilege-escalation"], evidence=aws))

    first = analyse_offline(about, why="", at=NOON).actions[0]

    assert first.startswith("Make the access keys of deploy inactive")


@pytest.mark.parametrize(
    ("field", "platform"),
    [
        ("eventName", "aws"),
        ("EventID", "windows"),
        ("cs-uri-stem", "web"),
        ("key_id", "models"),
        ("program", "linux"),
        ("x", ""),
    ],
)
def test_the_platform_is_read_from_the_evidence(field: str, platform: str) -> None:
    assert platform_of(incident(detection(evidence={field: "1"}))) == platform


def test_no_step_names_what_the_incident_does_not_have() -> None:
    text = told(incident(detection(entity=BASTION, tactics=list(PLAYS), techniques=["T1110", "T1003"])))

    assert "{" not in text
    assert "None" not in text


def test_a_value_that_looks_like_a_mark_is_never_filled_in() -> None:
    strange = Observable("user", "{host}")

    assert "Lock {host} on bastion-1" in told(
        incident(detection(entity=strange, observables=[BASTION], evidence={"program": "sshd"}))
    )


@given(
    st.lists(st.sampled_from([*PLAYS, "nonsense"]), max_size=4),
    st.sampled_from(list(Severity)),
    st.sampled_from(["ip", "user", "host", "key", "domain", "file_hash", "process"]),
    st.text(min_size=1, max_size=40),
)
def test_there_is_always_something_to_read_and_to_do(
    tactics: list[str], severity: Severity, kind: str, value: str
) -> None:
    entity = Observable(kind, value)  # type: ignore[arg-type]
    analysis = analyse_offline(incident(detection(severity=severity, entity=entity, tactics=tactics)), why="", at=NOON)

    assert analysis.source is AnalysisSource.OFFLINE
    assert analysis.severity is severity
    assert analysis.summary
    assert analysis.impact
    assert 1 <= len(analysis.actions) <= ACTIONS_MAX
    assert len(set(analysis.actions)) == len(analysis.actions)
    assert "\n" not in analysis.summary


def test_every_tactic_of_the_catalogue_has_a_play() -> None:
    assert all(play_of(tactic) is not None for tactic in TACTICS)
    assert play_of("Initial_Access") is PLAYS["initial-access"]


def test_a_bad_finding_is_said_and_makes_it_certain() -> None:
    address = Observable("ip", "203.0.113.9")
    bad = Finding(
        source="virustotal",
        observable=address,
        verdict=Verdict.MALICIOUS,
        title="",
        at=NOON,
        facts={"engines": "12 of 90"},
    )
    analysis = analyse_offline(replace(incident(), findings=(bad,)), why="", at=NOON)

    assert "Virustotal rates 203.0.113.9 malicious (12 of 90)." in analysis.summary
    assert analysis.confidence == "high"


def test_the_catalogues_hunting_hint_is_the_last_step() -> None:
    hint = Finding(
        source="attack",
        observable=Observable("technique", "T1110"),
        verdict=Verdict.UNKNOWN,
        title="T1110 Brute Force",
        at=NOON,
        facts={"hunting": "Count failures per account | second hint"},
    )

    actions = analyse_offline(replace(incident(), findings=(hint,)), why="", at=NOON).actions

    assert actions[-1] == "To look further (T1110): Count failures per account"


def test_a_budget_that_is_used_up_is_explained_in_money() -> None:
    facts = {"spent": "$1.00", "limit": "$1.00", "resets_at": "2026-11-22 00:00 UTC"}
    crossing = detection("b", severity=Severity.CRITICAL, entity=Observable("budget", "analysis"), evidence=facts)
    analysis = analyse_offline(replace(incident(crossing), kind="spend"), why="", at=NOON)

    assert "Spent $1.00 of $1.00. The next window opens at 2026-11-22 00:00 UTC." in analysis.summary
    assert "refused until its next window" in analysis.impact
