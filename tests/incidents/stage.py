"""What the tests of the incident path play with: builders of detections, and fakes at the ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from aegis.core.calls import Call, Usage
from aegis.core.errors import StoreError
from aegis.core.incidents import Detection, Event, Finding, Incident, LogSource, Observable, Severity, Status, Verdict
from aegis.core.money import Nanos
from aegis.core.notifications import Delivery
from aegis.core.ports import Analyst, Enriched, Enricher, ModelAnswer, ModelRequest, Work
from aegis.core.telemetry import Happened, IncidentChanged
from aegis.incidents.analysis import Analysing, Policy
from aegis.incidents.enrichment import Enrichment
from aegis.incidents.grouping import Grouping
from aegis.incidents.pipeline import Pipeline
from aegis.incidents.pseudonyms import Pseudonyms
from aegis.incidents.record import Record
from aegis.incidents.routing import deliveries

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = b"0123456789abcdef"
EVERY_SERVICE = ("slack", "teams", "discord", "sentry", "datadog", "splunk", "jira", "pagerduty")
MODELS = {Severity.HIGH: ("claude-sonnet-5-5",), Severity.CRITICAL: ("claude-opus-5-5", "claude-sonnet-5-5")}


def detection(
    rule: str = "ssh-brute-force",
    *,
    severity: Severity = Severity.HIGH,
    entity: Observable | str = "203.0.113.9",
    at: datetime | int = 0,
    observables: Sequence[Observable] = (),
    techniques: Sequence[str] = ("T1110",),
    tactics: Sequence[str] = ("credential-access",),
    evidence: Mapping[str, str] | None = None,
    title: str = "",
    source: str = "auth.log",
    event_id: str = "",
) -> Detection:
    """A detection; a text entity is an address, a number for `at` is minutes after noon."""
    about = Observable("ip", entity) if isinstance(entity, str) else entity
    moment = NOON + timedelta(minutes=at) if isinstance(at, int) else at
    return Detection(
        rule_id=rule,
        title=title or rule.replace("-", " ").capitalize(),
        severity=severity,
        at=moment,
        entity=about,
        observables=(about, *observables),
        techniques=tuple(techniques),
        tactics=tuple(tactics),
        event_ids=(event_id or f"evt-{rule}-{moment:%H%M%S}",),
        source=source,
        evidence=evidence or {"message": "Failed password for root"},
    )


def incident(*detections: Detection, now: datetime = NOON) -> Incident:
    """The incident that these detections open."""
    folded = Grouping(new_id=Ids()).fold(detections or [detection()], now=now)
    return folded.incidents[0]


def event(event_id: str) -> Event:
    return Event(id=event_id, at=NOON, source="auth.log", logsource=LogSource(), fields={"message": event_id})


class Ids:
    """Counts: `inc_1`, `inc_2`, ..."""

    def __init__(self) -> None:
        self.last = 0

    def __call__(self, prefix: str) -> str:
        self.last += 1
        return f"{prefix}_{self.last:06d}"


@dataclass
class FakeClock:
    """A clock that stands still until told."""

    at: datetime = NOON
    slept: list[int] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def monotonic_ns(self) -> int:
        return int((self.at - NOON).total_seconds()) * 1_000_000_000

    async def sleep_ms(self, milliseconds: int) -> None:
        self.slept.append(milliseconds)
        self.at += timedelta(milliseconds=milliseconds)


class FakeStore:
    """Incidents in memory, committed whole or not at all."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.done: list[str] = []
        self.down = False

    async def commit(self, work: Work) -> None:
        if self.down:
            raise StoreError("the store is away")
        self.done.extend(work.events_done)
        self.incidents |= {one.id: one for one in work.incidents}
        for delivery in work.deliveries:
            self.deliveries.setdefault(delivery.id, delivery)

    async def unresolved(self) -> Sequence[Incident]:
        if self.down:
            raise StoreError("the store is away")
        return [one for one in self.incidents.values() if one.status is not Status.RESOLVED]

    async def get(self, incident_id: str) -> Incident | None:
        return self.incidents.get(incident_id)

    async def recent(self, limit: int) -> Sequence[Incident]:
        return sorted(self.incidents.values(), key=lambda one: one.opened_at)[-limit:]

    def sent(self, service: str) -> list[str]:
        """The changes queued for a service, in order."""
        return [one.notification.change for one in self.deliveries.values() if one.service == service]


@dataclass
class FakeAdmitted:
    model: str
    cached: bytes | None = None
    cost: Nanos = 0
    settled: list[tuple[Usage, bytes]] = field(default_factory=list)

    def settle(self, usage: Usage, *, answer: bytes = b"") -> None:
        self.settled.append((usage, answer))
        self.cost = 12_000_000

    def void(self) -> None:
        self.settled.append(({}, b""))


