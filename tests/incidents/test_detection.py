"""Detection says what happened, about whom, how bad it is and why, once."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from aegis.core.incidents import Detection, Event, Observable, Severity
from aegis.incidents.detection import EVENT_IDS_MAX, EVIDENCE_CHARS, Detector
from aegis.incidents.intake import chunks_of, read_events
from aegis.incidents.rules.examples import events_of
from aegis.incidents.rules.pack import RulePack, load_pack
from aegis.sigma.reading import parse_rules

PACK = load_pack()
NOW = datetime(2026, 11, 21, tzinfo=UTC)
FAILED = "sshd[411]: Failed password for deploy from 203.0.113.66 port 40022 ssh2"
GUESSING = {"times": 20, "every": 2, "event": FAILED}
ENTERED = {"after": 20, "event": "sshd[411]: Accepted password for deploy from 203.0.113.66 port 40022 ssh2"}


def titles(detections: list[Detection]) -> list[str]:
    return [detection.title for detection in detections]


def pack_of(text: str) -> RulePack:
    parsed = parse_rules(text, origin="test.yml")
    return RulePack(rules=parsed.rules, correlations=parsed.correlations, problems=parsed.problems, entities={})


def event(fields: dict[str, Any]) -> Event:
    (item,) = read_events([orjson.dumps(fields)], source="feed", received_at=NOW)
    assert isinstance(item, Event)
    return item


def rule(selection: str, *, logsource: str = "{product: x}") -> str:
    return f"title: Found\nid: one\nlevel: high\nlogsource: {logsource}\ndetection: {{a: {selection}, condition: a}}\n"


def test_a_detection_says_who_what_and_how_bad() -> None:
    (found,) = Detector(PACK).detect(
        events_of(
            "Mar  3 23:44:40 bastion-1 useradd[4411]: new user: name=svc, UID=0, GID=0, home=/root, shell=/bin/bash"
        )
    )
    assert (found.title, found.severity) == ("A second root account was created", Severity.HIGH)
    assert found.entity == Observable("host", "bastion-1")
    assert found.techniques == ("T1136.001",)
    assert found.tactics == ("persistence",)
    assert found.at == datetime(2026, 3, 3, 23, 44, 40, tzinfo=UTC)
    assert {"uid": "0", "host": "bastion-1", "user": "svc"}.items() <= found.evidence.items()
    assert Observable("user", "svc") in found.observables
    assert len(found.event_ids) == 1


def test_single_failures_are_silent_and_twenty_of_them_are_one_detection() -> None:
    detector = Detector(PACK)
    assert titles(detector.detect(events_of([{**GUESSING, "times": 19}]))) == []
    found = detector.detect(events_of([{"after": 38, "times": 5, "every": 1, "event": FAILED}]))
    assert titles(found) == ["Passwords are being tried over SSH"]
    assert found[0].entity == Observable("ip", "203.0.113.66")


def test_a_correlation_names_its_events_and_counts_them() -> None:
    (found,) = Detector(PACK).detect(events := events_of([GUESSING]))
    assert set(found.event_ids) == {one.id for one in events}
    assert found.evidence["source_ip"] == "203.0.113.66"
    assert found.evidence["events"] == "20"


def test_guessing_and_then_a_login_is_critical() -> None:
    found = Detector(PACK).detect(events_of([GUESSING, ENTERED]))
    critical = [one for one in found if one.severity is Severity.CRITICAL]
    assert titles(critical) == ["A guessed password opened an SSH account"]
    assert {Observable("user", "deploy"), Observable("ip", "203.0.113.66")} <= {
        critical[0].entity,
        *critical[0].observables,
    }
    assert len(critical[0].event_ids) <= EVENT_IDS_MAX


def test_an_event_that_comes_again_gives_the_same_and_is_counted_once() -> None:
    detector = Detector(PACK)
    events = events_of([{**GUESSING, "times": 19}])
    detector.detect(events)
    assert detector.detect(events) == []
    twentieth = events_of([{**GUESSING, "times": 20}])[19:]
    first = detector.detect(twentieth)
    assert len(first) == 1
    assert detector.detect(twentieth) == first


def test_warming_up_counts_and_says_nothing() -> None:
    detector = Detector(PACK)
    events = events_of([GUESSING, ENTERED])
    detector.warm(events[:20])
    assert "A guessed password opened an SSH account" in titles(detector.detect(events[20:]))


def test_how_events_are_cut_into_batches_changes_nothing() -> None:
    events = events_of([GUESSING, ENTERED])
    one_by_one = Detector(PACK)
    assert [found for one in events for found in one_by_one.detect([one])] == Detector(PACK).detect(events)


@pytest.mark.parametrize(
    ("fields", "entity"),
    [
        (
            {"logsource": {"product": "x"}, "b": "c", "source_ip": "203.0.113.9", "host": "h"},
            Observable("ip", "203.0.113.9"),
        ),
        ({"logsource": {"product": "x"}, "b": "c", "user": "bob"}, Observable("user", "bob")),
        ({"logsource": {"product": "x"}, "b": "c"}, Observable("process", "feed")),
    ],
)
def test_a_rule_that_does_not_say_is_about_what_its_log_source_is_about(
    fields: dict[str, Any], entity: Observable
) -> None:
    (found,) = Detector(pack_of(rule("{b: c}"))).detect([event(fields)])
    assert found.entity == entity


def test_a_name_that_every_host_has_is_the_entity_only_when_nothing_else_is_there() -> None:
    fields = {"EventID": 1, "Channel": "Security", "User": "NT AUTHORITY\\SYSTEM"}
    detector = Detector(pack_of(rule("{EventID: 1}", logsource="{product: windows}")))
    (with_host,) = detector.detect([event({**fields, "Computer": "WS7"})])
    (without,) = detector.detect([event(fields)])
    assert (with_host.entity, without.entity.value) == (Observable("host", "ws7"), "nt authority\\system")


def test_evidence_is_clipped_and_printable() -> None:
    (found,) = Detector(pack_of(rule("{b|contains: c}"))).detect(
        [event({"logsource": {"product": "x"}, "b": "c\x1b[31m" + "y" * 5_000})]
    )
    assert len(found.evidence["b"]) <= EVIDENCE_CHARS
    assert found.evidence["b"].isprintable()


def test_rules_that_cannot_be_used_are_named_and_the_rest_works() -> None:
    broken = rule("{b|re: '('}").replace("id: one", "id: two")
    detector = Detector(pack_of(rule("{b: c}") + "---\n" + broken))
    assert [problem.rule.split()[0] for problem in detector.problems] == ["two"]
    assert len(detector.detect([event({"logsource": {"product": "x"}, "b": "c"})])) == 1


def detections_in(shared: Path, name: str) -> Counter[tuple[str, Severity]]:
    path = shared / "data" / "detection" / f"{name}.jsonl.xz"
    items = read_events(chunks_of(path), source=name, received_at=NOW, at="/event")
    found = Detector(PACK).detect([item for item in items if isinstance(item, Event)])
    return Counter((one.title, one.severity) for one in found)


def test_nothing_on_the_benign_baseline_wakes_anybody(shared: Path) -> None:
    assert not [title for title, severity in detections_in(shared, "benign_windows") if severity >= Severity.HIGH]


def test_the_recorded_cloud_attack_is_found(shared: Path) -> None:
    found = {title for title, _ in detections_in(shared, "cloudtrail")}
    assert {
        "Audit logging of the AWS account was switched off",
        "Administrator rights were granted in AWS",
        "Many different secrets were read in a short time",
        "A disk image or snapshot was shared with another AWS account",
    } <= found


def test_the_recorded_windows_attacks_are_found(shared: Path) -> None:
    found = {title for title, severity in detections_in(shared, "evtx_attack") if severity >= Severity.HIGH}
    assert {
        "A program read the memory of the Windows login service",
        "The Windows security log was cleared",
        "Password hashes were requested from a domain controller",
        "An Office program started a command interpreter",
    } <= found


def test_events_that_come_out_of_order_within_a_minute_count_all_the_same() -> None:
    backwards = events_of([GUESSING])[::-1]
    assert titles(Detector(PACK).detect(backwards)) == ["Passwords are being tried over SSH"]


def test_failures_spread_over_days_are_no_guessing() -> None:
    assert titles(Detector(PACK).detect(events_of([{**GUESSING, "every": 86_400}]))) == []
