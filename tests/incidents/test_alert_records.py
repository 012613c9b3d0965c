"""An alert's name is readable, unique by its end and safe from its own text; its record is one line for intake."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.inbound import LABELS_MAX, Alert, alert_digest, alert_record
from aegis.core.incidents import LogSource, Severity
from aegis.incidents.detection import Detector
from aegis.incidents.intake import events_from_body
from aegis.incidents.observables import VALUE_CHARS, normalise
from aegis.incidents.rules.pack import load_pack

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALERT = Alert(
    product="grafana", key="abc", name="Disk full", firing=True, severity=Severity.HIGH, at=NOW, round="1", host="db-1"
)
DETECTOR = Detector(load_pack())
TEXT = st.text(st.characters(codec="utf-8"), max_size=400)


@given(name=TEXT, host=TEXT, key=TEXT)
def test_whatever_an_alert_calls_itself_it_is_known_by_its_end(name: str, host: str, key: str) -> None:
    alert = replace(ALERT, name=name, host=host, key=key)
    assert alert_digest(alert.named) == alert.digest
    assert len(alert.named) <= VALUE_CHARS
    assert normalise("alert", alert.named) is not None, "it can be an observable"


@given(text=TEXT)
def test_a_text_of_somebody_else_is_no_alerts_name(text: str) -> None:
    if not text.endswith("]"):
        assert alert_digest(text) == ""


@given(name=TEXT, summary=TEXT, labels=st.dictionaries(TEXT, TEXT, max_size=50))
def test_every_alert_is_one_event_that_the_pack_finds(name: str, summary: str, labels: dict[str, str]) -> None:
    alert = replace(ALERT, key=repr((name, summary, labels)), name=name, summary=summary, labels=labels)
    record = alert_record(alert)
    taken = events_from_body(orjson.dumps(record), source="grafana", received_at=NOW)
    (event,) = taken.events
    assert event.logsource == LogSource(product="grafana", service="alerts")
    assert len(record["labels"]) <= LABELS_MAX
    (found,) = DETECTOR.detect([event])
    assert (found.severity, found.entity.kind, found.entity.value) == (Severity.HIGH, "alert", alert.named)


def test_the_same_news_is_the_same_event_and_the_next_round_another() -> None:
    ids = {
        events_from_body(orjson.dumps(alert_record(one)), source="grafana", received_at=NOW).events[0].id
        for one in (
            ALERT,
            replace(ALERT, summary="said differently"),
            replace(ALERT, round="2"),
            replace(ALERT, firing=False),
        )
    }
    assert len(ids) == 3
