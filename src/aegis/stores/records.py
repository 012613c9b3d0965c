"""The nouns of the incident path as JSON text and back: every field is written by name, every document has a version.

Policy: a field that a document does not have yet takes its default, so an old store is read by a new Aegis; a document
of a newer version is refused, never half understood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from aegis.core.errors import StoreError
from aegis.core.incidents import (
    Analysis,
    AnalysisSource,
    Detection,
    Event,
    Finding,
    Incident,
    LogSource,
    Observable,
    Severity,
    Status,
    TimelineEntry,
    Verdict,
)
from aegis.core.notifications import Button, Fact, Note, Notification
from aegis.stores.standing import escalation_from_json, escalation_to_json, hold_from_json, hold_to_json

VERSION = 1
UNCOUNTED = 1_000_000
"""An analysis from before detections were counted: nothing makes it outdated but a raise."""
"""Of every document. It grows when a field changes its meaning; a new field with a default needs no new version."""

Json = dict[str, Any]


def dump(value: Json) -> str:
    """The document as JSON text. What strict JSON cannot hold (integers beyond 64 bits, lone surrogates) is written
    in Python's dialect, marked by a leading blank, so that it comes back the same.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return " " + json.dumps(value, default=_plain, separators=(",", ":"))


def load(text: str) -> Any:
    """The value of a JSON text that `dump` wrote."""
    return json.loads(text) if text.startswith(" ") else orjson.loads(text)


def storable(text: str, limit: int) -> str:
    """A text from outside, clipped, as UTF-8 can hold it."""
    return text[:limit].encode("utf-8", "backslashreplace").decode()


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _opened(text: str) -> Json:
    document: Json = load(text)
    if document.get("v") != VERSION:
        raise StoreError(
            f"A record has version {document.get('v')!r}, this Aegis reads {VERSION}: install the newer Aegis again"
        )
    return document


