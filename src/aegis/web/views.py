"""What a face shows of a record, as plain values: the API and the pages read the same functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from aegis.app import ServiceState, Taken
from aegis.core.budgets import Balance
from aegis.core.feed import FeedLine
from aegis.core.incidents import AnalysisSource, Incident
from aegis.core.money import Nanos, format_usd, show_usd
from aegis.core.techniques import TECHNIQUES
from aegis.governor.gates import ServiceStatus
from aegis.incidents.compose import document
from aegis.incidents.names import short_name

ABOUT_CHARS = 60
"""Of an entity in a list; its page has it whole."""
REJECTED_SHOWN = 20
"""Refusals listed in one answer; all of them are kept aside in the state folder."""


def stamp(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def taken(result: Taken) -> dict[str, Any]:
    """The answer to an intake request."""
    shown = result.rejected[:REJECTED_SHOWN]
    return {
        "schema": "aegis.events/1",
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "rejected": len(result.rejected),
        "problems": [{"line": r.line, "code": r.code, "reason": r.reason} for r in shown],
    }


def _cost(cost: Nanos) -> str:
    """A small amount as people read it; nothing where nothing was spent."""
    return show_usd(cost, decimals=4) if cost else "–"


def incident_row(incident: Incident) -> dict[str, Any]:
    """An incident as one row of a list."""
    return {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity.name,
        "tone": incident.severity.name.lower(),
        "status": incident.status.value,
        "about": f"{incident.entity.kind} {short_name(incident.entity.value, ABOUT_CHARS)}",
        "count": incident.count,
        "cost": _cost(incident.cost),
        "cost_usd": format_usd(incident.cost),
        "first_seen": stamp(incident.first_seen),
        "last_seen": stamp(incident.last_seen),
        "first_time": f"{incident.first_seen:%d %b %H:%M:%S}",
        "last_time": f"{incident.last_seen:%d %b %H:%M:%S}",
    }


def incident_document(incident: Incident) -> Mapping[str, Any]:
    """An incident, whole, as `aegis.incident/1`."""
    return document(incident)


def incident_page(incident: Incident) -> dict[str, Any]:
    """What the page of one incident shows."""
    techniques = [f"{t} {TECHNIQUES[t].name}" if t in TECHNIQUES else t for t in incident.techniques]
    return {
        "incident": incident_row(incident),
        "entity": incident.entity.value,
        "techniques": techniques,
        "analysis": _analysis(incident),
        "findings": [_finding(finding) for finding in incident.findings],
        "detections": [
            {
                "title": detection.title,
                "severity": detection.severity.name,
                "tone": detection.severity.name.lower(),
                "at": stamp(detection.at),
                "rule": detection.rule_id,
                "evidence": sorted(detection.evidence.items()),
            }
            for detection in incident.detections
        ],
        "timeline": [
            {"at": stamp(e.at), "time": f"{e.at:%H:%M:%S}", "text": e.text, "tone": _TONES.get(e.kind, "")}
            for e in reversed(incident.timeline)
        ],
    }


_TONES = {
    "raised": "high",
    "refused": "high",
    "analysis": "good",
    "delivery": "quiet",
    "finding": "low",
    "resolved": "good",
}


def _analysis(incident: Incident) -> dict[str, Any] | None:
    analysis = incident.analysis
    if analysis is None:
        return None
    by = "Aegis, offline" if analysis.source is AnalysisSource.OFFLINE else analysis.model
    return {
        "by": f"{by} (reused)" if analysis.source is AnalysisSource.CACHED else by,
        "confidence": analysis.confidence,
        "summary": analysis.summary,
        "impact": analysis.impact,
        "actions": analysis.actions,
        "why_offline": analysis.why_offline,
    }


def _finding(finding: Any) -> dict[str, Any]:
    tones = {"malicious": "critical", "suspicious": "high", "harmless": "good"}
    return {
        "source": finding.source,
        "about": f"{finding.observable.kind} {finding.observable.value}",
        "verdict": finding.verdict.value,
        "tone": tones.get(finding.verdict.value, "soft"),
        "title": finding.title,
    }


def amount(units: int, unit: str) -> str:
    """An amount of a budget line as people read it: dollars for money, else a grouped number with its meter."""
    return show_usd(units) if unit == "usd" else f"{units:,} {unit.replace('_', ' ')}"


def balance_row(line: Balance) -> dict[str, Any]:
    """A budget line, for the API (exact) and the page (as read)."""
    full = line.settled >= line.limit or "emergency" in line.crossed
    state = "used up" if full else ", ".join(line.crossed) or "calm"
    exact = format_usd if line.unit == "usd" else str
    suffix = "_usd" if line.unit == "usd" else ""
    return {
        "name": line.budget,
        "window": line.window,
        "unit": line.unit,
        f"limit{suffix}": exact(line.limit),
        f"settled{suffix}": exact(line.settled),
        f"held{suffix}": exact(line.held),
        "levels_crossed": list(line.crossed),
        "resets_at": stamp(line.resets_at),
        "resets": f"{line.resets_at:%d %b %H:%M}",
        "limit": amount(line.limit, line.unit),
        "settled": amount(line.settled, line.unit),
        "settled_units": line.settled,
        "held_units": line.held,
        "limit_units": line.limit,
        "level_units": list(line.levels.values()),
        "state": state,
        "tone": "critical" if full else "high" if line.crossed else "good",
    }


def service_row(service: ServiceState) -> dict[str, Any]:
    """A service as one row."""
    return {
        "name": service.name,
        "state": service.state,
        "tone": {"ok": "good", "idle": "soft"}.get(service.state, "high"),
        "done": service.done,
        "waiting": service.waiting,
        "refused": service.refused,
        "dead": service.dead,
        "cost": _cost(service.cost),
        "cost_usd": format_usd(service.cost),
    }


def gate_row(status: ServiceStatus) -> dict[str, Any]:
    """How the gates of one service stand. `room` calls may start now of `rate`; both are None without a rate."""
    return {
        "service": status.service,
        "breaker": status.breaker.value,
        "why": status.why,
        "room": status.room,
        "rate": status.rate,
        "throttle": status.throttle.name.lower(),
        "waiting": status.waiting,
    }


def feed_rows(lines: Iterable[FeedLine]) -> list[dict[str, Any]]:
    """The live feed, newest first; the same sentence several times in a row is one row with a count."""
    rows: list[dict[str, Any]] = []
    for line in lines:
        if rows and rows[0]["text"] == line.text:
            rows[0] = _feed_row(line) | {"times": rows[0]["times"] + 1}
        else:
            rows.insert(0, _feed_row(line) | {"times": 1})
    return rows


def _feed_row(line: FeedLine) -> dict[str, Any]:
    return {
        "at": stamp(line.at),
        "time": f"{line.at:%H:%M:%S}",
        "tone": line.tone,
        "text": line.text,
        "incident": line.incident_id,
    }
