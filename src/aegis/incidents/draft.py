"""An incident while a batch of detections is being folded into it: mutable here, frozen before anybody sees it.

Risk: a detection scores by its severity, the n-th repeat of the same fingerprint 1/n of that, so repetition alone
never raises an incident. Severity is that of the worst detection, one more after three tactics from three rules, at
least HIGH or CRITICAL by risk; it never falls.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from aegis.core.incidents import Detection, Incident, Severity, Status, TimelineEntry
from aegis.core.notifications import Change
from aegis.core.plaintext import fit, one_line
from aegis.incidents.names import short_name
from aegis.incidents.timeline import bounded

SPEND: Literal["spend"] = "spend"
"""The `source` of detections that budgets make: they fold, and link to nothing."""

SAMPLES_MAX = 20
"""Detections kept whole: more evidence than a person or a prompt reads."""
SAMPLES_PER_FINGERPRINT = 3
OBSERVABLES_MAX = 200
TECHNIQUES_MAX = 50
RULES_MAX = 100
TITLE_CHARS = 160
"""Fits a chat header (Slack: 150 and an ellipsis is the connector's affair) and a ticket's summary (Jira: 255)."""

POINTS = {Severity.LOW: 5, Severity.MEDIUM: 20, Severity.HIGH: 50, Severity.CRITICAL: 100}
RISK_HIGH, RISK_CRITICAL = 250, 500
"""Splunk's risk-based alerting: 100 medium, 250 high, 500 critical; ours opens MEDIUM by its own level."""
TACTICS_FOR_RAISE, RULES_FOR_RAISE = 3, 3
COUNTS_TOLD = (10, 100)
"""A repeat is told again when it has become ten and a hundred times as many."""

NEWS_EACH = 10
"""Different things that are told one by one as they join; later ones each time their number has doubled: 500 of them,
the most that an incident holds, are 15 messages.
"""
_SERIOUS = (Severity.HIGH.name, Severity.CRITICAL.name)

_T = TypeVar("_T")

_ABOUT = {
    "ip": "from",
    "host": "on",
    "user": "by",
    "account": "by",
    "email": "by",
    "domain": "to",
    "url": "at",
    "file_hash": "in file",
    "process": "in",
    "technique": "using",
    "budget": "on",
}


def titled(detection: Detection) -> str:
    """The title of an incident: what, and who or what it is about, on one line."""
    what = one_line(detection.title) or detection.rule_id
    who = short_name(detection.entity.value, 60)
    if not who or who.lower() in what.lower():
        return fit(what, TITLE_CHARS)
    if detection.entity.kind not in _ABOUT:
        return fit(f"{fit(what, 96)} ({who})", TITLE_CHARS)
    return fit(f"{fit(what, 96)} {_ABOUT[detection.entity.kind]} {who}", TITLE_CHARS)


def serious(incident: Incident) -> int:
    """How many different detections of HIGH or worse its timeline holds."""
    return sum(
        entry.kind == "detection" and entry.attributes.get("severity") in _SERIOUS for entry in incident.timeline
    )


class Draft:
    """A working copy of one incident. `change` says afterwards what is worth telling."""

    def __init__(self, incident: Incident, *, new: bool) -> None:
        self._was, self._new = incident, new
        self.id, self.kind, self.status = incident.id, incident.kind, incident.status
        self.opened_at, self.changed = incident.opened_at, new
        self.repeats = dict(incident.repeats)
        self._count, self._risk, self._severity = incident.count, incident.risk, incident.severity
        self._first, self._last = incident.first_seen, incident.last_seen
        self._title, self._entity = incident.title, incident.entity
        self._samples = list(incident.detections)
        self._worst = max((sample.severity for sample in incident.detections), default=Severity.LOW)
        self._observables = dict.fromkeys(incident.observables)
        self._techniques = dict.fromkeys(incident.techniques)
        self._tactics = dict.fromkeys(incident.tactics)
        self._rules = dict.fromkeys(incident.rules)
        self._hosts = {observable.value for observable in incident.observables if observable.kind == "host"}
        self._entries: list[TimelineEntry] = []
        self._news = False

    @classmethod
    def of(cls, incident: Incident) -> Draft:
        """A working copy of an incident that exists."""
        return cls(incident, new=False)

    @classmethod
    def open(cls, incident_id: str, detection: Detection, *, now: datetime) -> Draft:
        """A new incident for its first detection."""
        empty = Incident(
            id=incident_id,
            title=titled(detection),
            severity=detection.severity,
            status=Status.OPEN,
            kind=SPEND if detection.source == SPEND else "security",
            opened_at=now,
            updated_at=now,
            first_seen=detection.at,
            last_seen=detection.at,
            entity=detection.entity,
            count=0,
            version=0,
        )
        draft = cls(empty, new=True)
        draft._worst = detection.severity
        draft.join(detection, now=now)
        return draft

    def span_with(self, at: datetime) -> timedelta:
        """How long the incident would reach from first to last, with a detection at `at`."""
        return max(self._last, at) - min(self._first, at)

    def silence_before(self, at: datetime) -> timedelta:
        """The gap between `at` and the time that the incident covers; zero inside it."""
        return max(at - self._last, self._first - at, timedelta(0))

    def hosts_with(self, detection: Detection) -> int:
        """On how many hosts the incident would be with this detection; 0 when it adds none."""
        new = {observable.value for observable in detection.observables if observable.kind == "host"} - self._hosts
        return len(self._hosts) + len(new) if new else 0

    def join(self, detection: Detection, *, now: datetime) -> None:
        """Fold one detection in."""
        self.changed = True
        repeat = self.repeats.get(detection.fingerprint, 0) + 1
        self.repeats[detection.fingerprint] = repeat
        self._count += 1
        self._risk += POINTS[detection.severity] // repeat
        self._first, self._last = min(self._first, detection.at), max(self._last, detection.at)
        self._remember(detection, repeat)
        if self.status is Status.RESOLVED:
            self.status = Status.OPEN
            self._say(now, "reopened", f"Seen again: {titled(detection)}", detection)
        elif repeat == 1:
            self._news = self._news or detection.severity >= Severity.HIGH
            self._say(now, "detection", f"{detection.severity.name}: {titled(detection)}", detection)
        if self._count in COUNTS_TOLD:
            self._say(now, "repeated", f"Seen {self._count} times so far", detection)
        self._rise(detection, now)

    def change(self) -> Change | None:
        """What is worth telling about this batch, the strongest first; None for a mere repeat."""
        if self._new:
            return "opened"
        if self._was.status is Status.RESOLVED and self.status is Status.OPEN:
            return "reopened"
        if self._severity > self._was.severity:
            return "raised"
        crossed = any(self._was.count < told <= self._count for told in COUNTS_TOLD)
        return "updated" if crossed or (self._news and self._worth_telling()) else None

    def _worth_telling(self) -> bool:
        """Whether so many different things are still told, or are again."""
        before, after = len(self._was.repeats), len(self.repeats)
        return after <= NEWS_EACH or before.bit_length() < after.bit_length()

    def freeze(self, *, now: datetime) -> Incident:
        """The incident as it stands now, one version further. What Aegis saw again is newer than any earlier word."""
        moved = self.status is not self._was.status
        return replace(
            self._was,
            status_at=now if moved else self._was.status_at,
            status_by="" if moved else self._was.status_by,
            status_via="" if moved else self._was.status_via,
            title=self._title,
            entity=self._entity,
            severity=self._severity,
            status=self.status,
            updated_at=now,
            first_seen=self._first,
            last_seen=self._last,
            count=self._count,
            risk=self._risk,
            rules=tuple(self._rules),
            detections=tuple(self._samples),
            observables=tuple(self._observables),
            techniques=tuple(self._techniques),
            tactics=tuple(self._tactics),
            timeline=bounded((*self._was.timeline, *self._entries)),
            repeats=dict(self.repeats),
            version=self._was.version + 1,
        )

    def _remember(self, detection: Detection, repeat: int) -> None:
        """Keep samples, observables, techniques, tactics and rules, each within its bound."""
        if len(self._samples) < SAMPLES_MAX:
            if repeat <= SAMPLES_PER_FINGERPRINT:
                self._samples.append(detection)
        elif detection.severity > (mildest := min(self._samples, key=lambda sample: sample.severity)).severity:
            self._samples[self._samples.index(mildest)] = detection
        _add(self._observables, (detection.entity, *detection.observables), OBSERVABLES_MAX)
        _add(self._techniques, detection.techniques, TECHNIQUES_MAX)
        _add(self._tactics, detection.tactics, TECHNIQUES_MAX)
        _add(self._rules, (detection.rule_id,), RULES_MAX)
        self._hosts.update(observable.value for observable in detection.observables if observable.kind == "host")

    def _rise(self, detection: Detection, now: datetime) -> None:
        """Raise the severity as far as the detections now say; say why."""
        if detection.severity > self._worst:
            self._worst = detection.severity
            self._title, self._entity = titled(detection), detection.entity
        reached, why = self._worst, f"{self._worst.name} detection: {one_line(detection.title)}"
        if len(self._tactics) >= TACTICS_FOR_RAISE and len(self._rules) >= RULES_FOR_RAISE:
            reached = Severity(min(self._worst + 1, Severity.CRITICAL))
            why = f"{len(self._tactics)} tactics seen by {len(self._rules)} rules"
        for least, score in ((Severity.HIGH, RISK_HIGH), (Severity.CRITICAL, RISK_CRITICAL)):
            if self._risk >= score and reached < least:
                reached, why = least, f"risk score {self._risk} reached {score}"
        if reached > self._severity:
            if self._count > 1:
                self._say(now, "raised", f"Raised from {self._severity.name} to {reached.name}: {why}", detection)
            self._severity = reached

    def _say(self, now: datetime, kind: str, text: str, detection: Detection) -> None:
        if len(self._entries) < SAMPLES_MAX * 5:
            seen = {"rule": detection.rule_id, "seen": detection.at.isoformat(), "severity": detection.severity.name}
            self._entries.append(TimelineEntry(at=now, kind=kind, text=text, attributes=seen))


def _add(kept: dict[_T, None], new: tuple[_T, ...], limit: int) -> None:
    for one in new:
        if len(kept) >= limit:
            return
        kept[one] = None
