"""What a whole run came to: an observer that counts, and the one JSON object that the demo and an import print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aegis.core.incidents import AnalysisSource, Severity
from aegis.core.money import Nanos, format_usd
from aegis.core.telemetry import (
    CallEnded,
    DetectionMade,
    EventsTaken,
    Happened,
    IncidentChanged,
    LevelCrossed,
    ServiceAnswered,
)

TWELVE = (
    "slack",
    "teams",
    "discord",
    "pagerduty",
    "jira",
    "datadog",
    "splunk",
    "sentry",
    "prometheus",
    "virustotal",
    "attack",
    "anthropic",
)
"""The services of the product's first specification, in the order in which the summary shows them."""


@dataclass(slots=True)
class Tally:
    """Counts what happens while a run goes on."""

    events: int = 0
    rejected: int = 0
    detections: int = 0
    severities: dict[str, Severity] = field(default_factory=dict)
    analyses: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    cost: Counter[str] = field(default_factory=Counter)
    crossed: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, happened: Happened) -> None:
        match happened:
            case EventsTaken():
                self.events += happened.taken
                self.rejected += happened.rejected
            case DetectionMade():
                self.detections += 1
            case IncidentChanged():
                self._incident(happened)
            case ServiceAnswered():
                self.received[happened.service] += 200 <= happened.status < 300
            case CallEnded():
                self._call(happened)
            case LevelCrossed():
                at = happened.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                level = {"budget": happened.budget, "window": happened.window, "level": happened.level, "at": at}
                self.crossed.append(level)

    def _incident(self, happened: IncidentChanged) -> None:
        incident = happened.incident
        self.severities[incident.id] = incident.severity
        if happened.change == "analysed" and incident.analysis is not None:
            self.analyses[incident.analysis.source.value] += 1

    def _call(self, ended: CallEnded) -> None:
        self.refused[ended.service] += ended.outcome == "refused"
        self.cost[ended.service] += ended.cost
        if ended.service == "attack":
            self.received["attack"] += ended.outcome in ("settled", "cached", "void")

    def summary(
        self, name: str, *, budget: Nanos, report: str, received: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """The object `aegis.<name>/1`. `received` overrides the counts where the sandbox itself counted."""
        counts = Counter(self.received) if received is None else Counter({**self.received, **received})
        severities = Counter(severity.name for severity in self.severities.values())
        names = [*TWELVE, *sorted((counts.keys() | self.cost.keys() | self.refused.keys()) - set(TWELVE))]
        return {
            "schema": f"aegis.{name}/1",
            "events": self.events,
            "detections": self.detections,
            "incidents": {severity.name: severities[severity.name] for severity in Severity},
            "analyses": {source.value: self.analyses[source.value] for source in AnalysisSource},
            "spent_usd": format_usd(sum(self.cost.values())),
            "budget_usd": format_usd(budget),
            "services": {
                service: {
                    "received": counts[service],
                    "refused": self.refused[service],
                    "cost_usd": format_usd(self.cost[service]),
                }
                for service in names
            },
            "levels_crossed": self.crossed,
            "report": report,
        }
