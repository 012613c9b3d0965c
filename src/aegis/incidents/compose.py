"""An incident as a notification: what a person reads first is what matters; and as JSON (`aegis.incident/1`).

Everything is plain text on one line: connectors encode it for their channel, nothing in here is markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from aegis.core.incidents import Analysis, AnalysisSource, Detection, Finding, Incident, Observable, Verdict
from aegis.core.money import format_usd, show_usd
from aegis.core.notifications import Button, Change, Fact, Note, Notification
from aegis.core.plaintext import fit, one_line
from aegis.core.techniques import TECHNIQUES
from aegis.core.wording import rfc3339
from aegis.incidents.act_links import buttons
from aegis.incidents.offline import analyse_offline, seen

Links: TypeAlias = Callable[[Incident], tuple[Button, ...]]
"""What the reader of a message about an incident can do to it, each with its link where there is one."""

SUMMARY_CHARS = 1_200
"""One paragraph: under Slack's 3,000 for a section, Discord's 4,096 and PagerDuty's custom details."""
ACTION_CHARS = 300
ACTIONS_SHOWN = 6
FACT_CHARS = 300
TECHNIQUES_SHOWN = 8
FINDINGS_SHOWN = 4
DISPLAY_NAMES: Mapping[str, str] = {
    "pagerduty": "PagerDuty",
    "slack": "Slack",
    "jira": "Jira",
    "teams": "Teams",
    "discord": "Discord",
    "datadog": "Datadog",
    "grafana": "Grafana",
    "sentry": "Sentry",
    "alertmanager": "Alertmanager",
    "cloudwatch": "CloudWatch",
    "github": "GitHub",
}
"""Services as people write them, where they say who did what where."""
HERE = frozenset({"aegis", "cli", "api"})
"""Channels that go without saying."""
EVIDENCE_SHOWN = 5
"""Detections in the document with their evidence: log platforms search in them, and cut events over 10 kB."""


def compose(
    incident: Incident,
    change: Change,
    *,
    link: str = "",
    links: Links = buttons,
) -> Notification:
    """What people and services are told about the incident at this version; `link` leads to its own page, `links` are
    the things that a reader can do to it. Before an analysis there is the offline one, so that the first message can be
    acted on.
    """
    analysis = incident.analysis or analyse_offline(incident, why="", at=incident.updated_at)
    title = one_line(incident.title)
    summary = one_line(analysis.summary).removeprefix(f"{title}: ")  # the title already stands above it
    return Notification(
        incident_id=incident.id,
        dedup_key=incident.id,
        version=incident.version,
        change=change,
        severity=incident.severity,
        status=incident.status,
        title=title,
        summary=fit(summary, SUMMARY_CHARS),
        at=incident.updated_at,
        facts=_facts(incident, analysis, summary),
        actions=tuple(fit(one_line(action), ACTION_CHARS) for action in analysis.actions[:ACTIONS_SHOWN]),
        techniques=named_techniques(incident)[:TECHNIQUES_SHOWN],
        link=link,
        buttons=links(incident),
        note=newest_note(incident) if change == "noted" else None,
        document=document(incident, change=change),
    )


def _facts(incident: Incident, analysis: Analysis, summary: str) -> tuple[Fact, ...]:
    often = seen(incident)
    rows = [
        *_money(incident),
        ("What it means", analysis.impact),
        ("Seen", often if often not in summary else ""),
        ("About", f"{incident.entity.kind.replace('_', ' ')} {incident.entity.value}"),
        ("Findings", _findings(incident.findings)),
        ("Warning", _flags(analysis.flags)),
        ("Status", _standing(incident)),
        ("Analysis", _by(incident)),
        ("Cost", show_usd(incident.cost, decimals=4) if incident.cost else ""),
    ]
    return tuple(Fact(label, fit(one_line(value), FACT_CHARS)) for label, value in rows if value)


def _money(incident: Incident) -> tuple[tuple[str, str], ...]:
    """What a crossed budget came to, first of all: whoever reads it has to know the sum, the threshold and the time."""
    if incident.kind != "spend" or not incident.detections:
        return ()
    told = incident.detections[-1].evidence
    names = {
        "Spent": "spent",
        "Threshold": "threshold",
        "Limit": "limit",
        "Crossed": "crossed_at",
        "Next window": "resets_at",
    }
    return tuple((label, told.get(name, "")) for label, name in names.items())


def newest_note(incident: Incident) -> Note | None:
    """The last thing that somebody wrote about the incident; `via` as people write it."""
    entry = next((one for one in reversed(incident.timeline) if one.kind == "note"), None)
    if entry is None:
        return None
    via = entry.attributes.get("via", "")
    return Note(by=entry.attributes.get("by", ""), via=DISPLAY_NAMES.get(via, via), text=entry.text)


