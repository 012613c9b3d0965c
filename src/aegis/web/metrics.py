"""`/metrics`: what happened as Prometheus counters, and what is true now as gauges read at the scrape.

Names follow the Prometheus conventions (base units, `_total` on counters); no incident id and no key is ever a label.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from aegis import __version__
from aegis.core.incidents import Incident
from aegis.core.money import USD
from aegis.core.telemetry import (
    BREAKER_VALUES,
    CallEnded,
    DeliveryEnded,
    DetectionMade,
    EventsTaken,
    Happened,
    HeldBack,
    IncidentChanged,
    LevelCrossed,
    LoopFailed,
    RequestsLeft,
    ServiceAnswered,
    ServiceStands,
)
from aegis.web.standing_metrics import Standing

TOOK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
"""From a loopback answer to the longest time-out of a model call."""


SOURCES_MAX = 100
"""Names of log sources that are told apart: senders choose them, and every label value costs memory for ever."""

SPENDERS_MAX = 500
"""Teams with keys that are told apart in what was spent."""

KINDS_MAX = 1_000
"""Kinds of calls that are counted apart until the next look."""


class Metrics:
    """An observer that counts, and the registry that is scraped. `scrapes` counts the scrapes themselves."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series of its own for when each counter began tells nobody anything
        registry = self.registry = CollectorRegistry()
        self.scrapes = 0
        self._sources: set[str] = set()
        self._of_calls: dict[tuple[str, str, str, str, str, str], list[int]] = {}
        self._spenders: set[tuple[str, str]] = set()
        self._of_cache: dict[str, int] = {}
        build = Gauge("aegis_build_info", "The running version", ["version"], registry=registry)
        build.labels(__version__).set(1)
        self.events = Counter("aegis_events", "Events taken in", ["source"], registry=registry)
        self.rejected = Counter("aegis_events_rejected", "Lines set aside", ["source"], registry=registry)
        self.detections = Counter("aegis_detections", "Rules that matched", ["severity"], registry=registry)
        self.incidents = Counter("aegis_incidents", "Incidents opened", ["severity", "kind"], registry=registry)
        self.changes = Counter("aegis_incident_changes", "What happened to incidents", ["change"], registry=registry)
        self.calls = Counter(
            "aegis_requests", "Governed calls by how they ended", ["service", "outcome"], registry=registry
        )
        self.refused = Counter(
            "aegis_requests_refused", "Refused calls by gate", ["service", "gate"], registry=registry
        )
        self.spend = Counter("aegis_spend_usd", "Settled cost in US dollars", _SPENT, registry=registry)
        self.cached = Counter(
            "aegis_cache_requests", "Calls that the cache was asked for", ["result"], registry=registry
        )
        self.crossed = Counter("aegis_levels_crossed", "Budget levels crossed", ["budget", "level"], registry=registry)
        self.failures = Counter("aegis_loop_failures", "Background loops begun again", ["loop"], registry=registry)
        self.deliveries = Counter("aegis_deliveries", "Attempts to deliver", ["service", "outcome"], registry=registry)
        self.kept_back = Counter("aegis_messages_held", "Messages held back", ["kind"], registry=registry)
        self.requests = Counter(
            "aegis_outside_answers", "Answers of outside services", ["service", "status"], registry=registry
        )
        self.took = Histogram(
            "aegis_request_duration_seconds", "Outside requests", ["service"], registry=registry, buckets=TOOK_SECONDS
        )
        self._outside(registry)
        self.open = Gauge("aegis_incidents_open", "Incidents not resolved", ["severity"], registry=registry)
        self.waiting = Gauge("aegis_deliveries_waiting", "Deliveries not yet done", ["service"], registry=registry)
        self.handling = Gauge(
            "aegis_incident_cost_usd",
            "What the incidents that are not resolved cost so far",
            ["severity"],
            registry=registry,
        )
        self.standing = Standing(registry)

    def _outside(self, registry: CollectorRegistry) -> None:
        """How outside services stand."""
        self.breaker = Gauge(
            "aegis_breaker_state", "1 for the state that its breaker is in", ["service", "state"], registry=registry
        )
        self.paused = Gauge(
            "aegis_service_paused_seconds", "How long a service is still left alone", ["service"], registry=registry
        )
        self.left = Gauge(
            "aegis_service_requests_left", "What a service said is left to us", ["service"], registry=registry
        )

    def __call__(self, happened: Happened) -> None:
        if isinstance(happened, CallEnded):  # thousands a second
            self._call(happened)
            return
        match happened:
            case EventsTaken():
                source = self._source(happened.source)
                self.events.labels(source).inc(happened.taken)
                if happened.rejected:
                    self.rejected.labels(source).inc(happened.rejected)
            case DetectionMade():
                self.detections.labels(happened.detection.severity.name).inc()
            case IncidentChanged():
                self._incident(happened.incident, happened.change)
            case LevelCrossed():
                self.crossed.labels(happened.budget, happened.level).inc()
            case DeliveryEnded():
                self.deliveries.labels(happened.service, happened.outcome).inc()
            case HeldBack():
                self.kept_back.labels(happened.kind).inc()
            case LoopFailed():
                self.failures.labels(happened.loop).inc()
            case RequestsLeft():
                self.left.labels(happened.service).set(happened.left)
            case ServiceAnswered() | ServiceStands():
                self._service(happened)

    def _service(self, happened: ServiceAnswered | ServiceStands) -> None:
        name = happened.service
        if isinstance(happened, ServiceStands):
            for state in BREAKER_VALUES:
                self.breaker.labels(name, state).set(state == happened.breaker)
            self.paused.labels(name).set(happened.paused_ms / 1000)
            return
        self.requests.labels(name, str(happened.status)).inc()
        self.took.labels(name).observe(happened.took_ms / 1000)
        if happened.left is not None:
            self.left.labels(name).set(happened.left)

    def _source(self, name: str) -> str:
        if name not in self._sources and len(self._sources) >= SOURCES_MAX:
            return "other"
        self._sources.add(name)
        return name

    def _incident(self, incident: Incident, change: str) -> None:
        self.changes.labels(change).inc()
        if change == "opened":
            self.incidents.labels(incident.severity.name, incident.kind).inc()

    def _call(self, ended: CallEnded) -> None:
        """Count in plain numbers: the counters themselves are changed when somebody looks."""
        scope = ended.scope
        kind = ended.service, ended.model, ended.outcome, ended.refused, scope.get("team", ""), scope.get("key", "")
        found = self._of_calls.get(kind)
        if found is None:
            if len(self._of_calls) >= KINDS_MAX:
                self._count_calls()
            found = self._of_calls[kind] = [0, 0]
        found[0] += 1
        found[1] += ended.cost

    def _count_calls(self) -> None:
        for (service, model, outcome, gate, team, key), (count, cost) in self._of_calls.items():
            self.calls.labels(service, outcome).inc(count)
            if outcome == "refused":
                self.refused.labels(service, gate).inc(count)
            if cost:
                self.spend.labels(service, model, *self._spender(team, key)).inc(cost / USD)
        self._of_calls.clear()

    def gauge(self, *, incidents: Iterable[Incident], waiting: Iterable[tuple[str, int]]) -> None:
        """Set the gauges that are read from the store at the scrape."""
        self.open.clear()
        self.handling.clear()
        for incident in incidents:
            self.open.labels(incident.severity.name).inc()
            self.handling.labels(incident.severity.name).inc(incident.cost / USD)
        self.waiting.clear()
        for service, count in waiting:
            self.waiting.labels(service).set(count)

    def count_cache(self, hits: int, misses: int) -> None:
        """Bring the counters of the cache to what it counted itself since it began."""
        for result, count in (("hit", hits), ("miss", misses)):
            self.cached.labels(result).inc(count - self._of_cache.get(result, 0))
            self._of_cache[result] = count

    def _spender(self, team: str, key: str) -> tuple[str, str]:
        """Team and key as labels; past the bound, those of all others together."""
        if (team, key) not in self._spenders and len(self._spenders) >= SPENDERS_MAX:
            return "other", "other"
        self._spenders.add((team, key))
        return team, key

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics for a scraper that asks for it, else text 0.0.4."""
        self.scrapes += 1
        self._count_calls()
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


_SPENT = ("service", "model", "team", "key")
