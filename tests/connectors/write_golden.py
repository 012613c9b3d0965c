"""Writes the golden payloads anew: `python -m tests.connectors.write_golden`, then read the difference before committing."""

import json
from collections.abc import Callable
from typing import Any

from tests.connectors.contracts import GOLDEN
from tests.connectors.services import JIRA_CONFIG
from tests.connectors.stories import HOSTILE, NOW, hostile, notification

from aegis.connectors import anthropic, datadog, discord, jira, pagerduty, sentry, slack, splunk, teams
from aegis.core.incidents import Severity
from aegis.core.notifications import Button, MetricPoint, Notification
from aegis.core.ports import ModelRequest

PAYLOADS: dict[str, Callable[[Notification], Any]] = {
    "slack": slack.payload,
    "teams": teams.payload,
    "discord": discord.payload,
    "pagerduty": pagerduty.payload,
    "jira": lambda told: jira.payload(told, JIRA_CONFIG),
    "datadog": datadog.payload,
    "splunk": lambda told: splunk.payload(told, index="security"),
    "sentry": sentry.payload,
}

BUTTONS = (
    Button(label="Acknowledge", verb="acknowledge", url="https://aegis.example/act/abc.def"),
    Button(label="Resolve", verb="resolve", url="https://aegis.example/act/ghi.jkl"),
)
STORIES = {
    "critical opened": notification(Severity.CRITICAL, buttons=BUTTONS),
    "high analysed": notification(Severity.HIGH, "analysed", version=2),
    "medium raised": notification(Severity.MEDIUM, "raised", version=2, facts=(), actions=()),
    "low resolved": notification(Severity.LOW, "resolved", version=4, summary="Handled.", link=""),
    "high noted": notification(Severity.HIGH, "noted", version=5),
    "hostile": hostile(HOSTILE[0] + HOSTILE[2] + HOSTILE[9], Severity.HIGH),
}

QUESTION = ModelRequest(
    model="claude-sonnet-5-5",
    system="You analyse incidents.",
    user="<events>[]</events>",
    schema={"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]},
    output_tokens_max=800,
)

POINTS = (
    MetricPoint(name="aegis.incidents_total", kind="count", value=3, at=NOW, tags={"severity": "HIGH"}),
    MetricPoint(name="aegis.budget_spent_nanos", kind="gauge", value=5_000_000_000, at=NOW, tags={"budget": "day"}),
)


def made() -> dict[str, dict[str, Any]]:
    """Every golden document by service, as our code writes it now."""
    documents: dict[str, dict[str, Any]] = {
        service: {story: build(told) for story, told in STORIES.items()} for service, build in PAYLOADS.items()
    }
    documents["datadog"]["series"] = datadog.series(POINTS)
    documents["anthropic"] = {"question": anthropic.payload(QUESTION)}
    return documents


if __name__ == "__main__":
    for service, document in made().items():
        text = json.dumps(document, indent=1, ensure_ascii=True, sort_keys=True)
        (GOLDEN / f"{service}.json").write_text(text + "\n", encoding="utf-8")
