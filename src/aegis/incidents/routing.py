"""Routing: who is told about an incident. A table of severities, and routes that add to it.

Policy: only severity, kind, log sources and tags decide, never free text; a route adds services and takes none away.
A delivery's id is made of incident, service and version, so planning it twice is harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from aegis.core.incidents import Incident, Severity
from aegis.core.notifications import Change, Delivery
from aegis.incidents.act_links import buttons
from aegis.incidents.compose import Links, compose

LEAST: Mapping[str, Severity] = {
    "pagerduty": Severity.HIGH,
    "slack": Severity.LOW,
    "teams": Severity.LOW,
    "discord": Severity.LOW,
    "jira": Severity.MEDIUM,
    "datadog": Severity.LOW,
    "splunk": Severity.LOW,
    "sentry": Severity.LOW,
    "webhook": Severity.LOW,
    "apprise": Severity.LOW,
}
"""From which severity on each service is told by default. E-mail, SMS and calls only by a route or an escalation;
Prometheus and CloudWatch take metrics, not incidents.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rule: when all named conditions hold, tell `to` as well. An empty condition holds always.

    `services` are log sources, as events name them; `tags` are ATT&CK techniques (a parent covers its sub-techniques),
    tactics or rule ids, in Sigma's way of writing (`attack.t1110`) or plain.
    """

    to: tuple[str, ...]
    severities: frozenset[Severity] = frozenset()
    services: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    kinds: frozenset[Literal["security", "spend"]] = frozenset()

    def holds(self, incident: Incident) -> bool:
        """Whether this route is for the incident."""
        sources = {detection.source for detection in incident.detections}
        return (
            (not self.severities or incident.severity in self.severities)
            and (not self.kinds or incident.kind in self.kinds)
            and (not self.services or not self.services.isdisjoint(sources))
            and (not self.tags or not {_plain(tag) for tag in self.tags}.isdisjoint(_tags(incident)))
        )


def _plain(tag: str) -> str:
    return tag.lower().removeprefix("attack.").replace("_", "-")


def _tags(incident: Incident) -> set[str]:
    techniques = {technique.lower() for technique in incident.techniques}
    parents = {technique.partition(".")[0] for technique in techniques}
    return techniques | parents | {_plain(tag) for tag in (*incident.tactics, *incident.rules)}


KEEPING = frozenset({"pagerduty", "jira"})
"""Services that keep an incident's status themselves: what was said there is not said back to them. Messages in a chat
are ours, and are edited wherever the word was said.
"""


def is_echo(incident: Incident, change: Change, service: str) -> bool:
    """Whether telling this service of a status would only send its own word back."""
    return service in KEEPING and service == incident.status_via and change in ("acknowledged", "resolved", "reopened")


def told(incident: Incident, *, services: Collection[str], routes: Sequence[Route] = ()) -> tuple[str, ...]:
    """The configured services that are told about the incident, pager first."""
    wanted = dict.fromkeys(service for service, least in LEAST.items() if incident.severity >= least)
    for route in routes:
        if route.holds(incident):
            wanted |= dict.fromkeys(route.to)
    return tuple(service for service in wanted if service in services)


def deliveries(
    incident: Incident,
    change: Change,
    *,
    services: Collection[str],
    now: datetime,
    routes: Sequence[Route] = (),
    link_base: str = "",
    links: Links = buttons,
) -> tuple[Delivery, ...]:
    """One delivery for each service that is told about this change. `link_base` is the dashboard's address, `links`
    gives what a reader can do to the incident.
    """
    names = [n for n in told(incident, services=services, routes=routes) if not is_echo(incident, change, n)]
    if not names:
        return ()
    link = f"{link_base.rstrip('/')}/incidents/{incident.id}" if link_base else ""
    notification = compose(incident, change, link=link, links=links)
    return tuple(
        Delivery(
            id=f"{incident.id}:{service}:{incident.version}",
            incident_id=incident.id,
            service=service,
            notification=notification,
            priority=incident.severity,
            due_at=now,
            created_at=now,
        )
        for service in names
    )
