"""Routing: who is told about an incident. A table of severities, and routes that add to it.

Policy: only severity, kind, log sources, tags, teams and the time decide, never free text; a route adds services and
takes none away unless it says `instead`. A delivery's id is made of incident, service, version and recipient, so
planning it twice is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from aegis.core.deliveries import CLOSING, RECORDING
from aegis.core.incidents import Incident, Severity
from aegis.core.matching import Condition, Labels, Team, labels_of
from aegis.core.notifications import Button, Change, Delivery, Fact, Notification
from aegis.core.schedules import Weekly
from aegis.core.standing import Told
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
    tactics or rule ids, in Sigma's way of writing (`attack.t1110`) or plain; `times` are windows of the week. `instead`:
    the usual services are not told unless a route names them. `last`: no route after this one is looked at.
    """

    to: tuple[str, ...]
    severities: frozenset[Severity] = frozenset()
    services: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    kinds: frozenset[Literal["security", "spend"]] = frozenset()
    teams: frozenset[str] = frozenset()
    times: tuple[Weekly, ...] = ()
    instead: bool = False
    last: bool = False

    @property
    def when(self) -> Condition:
        return Condition(
            severities=self.severities,
            kinds=self.kinds,
            services=self.services,
            tags=self.tags,
            teams=self.teams,
            times=self.times,
        )


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of one route: whether it holds, and if not, the first part of it that does not."""

    route: Route
    holds: bool
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is told, each with the reasons (`usual`, or the number of a route from 1), and what became of each route."""

    services: Mapping[str, tuple[str, ...]]
    looked: tuple[Looked, ...]


def choose(severity: Severity, labels: Labels, routes: Sequence[Route], now: datetime) -> Choice:
    """Who is told about an incident with this severity and these labels, pager first, whether configured or not."""
    looked: list[Looked] = []
    for route in routes:
        why_not = route.when.why_not(labels, now)
        looked.append(Looked(route, not why_not, why_not))
        if not why_not and route.last:
            break
    usual = not any(one.holds and one.route.instead for one in looked)
    reasons: dict[str, list[str]] = {}
    if usual:
        reasons = {service: ["usual"] for service, least in LEAST.items() if severity >= least}
    for number, one in enumerate(looked, start=1):
        for service in one.route.to if one.holds else ():
            reasons.setdefault(service, []).append(f"route {number}")
    return Choice({service: tuple(why) for service, why in reasons.items()}, tuple(looked))


KEEPING = frozenset({"pagerduty", "jira"})
"""Services that keep an incident's status themselves: what was said there is not said back to them. Messages in a chat
are ours, and are edited wherever the word was said.
"""
NOTING = frozenset({"pagerduty", "slack", "teams", "discord", "jira"})
"""Services where people talk about an incident: notes go there, and nowhere else."""


def is_echo(incident: Incident, change: Change, service: str) -> bool:
    """Whether telling this service would only send its own word back, or whether it has no place for notes."""
    if change == "noted":
        notes = [entry for entry in incident.timeline if entry.kind == "note"]
        return service not in NOTING or (bool(notes) and notes[-1].attributes.get("via") == service)
    return service in KEEPING and service == incident.status_via and change in ("acknowledged", "resolved", "reopened")


def told(
    incident: Incident,
    *,
    services: Collection[str],
    now: datetime,
    routes: Sequence[Route] = (),
    teams: Sequence[Team] = (),
) -> tuple[str, ...]:
    """The configured services that are told about the incident, pager first; of one that is held back only those that
    keep a record.
    """
    choice = choose(incident.severity, labels_of(incident, teams), routes, now)
    heard = RECORDING if incident.held else services
    return tuple(service for service in choice.services if service in services and service in heard)


def people(incident: Incident, change: Change) -> tuple[Told, ...]:
    """The persons who are told of this change: those of a step fired by it, and how it ended those who were told."""
    state = incident.escalation
    if state is None:
        return ()
    if state.version == incident.version:
        return state.told
    return state.ending if change in CLOSING and state.ended == incident.version else ()


def deliveries(
    incident: Incident,
    change: Change,
    *,
    services: Collection[str],
    now: datetime,
    routes: Sequence[Route] = (),
    teams: Sequence[Team] = (),
    link_base: str = "",
    links: Links = buttons,
    links_for: Callable[[Incident, str], tuple[Button, ...]] | None = None,
    bridge: str = "",
) -> tuple[Delivery, ...]:
    """One delivery for each service that is told about this change, and for each person and channel. `link_base` is the
    dashboard's address; `links` gives what a reader can do to the incident, `links_for` what a contact can; `bridge` is
    the conference.
    """
    names: tuple[str, ...] = ()
    if change != "escalated":  # the channels know of the incident already; only people are told
        names = told(incident, services=services, now=now, routes=routes, teams=teams)
    alone = people(incident, change)
    if not names and not alone:
        return ()
    link = f"{link_base.rstrip('/')}/incidents/{incident.id}" if link_base else ""
    said = compose(incident, change, link=link, links=links)
    state = incident.escalation
    joined = bridge if state and state.bridge and state.version == incident.version else ""
    for_all = [_delivery(incident, name, said, now) for name in names if not is_echo(incident, change, name)]
    for_one = []
    for one in alone:
        offered = links_for(incident, one.contact) if links_for else said.buttons
        facts = (*said.facts, Fact("Conference", joined)) if joined else said.facts
        note = replace(said, recipient=one.recipient, bridge=joined, buttons=offered, facts=facts)
        for_one.append(_delivery(incident, one.channel, note, now))
    return (*for_all, *for_one)


def _delivery(incident: Incident, service: str, said: Notification, now: datetime) -> Delivery:
    whom = f":{said.recipient}" if said.recipient else ""
    return Delivery(
        id=f"{incident.id}:{service}:{incident.version}{whom}",
        incident_id=incident.id,
        service=service,
        notification=said,
        priority=incident.severity,
        due_at=now,
        created_at=now,
    )