def _when(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- events ----------------------------------------------------------------------------------------------------


def event_to_text(event: Event) -> str:
    source = event.logsource
    return dump(
        {
            "v": VERSION,
            "id": event.id,
            "at": event.at,
            "source": event.source,
            "logsource": [source.product, source.category, source.service],
            "fields": event.fields,
        }
    )


def event_from_text(text: str) -> Event:
    document = _opened(text)
    return Event(
        id=document["id"],
        at=_when(document["at"]),
        source=document["source"],
        logsource=LogSource(*document["logsource"]),
        fields=document["fields"],
    )


# --- incidents -------------------------------------------------------------------------------------------------


def incident_to_text(incident: Incident) -> str:
    return dump(
        {
            "v": VERSION,
            "id": incident.id,
            "title": incident.title,
            "severity": incident.severity.name,
            "status": incident.status.value,
            "kind": incident.kind,
            "opened_at": incident.opened_at,
            "updated_at": incident.updated_at,
            "first_seen": incident.first_seen,
            "last_seen": incident.last_seen,
            "entity": _observable(incident.entity),
            "count": incident.count,
            "risk": incident.risk,
            "rules": list(incident.rules),
            "detections": [_detection(one) for one in incident.detections],
            "observables": [_observable(one) for one in incident.observables],
            "techniques": list(incident.techniques),
            "tactics": list(incident.tactics),
            "findings": [_finding(one) for one in incident.findings],
            "analysis": None if incident.analysis is None else _analysis(incident.analysis),
            "timeline": [_entry(one) for one in incident.timeline],
            "cost": incident.cost,
            "version": incident.version,
            "repeats": dict(incident.repeats),
            "status_at": incident.status_at,
            "status_by": incident.status_by,
            "status_via": incident.status_via,
            "assignee": incident.assignee,
            "held": hold_to_json(incident.held),
            "escalation": escalation_to_json(incident.escalation),
        }
    )


def incident_from_text(text: str) -> Incident:
    document = _opened(text)
    analysis, status_at = document.get("analysis"), document.get("status_at")
    return Incident(
        id=document["id"],
        title=document["title"],
        severity=Severity[document["severity"]],
        status=Status(document["status"]),
        kind=document.get("kind", "security"),
        opened_at=_when(document["opened_at"]),
        updated_at=_when(document["updated_at"]),
        first_seen=_when(document["first_seen"]),
        last_seen=_when(document["last_seen"]),
        entity=Observable(*document["entity"]),
        count=document.get("count", 1),
        risk=document.get("risk", 0),
        rules=tuple(document.get("rules", ())),
        detections=tuple(_to_detection(one) for one in document.get("detections", ())),
        observables=tuple(Observable(*one) for one in document.get("observables", ())),
        techniques=tuple(document.get("techniques", ())),
        tactics=tuple(document.get("tactics", ())),
        findings=tuple(_to_finding(one) for one in document.get("findings", ())),
        analysis=None if analysis is None else _to_analysis(analysis),
        timeline=tuple(_to_entry(one) for one in document.get("timeline", ())),
        cost=document.get("cost", 0),
        version=document.get("version", 1),
        repeats=document.get("repeats", {}),
        status_at=None if status_at is None else _when(status_at),
        status_by=document.get("status_by", ""),
        status_via=document.get("status_via", ""),
        assignee=document.get("assignee", ""),
        held=hold_from_json(document.get("held")),
        escalation=escalation_from_json(document.get("escalation")),
    )


def _observable(observable: Observable) -> list[str]:
    return [observable.kind, observable.value]


def _detection(detection: Detection) -> Json:
    return {
        "rule_id": detection.rule_id,
        "title": detection.title,
        "severity": detection.severity.name,
        "at": detection.at,
        "entity": _observable(detection.entity),
        "observables": [_observable(one) for one in detection.observables],
        "techniques": list(detection.techniques),
        "tactics": list(detection.tactics),
        "event_ids": list(detection.event_ids),
        "source": detection.source,
        "description": detection.description,
        "evidence": dict(detection.evidence),
    }


def _to_detection(document: Json) -> Detection:
    return Detection(
        rule_id=document["rule_id"],
        title=document["title"],
        severity=Severity[document["severity"]],
        at=_when(document["at"]),
        entity=Observable(*document["entity"]),
        observables=tuple(Observable(*one) for one in document.get("observables", ())),
        techniques=tuple(document.get("techniques", ())),
        tactics=tuple(document.get("tactics", ())),
        event_ids=tuple(document.get("event_ids", ())),
        source=document.get("source", ""),
        description=document.get("description", ""),
        evidence=document.get("evidence", {}),
    )


def _finding(finding: Finding) -> Json:
    return {
        "source": finding.source,
        "observable": _observable(finding.observable),
        "verdict": finding.verdict.value,
        "title": finding.title,
        "at": finding.at,
        "facts": dict(finding.facts),
        "link": finding.link,
    }


def _to_finding(document: Json) -> Finding:
    return Finding(
        source=document["source"],
        observable=Observable(*document["observable"]),
        verdict=Verdict(document["verdict"]),
        title=document["title"],
        at=_when(document["at"]),
        facts=document.get("facts", {}),
        link=document.get("link", ""),
    )


def _analysis(analysis: Analysis) -> Json:
    return {
        "source": analysis.source.value,
        "model": analysis.model,
        "summary": analysis.summary,
        "impact": analysis.impact,
        "actions": list(analysis.actions),
        "confidence": analysis.confidence,
        "severity": analysis.severity.name,
        "techniques": list(analysis.techniques),
        "iocs": [_observable(one) for one in analysis.iocs],
        "cost": analysis.cost,
        "why_offline": analysis.why_offline,
        "flags": list(analysis.flags),
        "at": analysis.at,
        "serious": analysis.serious,
    }


def _to_analysis(document: Json) -> Analysis:
    at = document.get("at")
    return Analysis(
        source=AnalysisSource(document["source"]),
        model=document["model"],
        summary=document["summary"],
        impact=document["impact"],
        actions=tuple(document["actions"]),
        confidence=document["confidence"],
        severity=Severity[document["severity"]],
        techniques=tuple(document.get("techniques", ())),
        iocs=tuple(Observable(*one) for one in document.get("iocs", ())),
        cost=document.get("cost", 0),
        why_offline=document.get("why_offline", ""),
        serious=document.get("serious", UNCOUNTED),
        flags=tuple(document.get("flags", ())),
        at=None if at is None else _when(at),
    )


def _entry(entry: TimelineEntry) -> Json:
    return {"at": entry.at, "kind": entry.kind, "text": entry.text, "attributes": dict(entry.attributes)}


def _to_entry(document: Json) -> TimelineEntry:
    attributes: Mapping[str, str] = document.get("attributes", {})
    return TimelineEntry(at=_when(document["at"]), kind=document["kind"], text=document["text"], attributes=attributes)


# --- notifications ---------------------------------------------------------------------------------------------


def notification_to_text(notification: Notification) -> str:
    return dump(
        {
            "v": VERSION,
            "incident_id": notification.incident_id,
            "dedup_key": notification.dedup_key,
            "version": notification.version,
            "change": notification.change,
            "severity": notification.severity.name,
            "status": notification.status.value,
            "title": notification.title,
            "summary": notification.summary,
            "at": notification.at,
            "source": notification.source,
            "facts": [[fact.label, fact.value] for fact in notification.facts],
            "actions": list(notification.actions),
            "techniques": list(notification.techniques),
            "link": notification.link,
            "buttons": [[button.label, button.verb, button.url] for button in notification.buttons],
            "note": [notification.note.by, notification.note.via, notification.note.text]
            if notification.note
            else None,
            "recipient": notification.recipient,
            "bridge": notification.bridge,
            "document": notification.document,
        }
    )


def notification_from_text(text: str) -> Notification:
    document = _opened(text)
    return Notification(
        incident_id=document["incident_id"],
        dedup_key=document["dedup_key"],
        version=document["version"],
        change=document["change"],
        severity=Severity[document["severity"]],
        status=Status(document["status"]),
        title=document["title"],
        summary=document["summary"],
        at=_when(document["at"]),
        source=document.get("source", "aegis"),
        facts=tuple(Fact(*one) for one in document.get("facts", ())),
        actions=tuple(document.get("actions", ())),
        techniques=tuple(document.get("techniques", ())),
        link=document.get("link", ""),
        buttons=tuple(Button(label=one[0], verb=one[1], url=one[2]) for one in document.get("buttons", ())),
        note=Note(*document["note"]) if document.get("note") else None,
        recipient=document.get("recipient", ""),
        bridge=document.get("bridge", ""),
        document=document.get("document", {}),
    )
