"""Grafana dashboards as code: plain dictionaries in the shape of Grafana's dashboard model (schema version 41).

Source of the shape: grafana-foundation-sdk, `dashboard.jsonschema.json`. Two data sources are chosen in Grafana itself: the
variable `prometheus`, and, where it is asked for, `cloudwatch` with what AWS estimates it will charge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

SCHEMA_VERSION: Final = 41
WIDTH: Final = 24
"""Columns of Grafana's grid."""
PROMETHEUS: Final = {"type": "prometheus", "uid": "${prometheus}"}
CLOUDWATCH: Final = {"type": "cloudwatch", "uid": "${cloudwatch}"}
USD: Final = "currencyUSD"

Panel = dict[str, Any]


def costs(*, cloudwatch: bool = False) -> dict[str, Any]:
    """API cost trends and request volume."""
    panels = [
        stat("Spent in 24 hours", "sum(increase(aegis_spend_usd_total[24h]))", unit=USD, width=6),
        stat("Requests/sec", "sum(rate(aegis_requests_total[5m]))", unit="reqps", width=6, title="Request Volume"),
        stat(
            "Refused in 24 hours", 'sum(increase(aegis_requests_total{outcome="refused"}[24h]))', unit="short", width=6
        ),
        stat(
            "From the cache",
            'sum(increase(aegis_cache_requests_total{result="hit"}[24h])) / sum(increase(aegis_cache_requests_total[24h]))',
            unit="percentunit",
            width=6,
        ),
        lines(
            "API Cost Trends", [("{{service}}", "sum by (service) (rate(aegis_spend_usd_total[1h])) * 3600")], unit=USD
        ),
        lines(
            "Cost by model",
            [("{{model}}", "sum by (model) (rate(aegis_spend_usd_total[1h])) * 3600")],
            unit=USD,
            width=12,
        ),
        lines(
            "Cost by team and key",
            [("{{team}} {{key}}", "topk(10, sum by (team, key) (rate(aegis_spend_usd_total[1h])) * 3600)")],
            unit=USD,
            width=12,
        ),
        lines(
            "Requests by how they ended",
            [("{{outcome}}", "sum by (outcome) (rate(aegis_requests_total[5m]))")],
            unit="reqps",
        ),
    ]
    if cloudwatch:
        panels.append(estimated_charges())
    return dashboard("aegis-costs", "Aegis: what calls cost", panels, cloudwatch=cloudwatch)


def budgets() -> dict[str, Any]:
    """Spending against budgets."""
    used = "aegis:budget_used:ratio"
    return dashboard(
        "aegis-budgets",
        "Aegis: budgets",
        [
            bars("Spent of each budget", used, legend="{{budget}} ({{window}})", unit="percentunit"),
            lines(
                "Spent and limit by the day",
                [
                    ("{{budget}}", 'aegis_budget_spent_usd{window="day"}'),
                    ("{{budget}} {{level}}", 'aegis_budget_limit_usd{window="day"}'),
                ],
                unit=USD,
            ),
            lines(
                "Held by calls under way",
                [("{{budget}} ({{window}})", "aegis_budget_reserved_usd")],
                unit=USD,
                width=12,
            ),
            lines(
                "Pace: the last hour and the last six",
                [
                    ("1 h", "aegis:spend_usd:rate1h"),
                    ("6 h", "aegis:spend_usd:rate6h"),
                    ("even pace of {{budget}}", "aegis:budget_pace_usd:hourly"),
                ],
                unit=USD,
                width=12,
            ),
            lines(
                "Meters",
                [("{{budget}} {{unit}} ({{window}})", "aegis_budget_spent_units / (aegis_budget_limit_units > 0)")],
                unit="percentunit",
            ),
        ],
    )


def incidents() -> dict[str, Any]:
    """Incidents and what people were told."""
    return dashboard(
        "aegis-incidents",
        "Aegis: incidents",
        [
            stat("Open", "sum(aegis_incidents_open)", unit="short", width=6),
            stat("Open and CRITICAL", 'sum(aegis_incidents_open{severity="CRITICAL"})', unit="short", width=6),
            stat("Detections in 24 hours", "sum(increase(aegis_detections_total[24h]))", unit="short", width=6),
            stat("Cost of those open", "sum(aegis_incident_cost_usd)", unit=USD, width=6),
            lines(
                "Opened by severity",
                [("{{severity}}", "sum by (severity) (increase(aegis_incidents_total[1h]))")],
                unit="short",
            ),
            lines("Events", [("{{source}}", "sum by (source) (rate(aegis_events_total[5m]))")], unit="eps", width=12),
            lines(
                "Deliveries",
                [("{{service}} {{outcome}}", "sum by (service, outcome) (rate(aegis_deliveries_total[5m]))")],
                unit="ops",
                width=12,
            ),
            lines("Messages that wait", [("{{service}}", "aegis_deliveries_waiting")], unit="short"),
        ],
    )


