"""What a person reads first is what matters, and what a program reads is JSON."""

from dataclasses import replace

import orjson
import pytest
from tests.incidents.answers import good_answer
from tests.incidents.stage import NOON, FakeAnalyst, Stage, detection, incident

from aegis.core.incidents import Finding, Observable, Severity, Verdict
from aegis.core.notifications import Notification
from aegis.incidents.compose import FLAGS, compose, document, named_techniques
from aegis.incidents.offline import analyse_offline


def facts(notification: Notification) -> dict[str, str]:
    return {fact.label: fact.value for fact in notification.facts}


def test_the_first_message_can_be_acted_on_without_any_analysis() -> None:
    notification = compose(incident(detection(title="Passwords are being guessed")), "opened")

    assert notification.title == "Passwords are being guessed from 203.0.113.9"
    assert notification.summary.startswith("1 detection at 12:00 UTC")
    assert len(notification.actions) >= 3
    assert "Analysis" not in facts(notification)


@pytest.mark.anyio
async def test_the_update_carries_the_models_words_and_what_they_cost() -> None:
    stage = Stage(analyst=FakeAnalyst(lambda _: good_answer()))
    await stage.take(detection())
    await stage.pipeline.drain()

    notification = compose(stage.only(), "analysed")

    assert notification.summary == "Passwords were guessed over SSH until one fitted."
    assert facts(notification)["Analysis"] == "claude-sonnet-5-5, confidence high"
    assert facts(notification)["Cost"] == "$0.0120"
    assert notification.actions == ("Lock the account.", "Block the address.")


def test_an_offline_analysis_says_why() -> None:
    about = incident()
    about = replace(about, analysis=analyse_offline(about, why="its budget is used up", at=NOON))

    assert facts(compose(about, "analysed"))["Analysis"] == "offline (its budget is used up)"


def test_a_warning_is_in_words() -> None:
    about = incident()
    about = replace(about, analysis=analyse_offline(about, why="", at=NOON, flags=("injection_suspected",)))

    assert facts(compose(about, "raised"))["Warning"] == FLAGS["injection_suspected"]


def test_the_worst_finding_comes_first() -> None:
    def finding(value: str, verdict: Verdict) -> Finding:
        return Finding(source="virustotal", observable=Observable("ip", value), verdict=verdict, title="", at=NOON)

    about = replace(
        incident(), findings=(finding("198.51.100.1", Verdict.HARMLESS), finding("203.0.113.9", Verdict.MALICIOUS))
    )

    assert facts(compose(about, "analysed"))["Findings"].startswith("virustotal: 203.0.113.9 malicious;")


def test_a_technique_is_never_a_bare_number_when_somebody_knows_its_name() -> None:
    about = incident(detection(techniques=["T1110", "T1999", "T1998"]))
    named = Finding(
        source="attack",
        observable=Observable("technique", "T1999"),
        verdict=Verdict.UNKNOWN,
        title="T1999 Something New",
        at=NOON,
    )

    assert named_techniques(replace(about, findings=(named,))) == ("T1110 Brute Force", "T1999 Something New", "T1998")


def test_the_dedup_key_stays_while_the_version_grows() -> None:
    about = incident()
    later = replace(about, version=7)

    first, second = compose(about, "opened"), compose(later, "updated")

    assert first.dedup_key == second.dedup_key == about.id
    assert (first.version, second.version) == (1, 7)


def test_the_document_is_json_and_begins_with_its_schema() -> None:
    rows = [detection(f"rule-{n}", severity=Severity.CRITICAL) for n in range(9)]
    shown = document(incident(*rows), change="opened")

    assert next(iter(shown)) == "schema"
    assert shown["schema"] == "aegis.incident/1"
    assert orjson.loads(orjson.dumps(shown)) == shown
    assert shown["cost_usd"] == "0.00"
    assert shown["opened_at"] == "2026-11-21T12:00:00.000Z"
    assert len(shown["detections"]) == 5


def test_everything_a_channel_gets_is_bounded() -> None:
    long = "x" * 50_000
    notification = compose(
        incident(detection(title=long, entity=Observable("user", long), evidence={"a": long})), "opened"
    )

    assert len(notification.title) <= 160
    assert len(notification.summary) <= 1_200
    assert all(len(fact.value) <= 300 for fact in notification.facts)
    assert all(len(action) <= 300 for action in notification.actions)
