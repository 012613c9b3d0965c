"""Claims about what Datadog gets."""

import datetime as dt
from pathlib import Path

import pytest
from tests.connectors.contracts import Contract
from tests.connectors.stories import (
    CANARY,
    HOSTILE,
    HUGE,
    NOW,
    SECRET,
    FixedClock,
    ScriptedHttp,
    answer,
    hostile,
    notification,
    shown_secret,
)

from aegis.connectors.datadog import SERIES_MAX, Config, Datadog, payload, payload_v2, series
from aegis.core.errors import ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import MetricPoint
from aegis.web.inbound.datadog import OURSELVES

pytestmark = pytest.mark.anyio

POINTS = (
    MetricPoint(name="aegis.incidents_total", kind="count", value=3, at=NOW, tags={"severity": "HIGH"}),
    MetricPoint(name="aegis.budget_spent_nanos", kind="gauge", value=5_000_000_000, at=NOW, tags={"budget": "day"}),
)


def connector(http: ScriptedHttp) -> Datadog:
    return Datadog(Config(api_key=SECRET), http, clock=FixedClock())


@pytest.mark.parametrize("text", [*HOSTILE, HUGE])
def test_hostile_text_notifies_nobody_and_starts_no_markdown(text: str) -> None:
    event = payload(hostile(text))
    for shown in (event["title"], event["text"]):
        assert "@" not in shown
        assert "%%" not in shown


@pytest.mark.parametrize(
    ("severity", "kind"),
    [(Severity.LOW, "info"), (Severity.MEDIUM, "warning"), (Severity.HIGH, "error"), (Severity.CRITICAL, "error")],
)
def test_severities_are_datadog_s_own(severity: Severity, kind: str) -> None:
    event = payload(notification(severity))
    assert event["alert_type"] == kind
    assert f"severity:{severity.name.lower()}" in event["tags"]


def test_a_resolution_is_a_success_that_joins_the_same_aggregation() -> None:
    opened, resolved = payload(notification()), payload(notification(change="resolved", version=3))
    assert resolved["alert_type"] == "success"
    assert opened["aggregation_key"] == resolved["aggregation_key"]


async def test_series_keep_the_contract(shared: Path) -> None:
    http = ScriptedHttp([answer(202, {"errors": []})])
    await connector(http).push(POINTS)
    assert Contract.of(shared, "datadog", "series_v2").breaches(http.bodies()[0]) == []
    assert http.sent[0].url == "https://api.datadoghq.com/api/v2/series"
    assert http.sent[0].headers["DD-API-KEY"] == CANARY


def test_counts_carry_their_interval_and_gauges_none() -> None:
    count, gauge = series(POINTS)["series"]
    assert (count["type"], count["interval"], count["tags"]) == (1, 15, ["severity:high"])
    assert (gauge["type"], "interval" in gauge) == (3, False)
    assert gauge["points"] == [{"timestamp": int(NOW.timestamp()), "value": 5_000_000_000}]


async def test_many_points_leave_in_bounded_requests() -> None:
    http = ScriptedHttp([answer(202)] * 3)
    point = MetricPoint(name="a", kind="gauge", value=1, at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    await connector(http).push([point] * (2 * SERIES_MAX + 1))
    assert [len(body["series"]) for body in http.bodies()] == [SERIES_MAX, SERIES_MAX, 1]


async def test_a_request_that_is_too_large_is_sent_in_halves_and_a_single_value_is_an_error() -> None:
    point = MetricPoint(name="a", kind="gauge", value=1, at=NOW)
    http = ScriptedHttp([answer(413), answer(413), answer(202), answer(202), answer(202)])
    await connector(http).push([point] * 8)
    assert [len(body["series"]) for body in http.bodies()] == [8, 4, 2, 2, 4]
    with pytest.raises(ServiceError) as caught:
        await connector(ScriptedHttp([answer(413)])).push([point])
    assert not caught.value.retryable


def test_our_events_are_known_as_ours_when_they_come_back() -> None:
    assert OURSELVES in payload(notification())["tags"]


async def test_no_points_are_no_request() -> None:
    http = ScriptedHttp([])
    await connector(http).push([])
    assert http.sent == []


async def test_the_wait_of_a_rate_limit_is_read_from_datadog_s_own_header() -> None:
    http = ScriptedHttp([answer(429, b"", {"x-ratelimit-reset": "12"})])
    with pytest.raises(ServiceError) as caught:
        await connector(http).push(POINTS)
    assert caught.value.retry_after_ms == 12_000
    assert not shown_secret(caught.value)


@pytest.mark.parametrize(
    ("severity", "status", "priority"),
    [
        (Severity.LOW, "ok", "5"),
        (Severity.MEDIUM, "warn", "3"),
        (Severity.HIGH, "error", "2"),
        (Severity.CRITICAL, "error", "1"),
    ],
)
def test_alerts_of_the_second_api_have_its_own_words(severity: Severity, status: str, priority: str) -> None:
    shown = payload_v2(notification(severity))["data"]["attributes"]
    assert (shown["attributes"]["status"], shown["attributes"]["priority"]) == (status, priority)
    over = payload_v2(notification(severity, "resolved"))["data"]["attributes"]
    assert over["attributes"]["status"] == "ok"
    assert over["aggregation_key"] == shown["aggregation_key"]


@pytest.mark.parametrize(
    ("config", "url"),
    [
        (Config(api_key=SECRET), "https://api.datadoghq.com/api/v1/events"),
        (Config(api_key=SECRET, events="v2"), "https://event-management-intake.datadoghq.com/api/v2/events"),
        (
            Config(api_key=SECRET, events="v2", base_url="https://api.us5.datadoghq.com/"),
            "https://event-management-intake.us5.datadoghq.com/api/v2/events",
        ),
        (Config(api_key=SECRET, events="v2", events_url="https://x.example"), "https://x.example/api/v2/events"),
    ],
    ids=["first", "second", "another site", "written"],
)
async def test_each_api_has_its_own_address(config: Config, url: str) -> None:
    http = ScriptedHttp([answer(202, {"status": "ok"})])
    await Datadog(config, http, clock=FixedClock()).notify(notification(), remote_id="")
    assert [request.url for request in http.sent] == [url]


def test_there_is_no_third() -> None:
    with pytest.raises(ConfigError, match="v1 or v2"):
        Config(api_key=SECRET, events="v3")
