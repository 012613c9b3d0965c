"""What enrichment and analysis change about an incident, and who hears of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis.core.incidents import AnalysisSource, Incident, Severity, Status, TimelineEntry, Verdict
from aegis.core.money import show_usd
from aegis.core.notifications import Change
from aegis.incidents.analysis import Analysed
from aegis.incidents.draft import serious
from aegis.incidents.enrichment import Lookups
from aegis.incidents.timeline import with_entries

REDONE_AFTER = timedelta(minutes=15)
"""How long an analysis stands before news make it be asked for again: four calls an hour at most for one incident."""
_BAD = (Verdict.MALICIOUS, Verdict.SUSPICIOUS)


@dataclass(frozen=True, slots=True)
class Tell:
    """A change as people are told (one message) and as observers see it (every change)."""

    people: Change | None = None
    observers: tuple[Change, ...] = ()


def wants_analysis(incident: Incident, now: datetime) -> bool:
    """Whether an incident is new, was raised since it was analysed, or holds serious news that no analysis has seen for
    long enough: nothing else asks for an analysis.
    """
    due = outdated_at(incident)
    analysis = incident.analysis
    if incident.status is Status.RESOLVED:
        return False
    return analysis is None or analysis.severity < incident.severity or (due is not None and due <= now)


def outdated_at(incident: Incident) -> datetime | None:
    """When an analysis is to be done again because serious detections joined that it was not made from; None: never."""
    analysis = incident.analysis
    if incident.status is Status.RESOLVED or analysis is None or analysis.at is None:
        return None
    return analysis.at + REDONE_AFTER if serious(incident) > analysis.serious else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of working one incident up. It is applied to the incident as it stands by then, which may be newer."""

    lookups: Lookups
    analysed: Analysed

    def applied_to(self, incident: Incident, now: datetime) -> Incident:
        """The incident with findings, analysis and cost; its severity rises to the analysis' and never falls."""
        analysis = self.analysed.analysis
        worked = self.lookups.applied_to(incident)
        entries = [*self.lookups.entries, *self.analysed.entries, self._entry(now)]
        if analysis.severity > incident.severity:
            text = f"Raised from {incident.severity.name} to {analysis.severity.name} by the analysis"
            entries.append(TimelineEntry(at=now, kind="raised", text=text))
        raised = max(incident.severity, analysis.severity)
        cost = incident.cost + self.lookups.cost + analysis.cost
        return replace(with_entries(worked, *entries), analysis=analysis, severity=raised, cost=cost)

    def tells(self, before: Incident, after: Incident) -> Tell:
        """People hear of an analysis when a model was due, when something bad was found, or when it raised."""
        if after.severity > before.severity:
            return Tell("raised", ("analysed", "raised"))
        bad = any(finding.verdict in _BAD for finding in self.lookups.findings)
        worth = after.severity >= Severity.HIGH or bad
        return Tell("analysed" if worth else None, ("analysed",))

    def _entry(self, now: datetime) -> TimelineEntry:
        analysis = self.analysed.analysis
        if analysis.source is AnalysisSource.OFFLINE:
            text = f"Offline analysis ({analysis.why_offline})"
        elif analysis.source is AnalysisSource.CACHED:
            text = f"Analysis of {analysis.model} reused, free"
        else:
            text = f"Analysed by {analysis.model} for {show_usd(analysis.cost, decimals=4)}"
        return TimelineEntry(at=now, kind="analysis", text=text, attributes={"source": analysis.source.value})
