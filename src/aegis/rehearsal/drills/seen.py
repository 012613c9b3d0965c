"""What happened in a drill, kept small: facts to measure by, and the lines of its timeline."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from aegis.core.feed import feed_line
from aegis.core.telemetry import (
    CallEnded,
    DeliveryEnded,
    DetectionMade,
    Happened,
    IncidentChanged,
    LevelCrossed,
    ServiceAnswered,
)
from aegis.rehearsal.drills.report import Line

FACTS_MAX: Final = 500_000
"""Of the largest drill (10,000 detections, ten services): each detection, change and delivery is one."""
TIMELINE_MAX: Final = 5_000
"""Different sentences of a timeline; a report shows few of them."""
CROWDS: Final = ("detection", "incident", "call", "delivery", "told")
"""Kinds of lines that come by the dozen, about things that are numbered."""
_DIGITS = re.compile(r"[0-9]+|(?<=[a-z]_)[0-9A-Z]{26}")
RINGING: Final = ("pagerduty", "email", "sms", "phone")
"""Services whose messages stand in a timeline; those to channels are too many."""
PEOPLE: Final = ("pagerduty", "email", "sms", "phone", "slack", "teams", "discord")
"""Services by which people are told, those that ring first."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened: `what` is a stable word, `about` an incident, call or budget, `more` what became of it."""

    at: datetime
    what: str
    about: str = ""
    service: str = ""
    more: str = ""
    text: str = ""
    cost: int = 0


@dataclass(slots=True)
class Seen:
    """The observer of a drill. `facts` are in order of time; beyond `FACTS_MAX` they are only counted."""

    facts: list[Fact] = field(default_factory=list)
    lost: int = 0
    _lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    _titles: dict[str, str] = field(default_factory=dict)

    def __call__(self, happened: Happened) -> None:
        fact = _fact(happened)
        if fact is not None:
            self._keep(fact)
        line = feed_line(happened)
        if line is not None:
            self.say(line.at, line.kind, line.text)
        match happened:
            case IncidentChanged(incident=incident):
                self._titles[incident.id] = incident.title
            case DeliveryEnded(outcome="done", service=service) if service in RINGING:
                self.say(happened.at, "told", f"{service} about {self._titles.get(happened.incident_id, 'it')}")

    def _keep(self, fact: Fact) -> None:
        if len(self.facts) < FACTS_MAX:
            self.facts.append(fact)
        else:
            self.lost += 1

    def say(self, at: datetime, kind: str, text: str) -> None:
        """A line of the timeline; the same sentence again is counted, in a crowd also one that differs only by numbers."""
        alike = kind, _DIGITS.sub("#", text) if kind in CROWDS else text
        known = self._lines.get(alike)
        if known is not None:
            self._lines[alike] = replace(known, times=known.times + 1, last=at)
        elif len(self._lines) < TIMELINE_MAX:
            self._lines[alike] = Line(at=at, kind=kind, text=text, last=at)

    def breaker(self, at: datetime, service: str, state: str) -> None:
        """How a breaker stands now; only a change is put down."""
        before = next((f.more for f in reversed(self.facts) if f.what == "breaker" and f.service == service), "closed")
        self._keep(Fact(at, "breaker", service, service, state))
        if state != before:
            self.say(at, "breaker", f"{service} is {state.replace('_', ' ')}")

    def lines(self) -> list[Line]:
        return list(self._lines.values())

    def all(self, what: str, true: Callable[[Fact], bool] = lambda _: True) -> Iterator[Fact]:
        return (fact for fact in self.facts if fact.what == what and true(fact))

    def first(self, what: str, true: Callable[[Fact], bool] = lambda _: True) -> Fact | None:
        return next(self.all(what, true), None)

    def told(
        self, incident_id: str, services: tuple[str, ...] = PEOPLE, *, since: datetime | None = None
    ) -> Fact | None:
        """The first message about an incident that reached people by one of these services."""
        return self.first(
            "delivered",
            lambda f: f.about == incident_id and f.service in services and (since is None or f.at >= since),
        )


def _fact(happened: Happened) -> Fact | None:
    match happened:
        case DetectionMade(at=at, detection=found):
            return Fact(at, "detected", found.entity.value, "", found.severity.name, found.title)
        case IncidentChanged(at=at, incident=incident, change=change):
            source = (
                incident.analysis.source.value if incident.analysis and change == "analysed" else incident.severity.name
            )
            return Fact(at, change, incident.id, "", source, incident.title)
        case DeliveryEnded(at=at) if happened.outcome == "done":
            return Fact(at, "delivered", happened.incident_id, happened.service, happened.message)
        case CallEnded(at=at):
            more = happened.refused or happened.outcome
            return Fact(at, "called", happened.call_id, happened.service, more, happened.message, happened.cost)
        case LevelCrossed(at=at):
            return Fact(at, "crossed", happened.budget, "", happened.level)
        case ServiceAnswered(at=at):
            return Fact(at, "answered", "", happened.service, str(happened.status))
    return None


def milliseconds(since: datetime, until: datetime | None) -> int | None:
    """From one moment to another; None when the second never came."""
    if until is None:
        return None
    return round((until - since).total_seconds() * 1_000)
