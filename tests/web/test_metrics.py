"""`/metrics` as Prometheus' own tool reads it, and what it says about how outside services stand."""

import shutil
import subprocess

import pytest
from tests.incidents.stage import detection, incident

from aegis.core.budgets import Balance
from aegis.core.telemetry import (
    CallEnded,
    DeliveryEnded,
    DetectionMade,
    EventsTaken,
    Happened,
    IncidentChanged,
    LevelCrossed,
    LoopFailed,
    ServiceAnswered,
    ServiceStands,
)
from aegis.testing import START
from aegis.web.metrics import Metrics

HAPPENED: tuple[Happened, ...] = (
    EventsTaken(at=START, source="auth.log", taken=3, rejected=1),
    DetectionMade(at=START, detection=detection()),
    IncidentChanged(at=START, incident=incident(), change="opened"),
    CallEnded(at=START, call_id="c", service="anthropic", model="m", outcome="settled", cost=5_000_000),
    CallEnded(at=START, call_id="c", service="anthropic", model="m", outcome="refused", refused="budget"),
    LevelCrossed(at=START, budget="everything", window="day", level="warning", spent=1, limit=2),
    DeliveryEnded(at=START, service="slack", incident_id="inc_1", outcome="done"),
    LoopFailed(at=START, loop="deliveries", message="x"),
    ServiceAnswered(at=START, service='sl"ack\\\n', status=200, took_ms=12, left=41),
    ServiceStands(at=START, service="jira", breaker="open", paused_ms=15_000),
)


def filled() -> Metrics:
    metrics = Metrics()
    for happened in HAPPENED:
        metrics(happened)
    metrics.gauge(incidents=[incident()], waiting=[("slack", 2)])
    metrics.gauge_budgets([BALANCE])
    return metrics


BALANCE = Balance(
    budget="everything",
    part="",
    window="day",
    window_key="2026-11-21",
    unit="usd",
    limit=10,
    settled=4,
    held=1,
    resets_at=START,
    crossed=(),
    levels={},
)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with the Debian package prometheus")
def test_prometheus_own_tool_finds_nothing_to_complain_about() -> None:
    exposition, content_type = filled().render()
    assert content_type.startswith("text/plain")
    checked = subprocess.run(["promtool", "check", "metrics"], input=exposition, capture_output=True, timeout=30)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_how_a_service_stands_can_be_alerted_on() -> None:
    lines = filled().render()[0].decode().splitlines()
    assert 'aegis_service_breaker{service="jira"} 2.0' in lines
    assert 'aegis_service_paused_seconds{service="jira"} 15.0' in lines
    assert any(line.startswith("aegis_service_requests_left{") and line.endswith(" 41.0") for line in lines)
