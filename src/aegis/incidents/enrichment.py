"""Enrichment: what outside sources know about the observables of an incident, each look-up a governed call.

Policy: a few look-ups an incident, more for a worse one; the same observable is asked once a day, by the governor's
cache; a refusal or failure is written into the timeline and never stops the incident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from aegis.core.calls import Call, Priority
from aegis.core.errors import BadInput, Billed, Refused, ServiceError, StoreError
from aegis.core.incidents import Finding, Incident, Observable, ObservableKind, Severity, TimelineEntry, Verdict
from aegis.core.money import Nanos
from aegis.core.plaintext import one_line
from aegis.core.ports import Clock, Enricher, Governs, NewId

LOOKUPS_MAX: Mapping[Severity, int] = {Severity.LOW: 2, Severity.MEDIUM: 4, Severity.HIGH: 8, Severity.CRITICAL: 16}
"""Look-ups of one source for one incident. VirusTotal's public quota is 4 a minute and 500 a day: a HIGH incident may
take two minutes of it at most.
"""
FINDINGS_MAX = 100
_KIND_ORDER: tuple[ObservableKind, ...] = ("technique", "file_hash", "ip", "url", "domain")
"""A hash says most about what happened, a domain least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookups:
    """What the sources said about one incident."""

    findings: tuple[Finding, ...] = ()
    entries: tuple[TimelineEntry, ...] = ()
    cost: Nanos = 0

    def applied_to(self, incident: Incident) -> Incident:
        """The incident with these findings; an older one of the same source and observable is replaced."""
        kept = {(finding.source, finding.observable): finding for finding in incident.findings}
        kept |= {(finding.source, finding.observable): finding for finding in self.findings}
        return replace(incident, findings=tuple(kept.values())[-FINDINGS_MAX:])


class Enrichment:
    """Asks every source about the observables that it accepts. `wait_ms` is how long a look-up may queue."""

    def __init__(
        self, enrichers: Sequence[Enricher], *, governor: Governs, clock: Clock, new_id: NewId, wait_ms: int = 0
    ) -> None:
        self._enrichers = tuple(enrichers)
        self._governor, self._clock, self._new_id, self._wait_ms = governor, clock, new_id, wait_ms

    async def enrich(self, incident: Incident) -> Lookups:
        """Findings about the incident's observables and techniques that it does not have yet. Never raises for a
        source that refuses or fails.
        """
        if incident.kind == "spend":
            return Lookups()
        gathered = Lookups()
        for enricher in self._enrichers:
            found = await self._ask(enricher, incident)
            gathered = Lookups(
                findings=gathered.findings + found.findings,
                entries=gathered.entries + found.entries,
                cost=gathered.cost + found.cost,
            )
        return gathered

    async def _ask(self, enricher: Enricher, incident: Incident) -> Lookups:
        """One source about the incident. After a refusal the rest is not asked: it would be refused as well."""
        findings: list[Finding] = []
        entries: list[TimelineEntry] = []
        cost = 0
        wanted = [observable for observable in _candidates(incident, enricher.name) if enricher.accepts(observable)]
        asked = wanted[: LOOKUPS_MAX[incident.severity]]
        for number, observable in enumerate(asked):
            try:
                finding, charged = await self._look_up(enricher, incident, observable)
            except (Refused, StoreError) as refused:
                text = f"{enricher.name} not asked about {_these(asked[number:])}: {one_line(str(refused))}"
                entries.append(self._entry("refused", text, enricher.name))
                break
            except (ServiceError, BadInput) as error:  # BadInput: a usage that cannot be true
                text = f"{enricher.name} could not say anything about {observable.value}: {one_line(str(error))}"
                entries.append(self._entry("failed", text, enricher.name))
                if isinstance(error, ServiceError) and error.retryable:
                    break  # the service is unwell: the rest would fail as well
                continue
            findings.append(finding)
            cost += charged
            if finding.observable.kind != "technique":
                text = f"{enricher.name}, {finding.verdict.value}: {one_line(finding.title)}"
                entries.append(self._entry("finding", text, enricher.name))
        return Lookups(findings=tuple(findings), entries=tuple(entries), cost=cost)

    async def _look_up(self, enricher: Enricher, incident: Incident, observable: Observable) -> tuple[Finding, Nanos]:
        day = self._clock.now().date().isoformat()
        call = Call(
            id=self._new_id("call"),
            service=enricher.name,
            operation="lookup",
            worst={"requests": 1},
            scope=scope_of(incident),
            priority=Priority(incident.severity),
            wait_ms=self._wait_ms,
            cache_key=f"lookup\x1f{enricher.name}\x1f{observable.kind}\x1f{observable.value}\x1f{day}",
        )
        async with self._governor.admit(call) as admitted:
            if admitted.cached is not None:
                return read_finding(enricher.name, admitted.cached), 0
            enriched = await enricher.enrich(observable)
            admitted.settle(enriched.usage, answer=write_finding(enriched.finding))
        return enriched.finding, admitted.cost

    def _entry(self, kind: str, text: str, source: str) -> TimelineEntry:
        return TimelineEntry(at=self._clock.now(), kind=kind, text=text, attributes={"source": source})


def scope_of(incident: Incident) -> dict[str, str]:
    """What an incident's calls are for: budgets choose by it."""
    source = incident.detections[0].source if incident.detections else ""
    return {
        "purpose": "incident",
        "incident": incident.id,
        "severity": incident.severity.name,
        **({"source": source} if source else {}),
    }


def _candidates(incident: Incident, source: str) -> list[Observable]:
    """Observables worth asking about, the telling kinds first, the entity first within its kind; known ones left out."""
    known = {finding.observable for finding in incident.findings if finding.source == source}
    techniques = (Observable("technique", technique) for technique in incident.techniques)
    every = dict.fromkeys((incident.entity, *techniques, *incident.observables))
    wanted = [one for one in every if one.kind in _KIND_ORDER and one not in known]
    return sorted(wanted, key=lambda one: _KIND_ORDER.index(one.kind))


def _these(observables: Sequence[Observable]) -> str:
    return observables[0].value if len(observables) == 1 else f"{len(observables)} observables"


def write_finding(finding: Finding) -> bytes:
    """A finding as JSON, for the cache."""
    return orjson.dumps(
        {
            "source": finding.source,
            "observable": [finding.observable.kind, finding.observable.value],
            "verdict": finding.verdict.value,
            "title": finding.title,
            "at": finding.at.isoformat(),
            "facts": dict(finding.facts),
            "link": finding.link,
        }
    )


def read_finding(source: str, text: bytes) -> Finding:
    """The finding that `write_finding` wrote. Raises `ServiceError` when the bytes are something else."""
    try:
        row: Any = orjson.loads(text)
        return Finding(
            source=str(row["source"]),
            observable=Observable(row["observable"][0], str(row["observable"][1])),
            verdict=Verdict(row["verdict"]),
            title=str(row["title"]),
            at=datetime.fromisoformat(row["at"]),
            facts={str(name): str(value) for name, value in row["facts"].items()},
            link=str(row["link"]),
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ServiceError(source, "the cached answer is damaged", retryable=False, billed=Billed.NO) from error