class FakeGovernor:
    """Admits every call, or raises `refuse`; keeps answers by cache key when `caching`."""

    def __init__(self, *, refuse: Exception | None = None, caching: bool = False) -> None:
        self.refuse, self.caching = refuse, caching
        self.calls: list[Call] = []
        self.admitted: list[FakeAdmitted] = []
        self.answers: dict[str, bytes] = {}

    @asynccontextmanager
    async def admit(self, call: Call) -> AsyncIterator[FakeAdmitted]:
        self.calls.append(call)
        if self.refuse is not None:
            raise self.refuse
        admitted = FakeAdmitted(call.models[0] if call.models else "", self.answers.get(call.cache_key))
        self.admitted.append(admitted)
        yield admitted
        for _, answer in admitted.settled:
            if answer and self.caching:
                self.answers[call.cache_key] = answer

    def asked(self, operation: str) -> list[Call]:
        return [call for call in self.calls if call.operation == operation]


@dataclass
class FakeAnalyst:
    """Answers what it is told to, or what `reply` makes of the request."""

    reply: Callable[[ModelRequest], str]
    complete_answer: bool = True
    error: Exception | None = None
    requests: list[ModelRequest] = field(default_factory=list)
    name: str = "anthropic"

    def worst(self, request: ModelRequest) -> Usage:
        return {"input_tokens": len(request.user) + len(request.model), "output_tokens": request.output_tokens_max}

    async def complete(self, request: ModelRequest) -> ModelAnswer:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        usage = {"input_tokens": 900, "output_tokens": 200}
        return ModelAnswer(text=self.reply(request), usage=usage, model=request.model, complete=self.complete_answer)


@dataclass
class FakeEnricher:
    """Calls every observable of its kinds malicious."""

    name: str = "virustotal"
    kinds: tuple[str, ...] = ("ip", "domain", "url", "file_hash")
    verdict: Verdict = Verdict.MALICIOUS
    error: Exception | None = None
    asked: list[Observable] = field(default_factory=list)

    def accepts(self, observable: Observable) -> bool:
        return observable.kind in self.kinds

    async def enrich(self, observable: Observable) -> Enriched:
        self.asked.append(observable)
        if self.error is not None:
            raise self.error
        title = "12 of 90 engines"
        finding = Finding(source=self.name, observable=observable, verdict=self.verdict, title=title, at=NOON)
        return Enriched(finding, {"requests": 1})


def analysing(
    analyst: Analyst | None, governor: FakeGovernor | None = None, *, clock: FakeClock | None = None
) -> Analysing:
    tokens = iter(f"{number:032x}" for number in range(0xA11CE, 0xB11CE))
    return Analysing(
        analyst,
        governor=governor or FakeGovernor(),
        policy=Policy(models=MODELS),
        pseudonyms=Pseudonyms(KEY),
        technique_exists=lambda technique: technique.startswith("T1"),
        token=lambda: next(tokens),
        clock=clock or FakeClock(),
        new_id=Ids(),
    )


class Script:
    """A detector that answers with what is scripted for an event's id."""

    def __init__(self, script: Mapping[str, Sequence[Detection]] | None = None) -> None:
        self.script = dict(script or {})

    def detect(self, events: Sequence[Event]) -> Sequence[Detection]:
        return [made for one in events for made in self.script.get(one.id, ())]


class Stage:
    """A whole pipeline on fakes."""

    def __init__(
        self,
        *,
        analyst: Analyst | None = None,
        enrichers: Sequence[Enricher] = (),
        governor: FakeGovernor | None = None,
        store: FakeStore | None = None,
        services: Sequence[str] = EVERY_SERVICE,
    ) -> None:
        self.clock, self.store = FakeClock(), store or FakeStore()
        self.governor = governor or FakeGovernor()
        self.detector = Script()
        self.happened: list[Happened] = []
        self.ids = Ids()
        self.pipeline = Pipeline(
            detector=self.detector,
            record=Record(
                grouping=Grouping(new_id=self.ids),
                store=self.store,
                plan=partial(deliveries, services=services),
                clock=self.clock,
                observe=self.happened.append,
            ),
            enrichment=Enrichment(enrichers, governor=self.governor, clock=self.clock, new_id=self.ids),
            analysis=analysing(analyst, self.governor, clock=self.clock),
            clock=self.clock,
        )

    async def take(self, *detections: Detection) -> None:
        """Handle one event for each detection."""
        named = {f"event-{len(self.detector.script) + n}": [one] for n, one in enumerate(detections)}
        self.detector.script |= named
        await self.pipeline.handle([event(event_id) for event_id in named])

    def only(self) -> Incident:
        """The one incident in the store."""
        (found,) = self.store.incidents.values()
        return found

    def changes(self) -> list[str]:
        """Every change that observers saw."""
        return [one.change for one in self.happened if isinstance(one, IncidentChanged)]


def with_severity(one: Detection, severity: Severity) -> Detection:
    return replace(one, severity=severity)
