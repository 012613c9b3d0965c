"""The round trip in a story: somebody answers a page in Slack, and everybody else knows.

Policy: nothing is told to Aegis directly. The button is pressed under the message that stands in the sandbox's Slack, the
signed request goes to Aegis' own door, and what came of it is read from the other services.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aegis.app import App
from aegis.core.incidents import Incident, Status
from aegis.core.ports import Http, HttpRequest
from aegis.core.secret import Secret
from aegis.sandbox.pressing import press
from aegis.sandbox.world import World

ACKNOWLEDGE = "aegis_acknowledge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the services show after a page was acknowledged in Slack: the message's first line, the page's status, the
    issue with its status and newest comment, and how far the escalation got (its last step, and why no other follows).
    """

    incident: str
    by: str
    at: datetime
    slack: str
    pagerduty: str
    jira: str
    jira_status: str
    jira_comment: str
    escalation: str
    steps: int


async def worst_page(app: App) -> Incident:
    """The incident that somebody should take on first: open, not about money, the worst and busiest."""
    found = [one for one in await app.incidents.unresolved() if one.status is Status.OPEN and one.kind == "security"]
    return max(found, key=lambda one: (one.severity, one.count))


async def acknowledge(app: App, world: World, http: Http, *, incident: str, by: str, door: str, secret: Secret) -> int:
    """Press the button and carry the press to `door`; the status of the answer. Raises `LookupError` when Slack shows no
    such button, and `ServiceError`.
    """
    pressed = press(world, action=ACKNOWLEDGE, value=incident, by=by, secret=secret, at=app.clock.now())
    request = HttpRequest(service="slack", method="POST", url=door, headers=pressed.headers, body=pressed.body)
    return (await http.send(request)).status


async def seen(app: App, world: World, *, incident: str, by: str, at: datetime) -> Answered:
    """How it stands elsewhere."""

    def first(service: str, kind: str, is_it: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        return next((one for one in world.documents(service, kind) if is_it(one)), {})

    message = first("slack", "message", lambda one: any(value == incident for _, value in one["buttons"]))
    page = first("pagerduty", "incident", lambda one: one["incident_key"] == incident)
    issue = first("jira", "issue", lambda one: f"aegis-{incident}" in one["fields"]["labels"])
    known = await app.incidents.get(incident)
    escalation = known.escalation if known else None
    return Answered(
        incident=incident,
        by=by,
        at=at,
        slack=str(message.get("text", "")),
        pagerduty=str(page.get("status", "")),
        jira=str(issue.get("key", "")),
        jira_status=str(issue["fields"]["status"]["name"]) if issue else "",
        jira_comment=str(issue.get("last_comment", "")),
        escalation=escalation.halted if escalation else "",
        steps=escalation.step if escalation else 0,
    )