def guardrails() -> dict[str, Any]:
    """Breakers, throttles, queues, stops, and how outside services answer."""
    slow = "histogram_quantile(0.95, sum by (service, le) (rate(aegis_request_duration_seconds_bucket[5m])))"
    return dashboard(
        "aegis-guardrails",
        "Aegis: guardrails",
        [
            stat("Stopped scopes", 'sum(aegis_kill_switch{grade!="none"}) or vector(0)', unit="short", width=8),
            stat("Services left alone", 'sum(aegis_breaker_state{state="open"}) or vector(0)', unit="short", width=8),
            stat("Calls that wait", "sum(aegis_queue_depth)", unit="short", width=8),
            lines(
                "Refused by gate",
                [("{{service}} {{gate}}", "sum by (service, gate) (rate(aegis_requests_refused_total[5m]))")],
                unit="reqps",
            ),
            lines(
                "Breakers that are open", [("{{service}}", 'aegis_breaker_state{state="open"}')], unit="short", width=12
            ),
            lines("Throttle", [("{{service}}", "aegis_throttle_level")], unit="short", width=12),
            lines(
                "Waiting by priority",
                [("{{priority}}", "sum by (priority) (aegis_queue_depth)")],
                unit="short",
                width=12,
            ),
            lines("Answers of services, 95 %", [("{{service}}", slow)], unit="s", width=12),
        ],
    )


DASHBOARDS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "costs": costs,
    "budgets": budgets,
    "incidents": incidents,
    "guardrails": guardrails,
}


def stat(name: str, query: str, *, unit: str, width: int, title: str = "") -> Panel:
    """One number."""
    panel = _panel("stat", title or name, [(name, query)], unit=unit, width=width, height=4)
    return {**panel, "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value", "graphMode": "area"}}


def lines(title: str, queries: Sequence[tuple[str, str]], *, unit: str, width: int = WIDTH) -> Panel:
    """A picture over time; each query stands with its legend."""
    panel = _panel("timeseries", title, queries, unit=unit, width=width, height=8)
    return {
        **panel,
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }


def bars(title: str, query: str, *, legend: str, unit: str) -> Panel:
    """A bar for each series, full at one."""
    panel = _panel("bargauge", title, [(legend, query)], unit=unit, width=WIDTH, height=8)
    steps = [{"value": None, "color": "green"}, {"value": 0.8, "color": "orange"}, {"value": 1, "color": "red"}]
    panel["fieldConfig"]["defaults"] |= {"min": 0, "max": 1, "thresholds": {"mode": "absolute", "steps": steps}}
    return {**panel, "options": {"orientation": "horizontal", "displayMode": "basic"}}


def estimated_charges() -> Panel:
    """What AWS itself estimates it will charge (`AWS/Billing` EstimatedCharges, us-east-1, every six hours)."""
    target = {
        "refId": "A",
        "datasource": CLOUDWATCH,
        "namespace": "AWS/Billing",
        "metricName": "EstimatedCharges",
        "dimensions": {"Currency": "USD"},
        "region": "us-east-1",
        "statistic": "Maximum",
        "period": "21600",
        "label": "Estimated Charges",
    }
    panel = _panel("timeseries", "Estimated Charges (AWS)", [], unit=USD, width=WIDTH, height=8)
    return {**panel, "datasource": CLOUDWATCH, "targets": [target]}


def dashboard(uid: str, title: str, panels: Sequence[Panel], *, cloudwatch: bool = False) -> dict[str, Any]:
    """Panels laid out from left to right, row by row."""
    sources = [("prometheus", "prometheus"), *([("cloudwatch", "cloudwatch")] if cloudwatch else [])]
    x = y = 0
    for number, panel in enumerate(panels, start=1):
        width, height = panel["gridPos"]["w"], panel["gridPos"]["h"]
        if x + width > WIDTH:
            x, y = 0, y + panels[number - 2]["gridPos"]["h"]
        panel["id"], panel["gridPos"] = number, {"h": height, "w": width, "x": x, "y": y}
        x += width
    return {
        "uid": uid,
        "title": title,
        "tags": ["aegis"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [_source(name, kind) for name, kind in sources]},
        "annotations": {"list": []},
        "panels": list(panels),
    }


def _panel(kind: str, title: str, queries: Sequence[tuple[str, str]], *, unit: str, width: int, height: int) -> Panel:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": PROMETHEUS, "expr": query, "legendFormat": legend}
        for number, (legend, query) in enumerate(queries)
    ]
    return {
        "type": kind,
        "title": title,
        "datasource": PROMETHEUS,
        "targets": targets,
        "gridPos": {"h": height, "w": width, "x": 0, "y": 0},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
    }


def _source(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "type": "datasource", "query": kind, "label": kind.capitalize(), "hide": 0}
