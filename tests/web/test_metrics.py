"""`/metrics` as Prometheus' own tool reads it, and what it says about how outside services stand."""

import shutil
import subprocess
from dataclasses import replace

import pytest
from tests.incidents.stage import detection, incident

from aegis.core.breakers import BreakerState
from aegis.core.budgets import Balance
from aegis.core.calls import Priority
from aegis.core.ledger import Switch
from aegis.core.telemetry import (
    CallEnded,
    DeliveryEnded,
    DetectionMade,
    EventsTaken,
    Happened,
    IncidentChanged,
    LevelCrossed,
    LoopFailed,
    RequestsLeft,
    ServiceAnswered,
    ServiceStands,
)
from aegis.core.throttles import ThrottleStep
from aegis.governor.gates import ServiceStatus
from aegis.testing import START
from aegis.web.metrics import SPENDERS_MAX, Metrics

CALL = CallEnded(
    at=START,
    call_id="c",
    service="anthropic",
    model="m",
    outcome="settled",
    cost=5_000_000,
    scope={"team": "red", "key": "ci"},
)
HAPPENED: tuple[Happened, ...] = (
    EventsTaken(at=START, source="auth.log", taken=3, rejected=1),
    DetectionMade(at=START, detection=detection()),
    IncidentChanged(at=START, incident=incident(), change="opened"),
    CALL,
    CallEnded(at=START, call_id="c", service="anthropic", model="m", outcome="refused", refused="budget"),
    LevelCrossed(at=START, budget="everything", window="day", level="warning", spent=1, limit=2),
    DeliveryEnded(at=START, service="slack", incident_id="inc_1", outcome="done"),
    LoopFailed(at=START, loop="deliveries", message="x"),
    ServiceAnswered(at=START, service='sl"ack\\\n', status=200, took_ms=12, left=41),
    RequestsLeft(at=START, service="virustotal", left=7),
    ServiceStands(at=START, service="jira", breaker="open", paused_ms=15_000),
)


def filled() -> Metrics:
    metrics = Metrics()
    for happened in HAPPENED:
        metrics(happened)
    metrics.gauge(incidents=[incident()], waiting=[("slack", 2)])
    metrics.standing.budgets([BALANCE, BYTES])
    metrics.standing.gates([STATUS], [STOP])
    metrics.count_cache(3, 1)
    metrics.count_cache(5, 1)
    return metrics


BALANCE = Balance(
    budget="everything",
    part="",
    window="day",
    window_key="2026-11-21",
    unit="usd",
    limit=5_000_000_000,
    settled=1_500_000_000,
    held=1,
    resets_at=START,
    crossed=(),
    levels={"warning": 2_000_000_000},
)
BYTES = replace(BALANCE, budget="scans", part="red", unit="bytes_scanned", limit=10, settled=4, levels={})
STATUS = ServiceStatus(
    service="anthropic",
    breaker=BreakerState.CLOSED,
    why="",
    room=None,
    rate=None,
    throttle=ThrottleStep.HEAVY,
    depths={Priority.LOW: 2},
)
STOP = Switch(scope={"team": "red"}, stopped=True, reason="drill", at_ms=0, grade=2)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with the Debian package prometheus")
def test_prometheus_own_tool_finds_nothing_to_complain_about() -> None:
    exposition, content_type = filled().render()
    assert content_type.startswith("text/plain")
    checked = subprocess.run(["promtool", "check", "metrics"], input=exposition, capture_output=True, timeout=30)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_how_a_service_stands_can_be_alerted_on() -> None:
    lines = filled().render()[0].decode().splitlines()
    assert 'aegis_breaker_state{service="jira",state="open"} 1.0' in lines
    assert 'aegis_breaker_state{service="jira",state="closed"} 0.0' in lines
    assert 'aegis_service_paused_seconds{service="jira"} 15.0' in lines
    assert any(line.startswith("aegis_service_requests_left{") and line.endswith(" 41.0") for line in lines)


@pytest.mark.parametrize(
    "line",
    [
        'aegis_requests_total{outcome="settled",service="anthropic"} 1.0',
        'aegis_requests_refused_total{gate="budget",service="anthropic"} 1.0',
        'aegis_spend_usd_total{key="ci",model="m",service="anthropic",team="red"} 0.005',
        'aegis_cache_requests_total{result="hit"} 5.0',
        'aegis_cache_requests_total{result="miss"} 1.0',
        'aegis_budget_limit_usd{budget="everything",level="warning",window="day"} 2.0',
        'aegis_budget_limit_usd{budget="everything",level="emergency",window="day"} 5.0',
        'aegis_budget_spent_usd{budget="everything",window="day"} 1.5',
        'aegis_budget_spent_units{budget="scans red",unit="bytes_scanned",window="day"} 4.0',
        'aegis_throttle_level{service="anthropic"} 3.0',
        'aegis_queue_depth{priority="LOW",service="anthropic"} 2.0',
        'aegis_queue_depth{priority="CRITICAL",service="anthropic"} 0.0',
        'aegis_kill_switch{grade="G2",scope="team=red"} 1.0',
        'aegis_incidents_total{kind="security",severity="HIGH"} 1.0',
        'aegis_incident_cost_usd{severity="HIGH"} 0.0',
    ],
)
def test_every_published_name_says_what_it_should(line: str) -> None:
    assert line in filled().render()[0].decode().splitlines()


def test_names_that_callers_choose_cannot_fill_the_memory() -> None:
    metrics = Metrics()
    for number in range(SPENDERS_MAX + 50):
        metrics(CALL._replace(scope={"key": f"key-{number}"}))
    text = metrics.render()[0].decode()

    assert text.count("aegis_spend_usd_total{") == SPENDERS_MAX + 1
    assert 'aegis_spend_usd_total{key="other",model="m",service="anthropic",team="other"} 0.25' in text