def _standing(incident: Incident) -> str:
    """`acknowledged by Ada Lovelace in PagerDuty`."""
    via = DISPLAY_NAMES.get(incident.status_via, incident.status_via)
    by = f" by {incident.status_by}" if incident.status_by else ""
    where = f" in {via}" if by and via and via not in HERE else ""
    return f"{incident.status.value}{by}{where}"


def _by(incident: Incident) -> str:
    """Who wrote the analysis; nothing while it is still to come."""
    analysis = incident.analysis
    if analysis is None:
        return ""
    if analysis.source is AnalysisSource.OFFLINE:
        return f"offline ({analysis.why_offline})" if analysis.why_offline else "offline"
    reused = ", reused" if analysis.source is AnalysisSource.CACHED else ""
    return f"{analysis.model}{reused}, confidence {analysis.confidence}"


_ORDER = (Verdict.MALICIOUS, Verdict.SUSPICIOUS, Verdict.HARMLESS, Verdict.UNKNOWN)


def _findings(findings: tuple[Finding, ...]) -> str:
    told = [finding for finding in findings if finding.observable.kind != "technique"]
    told.sort(key=lambda finding: _ORDER.index(finding.verdict))
    words = [f"{f.source}: {f.observable.value} {f.verdict.value}" for f in told[:FINDINGS_SHOWN]]
    return "; ".join(words)


def _flags(flags: tuple[str, ...]) -> str:
    return "; ".join(FLAGS.get(flag, flag.replace("_", " ")) for flag in flags)


FLAGS: Mapping[str, str] = {
    "injection_suspected": "text in the events tried to steer the analysis",
    "foreign_iocs": "the model named indicators that no event holds; they were dropped",
    "unknown_techniques": "the model named techniques that do not exist; they were dropped",
    "model_disagrees": "the model thinks that it is less severe; the severity stands",
}
"""What each flag of an analysis means, in words."""


def named_techniques(incident: Incident) -> tuple[str, ...]:
    """The incident's techniques with their names, as the catalogue in use found them, else from our own table."""
    found = {one.observable.value: one.title for one in incident.findings if one.observable.kind == "technique"}
    own = {
        technique: f"{technique} {TECHNIQUES[technique].name}"
        for technique in incident.techniques
        if technique in TECHNIQUES
    }
    return tuple(found.get(technique) or own.get(technique, technique) for technique in incident.techniques)


def document(incident: Incident, *, change: Change | None = None) -> dict[str, Any]:
    """The incident as JSON values, `aegis.incident/1`: money as decimal strings, times RFC 3339."""
    return {
        "schema": "aegis.incident/1",
        "id": incident.id,
        "version": incident.version,
        **({"change": change} if change else {}),
        "title": incident.title,
        "severity": incident.severity.name,
        "status": incident.status.value,
        "status_by": incident.status_by,
        "status_via": incident.status_via,
        "assignee": incident.assignee,
        "kind": incident.kind,
        "entity": _observable(incident.entity),
        "count": incident.count,
        "risk": incident.risk,
        "opened_at": rfc3339(incident.opened_at),
        "updated_at": rfc3339(incident.updated_at),
        "first_seen": rfc3339(incident.first_seen),
        "last_seen": rfc3339(incident.last_seen),
        "rules": list(incident.rules),
        "techniques": list(incident.techniques),
        "tactics": list(incident.tactics),
        "observables": [_observable(observable) for observable in incident.observables],
        "detections": [_detection(detection) for detection in incident.detections[:EVIDENCE_SHOWN]],
        "findings": [_finding(finding) for finding in incident.findings],
        "analysis": _analysis(incident.analysis) if incident.analysis else None,
        "cost_usd": format_usd(incident.cost),
    }


def _observable(observable: Observable) -> dict[str, str]:
    return {"kind": observable.kind, "value": observable.value}


def _detection(detection: Detection) -> dict[str, Any]:
    return {
        "rule": detection.rule_id,
        "title": detection.title,
        "severity": detection.severity.name,
        "at": rfc3339(detection.at),
        "entity": _observable(detection.entity),
        "event_ids": list(detection.event_ids[:EVIDENCE_SHOWN]),
        "evidence": dict(detection.evidence),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "source": finding.source,
        "observable": _observable(finding.observable),
        "verdict": finding.verdict.value,
        "title": finding.title,
        "at": rfc3339(finding.at),
        "facts": dict(finding.facts),
        "link": finding.link,
    }


def _analysis(analysis: Analysis) -> dict[str, Any]:
    return {
        "source": analysis.source.value,
        "model": analysis.model,
        "summary": analysis.summary,
        "impact": analysis.impact,
        "actions": list(analysis.actions),
        "confidence": analysis.confidence,
        "severity": analysis.severity.name,
        "techniques": list(analysis.techniques),
        "iocs": [_observable(ioc) for ioc in analysis.iocs],
        "cost_usd": format_usd(analysis.cost),
        "why_offline": analysis.why_offline,
        "flags": list(analysis.flags),
        "at": rfc3339(analysis.at) if analysis.at else None,
    }
