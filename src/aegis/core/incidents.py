"""The nouns of the incident path: event, detection, incident, observable, finding, analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal

from aegis.core.money import Nanos
from aegis.core.standing import Escalation, Hold


class Severity(IntEnum):
    """How bad an incident is. The order is the meaning; names are upper case everywhere."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @classmethod
    def from_level(cls, level: str) -> Severity:
        """A Sigma `level` as a severity; `informational` is LOW, an unknown or missing level MEDIUM.

        Source: Sigma rules specification 2.1.0, attribute `level`.
        """
        return _SEVERITY_OF_LEVEL.get(level.lower(), cls.MEDIUM)


_SEVERITY_OF_LEVEL = {
    "informational": Severity.LOW,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}


class Status(StrEnum):
    """Where an incident stands in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


ObservableKind = Literal[
    "ip",
    "domain",
    "url",
    "file_hash",
    "user",
    "host",
    "account",
    "process",
    "key",
    "email",
    "technique",
    "budget",
    "alert",
    "stop",
]


@dataclass(frozen=True, slots=True, order=True)
class Observable:
    """Something seen in events that can be looked up or that links detections. Values are normalised by intake:
    lower case for domains, hashes, hosts and e-mails; canonical text for addresses.
    """

    kind: ObservableKind
    value: str


@dataclass(frozen=True, slots=True)
class LogSource:
    """What kind of log an event comes from, in Sigma's words; empty means not known."""

    product: str = ""
    category: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record from a log source. `fields` is the parsed original, nested values allowed, never copied;
    `at` is in UTC; `id` is stable for the same record, so taking it in twice is harmless.
    """

    id: str
    at: datetime
    source: str
    logsource: LogSource
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A rule that matched one or more events. `entity` is what the detection is about (its primary entity):
    the fingerprint of a detection is its rule and entity.
    """

    rule_id: str
    title: str
    severity: Severity
    at: datetime
    entity: Observable
    observables: tuple[Observable, ...] = ()
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    source: str = ""
    description: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """The fields that made the rule match, clipped text: what the analysis and the reader are shown."""

    @property
    def fingerprint(self) -> str:
        """Two detections with the same fingerprint are the same thing seen again."""
        return f"{self.rule_id}|{self.entity.kind}|{self.entity.value}"


class Verdict(StrEnum):
    """What an enrichment source thinks of an observable."""

    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    HARMLESS = "harmless"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one enrichment source says about one observable."""

    source: str
    observable: Observable
    verdict: Verdict
    title: str
    at: datetime
    facts: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


class AnalysisSource(StrEnum):
    """Where an analysis came from."""

    MODEL = "model"
    CACHED = "cached"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The explanation of an incident; one schema for a model's and the offline one.

    `why_offline` says why no model was asked (empty for a model's answer); `flags` holds warnings such as
    `injection_suspected`; `iocs` is a subset of what the input held; `cost` is what this analysis was charged.
    """

    source: AnalysisSource
    model: str
    summary: str
    impact: str
    actions: tuple[str, ...]
    confidence: Literal["low", "medium", "high"]
    severity: Severity
    techniques: tuple[str, ...] = ()
    iocs: tuple[Observable, ...] = ()
    cost: Nanos = 0
    why_offline: str = ""
    flags: tuple[str, ...] = ()
    at: datetime | None = None
    serious: int = 0
    """How many different detections of HIGH or worse it was made from: more of them make it outdated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One thing that happened to an incident. `kind` is a stable word (detection, raised, finding, analysis,
    delivery, refused, acknowledged, resolved, reopened, assigned, late, note); `text` is the sentence people read.
    """

    at: datetime
    kind: str
    text: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Detections about the same thing, worked as one. `count` is the number of detections folded into it;
    `kind` tells security from spend; `version` grows with every change and orders updates.
    """

    id: str
    title: str
    severity: Severity
    status: Status
    kind: Literal["security", "spend"] = "security"
    opened_at: datetime
    updated_at: datetime
    first_seen: datetime
    last_seen: datetime
    entity: Observable
    count: int = 1
    risk: int = 0
    rules: tuple[str, ...] = ()
    detections: tuple[Detection, ...] = ()
    observables: tuple[Observable, ...] = ()
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    analysis: Analysis | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    cost: Nanos = 0
    version: int = 1
    repeats: Mapping[str, int] = field(default_factory=dict)
    """How many detections of each fingerprint were folded; grouping goes on from here after a restart."""
    status_at: datetime | None = None
    """When the status was said to be what it is, by the clock of whoever said it; an older word never undoes it."""
    status_by: str = ""
    status_via: str = ""
    """Who said it, and through which channel; empty: nobody has spoken yet, or Aegis saw it again by itself."""
    assignee: str = ""
    """Who has it in hand, as people wrote it."""
    held: Hold | None = None
    """What holds its messages back, if anything does."""
    escalation: Escalation | None = None
    """How far telling people one after the other has got."""
