"""Records come back as they went in, from every version of Aegis that may have written them."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import StoreError
from aegis.core.incidents import (
    Analysis,
    AnalysisSource,
    Detection,
    Event,
    Finding,
    Incident,
    LogSource,
    Observable,
    Severity,
    Status,
    TimelineEntry,
    Verdict,
)
from aegis.core.notifications import Fact, Notification
from aegis.stores.records import (
    event_from_text,
    event_to_text,
    incident_from_text,
    incident_to_text,
    load,
    notification_from_text,
    notification_to_text,
    storable,
)

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
TEXTS = st.text(st.characters(), max_size=12)  # with lone surrogates: hostile text is text
FACTS = st.dictionaries(TEXTS, TEXTS, max_size=2)
SOME = {"max_size": 2}
TUPLES = st.lists(TEXTS, **SOME).map(tuple)  # type: ignore[arg-type]
WHOLE = st.integers(-(2**70), 2**70)


def many(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


OBSERVABLES = st.builds(Observable, kind=st.sampled_from(["ip", "user", "budget"]), value=TEXTS)
DETECTIONS = st.builds(
    Detection,
    rule_id=TEXTS,
    title=TEXTS,
    severity=st.sampled_from(Severity),
    at=TIMES,
    entity=OBSERVABLES,
    observables=many(OBSERVABLES),
    techniques=TUPLES,
    tactics=TUPLES,
    event_ids=TUPLES,
    source=TEXTS,
    description=TEXTS,
    evidence=FACTS,
)
FINDINGS = st.builds(
    Finding,
    source=TEXTS,
    observable=OBSERVABLES,
    verdict=st.sampled_from(Verdict),
    title=TEXTS,
    at=TIMES,
    facts=FACTS,
    link=TEXTS,
)
ANALYSES = st.builds(
    Analysis,
    source=st.sampled_from(AnalysisSource),
    model=TEXTS,
    summary=TEXTS,
    impact=TEXTS,
    actions=TUPLES,
    confidence=st.sampled_from(["low", "medium", "high"]),
    severity=st.sampled_from(Severity),
    techniques=TUPLES,
    iocs=many(OBSERVABLES),
    cost=WHOLE,
    why_offline=TEXTS,
    flags=TUPLES,
    at=st.none() | TIMES,
)
ENTRIES = st.builds(TimelineEntry, at=TIMES, kind=TEXTS, text=TEXTS, attributes=FACTS)
INCIDENTS = st.builds(
    Incident,
    id=TEXTS,
    title=TEXTS,
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    kind=st.sampled_from(["security", "spend"]),
    opened_at=TIMES,
    updated_at=TIMES,
    first_seen=TIMES,
    last_seen=TIMES,
    entity=OBSERVABLES,
    count=WHOLE,
    risk=WHOLE,
    rules=TUPLES,
    detections=many(DETECTIONS),
    observables=many(OBSERVABLES),
    techniques=TUPLES,
    tactics=TUPLES,
    findings=many(FINDINGS),
    analysis=st.none() | ANALYSES,
    timeline=many(ENTRIES),
    cost=WHOLE,
    version=WHOLE,
    repeats=st.dictionaries(TEXTS, WHOLE, max_size=2),
)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(TEXTS, JSON, max_size=3)
EVENTS = st.builds(
    Event, id=TEXTS, at=TIMES, source=TEXTS, logsource=st.builds(LogSource, TEXTS, TEXTS, TEXTS), fields=DOCUMENTS
)
NOTIFICATIONS = st.builds(
    Notification,
    incident_id=TEXTS,
    dedup_key=TEXTS,
    version=WHOLE,
    change=st.sampled_from(["opened", "analysed", "test"]),
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    title=TEXTS,
    summary=TEXTS,
    at=TIMES,
    source=TEXTS,
    facts=many(st.builds(Fact, TEXTS, TEXTS)),
    actions=TUPLES,
    techniques=TUPLES,
    link=TEXTS,
    document=DOCUMENTS,
)


@given(EVENTS)
def test_an_event_comes_back_whole(event: Event) -> None:
    assert event_from_text(event_to_text(event)) == event


@given(INCIDENTS)
def test_an_incident_comes_back_whole(incident: Incident) -> None:
    assert incident_from_text(incident_to_text(incident)) == incident


@given(NOTIFICATIONS)
def test_a_notification_comes_back_whole(notification: Notification) -> None:
    assert notification_from_text(notification_to_text(notification)) == notification


@given(EVENTS)
def test_what_is_stored_is_text_that_any_database_takes(event: Event) -> None:
    assert event_to_text(event).encode("utf-8")


MOMENT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
ENTITY = Observable("ip", "203.0.113.9")
DETECTION = Detection(rule_id="r", title="t", severity=Severity.LOW, at=MOMENT, entity=ENTITY)
FINDING = Finding(source="virustotal", observable=ENTITY, verdict=Verdict.UNKNOWN, title="t", at=MOMENT)
ANALYSIS = Analysis(
    source=AnalysisSource.OFFLINE,
    model="",
    summary="s",
    impact="i",
    actions=("a",),
    confidence="low",
    severity=Severity.LOW,
)
INCIDENT = Incident(
    id="inc_1",
    title="t",
    severity=Severity.CRITICAL,
    status=Status.OPEN,
    opened_at=MOMENT,
    updated_at=MOMENT,
    first_seen=MOMENT,
    last_seen=MOMENT,
    entity=ENTITY,
    detections=(DETECTION,),
    findings=(FINDING,),
    analysis=ANALYSIS,
    timeline=(TimelineEntry(at=MOMENT, kind="note", text="x"),),
)


def test_no_field_of_a_record_is_forgotten() -> None:
    document = load(incident_to_text(INCIDENT))
    (detection,), (finding,), (entry,) = document["detections"], document["findings"], document["timeline"]
    written = {
        Incident: set(document) - {"v"},
        Detection: set(detection),
        Finding: set(finding),
        Analysis: set(document["analysis"]),
        TimelineEntry: set(entry),
    }

    assert written == {kind: {field.name for field in fields(kind)} for kind in written}


def test_a_document_of_the_first_version_is_read_for_ever() -> None:
    stored = (
        '{"v":1,"id":"inc_1","title":"t","severity":"CRITICAL","status":"open",'
        '"opened_at":"2026-03-01T12:00:00.000005+00:00","updated_at":"2026-03-01T12:00:00.000005+00:00",'
        '"first_seen":"2026-03-01T12:00:00.000005Z","last_seen":"2026-03-01T12:00:00.000005+00:00",'
        '"entity":["ip","203.0.113.9"]}'
    )

    bare = replace(INCIDENT, detections=(), findings=(), analysis=None, timeline=())
    assert incident_from_text(stored) == bare


@pytest.mark.parametrize("text", ['{"v":2,"id":"x"}', '{"id":"x"}'])
def test_a_document_of_a_newer_version_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="install the newer Aegis"):
        event_from_text(text)


def test_text_from_outside_is_clipped_and_fits_utf8() -> None:
    assert storable("a\ud800b" + "c" * 99, 4) == "a\\ud800bc"
