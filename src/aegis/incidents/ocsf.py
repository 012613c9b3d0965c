"""An incident as an OCSF Detection Finding (class 2004), for whoever collects findings from many tools.

Source: schema.ocsf.io, version 1.8.0 (March 2026), class `detection_finding`, objects `finding_info`, `attack`, `observable`.
Checked values: `severity_id` 2 low to 5 critical; `activity_id` 1 create, 2 update, 3 close; `type_uid` is 200400 plus it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aegis.core.incidents import Incident, Observable, Severity, Status
from aegis.core.techniques import TACTICS, TECHNIQUES

VERSION: Final = "1.8.0"
CLASS: Final = 2004
_SEVERITIES: Final[Mapping[Severity, tuple[int, str]]] = {
    Severity.LOW: (2, "Low"),
    Severity.MEDIUM: (3, "Medium"),
    Severity.HIGH: (4, "High"),
    Severity.CRITICAL: (5, "Critical"),
}
_STATUSES: Final[Mapping[Status, tuple[int, str, int, str]]] = {
    Status.OPEN: (1, "New", 1, "Create"),
    Status.ACKNOWLEDGED: (2, "In Progress", 2, "Update"),
    Status.RESOLVED: (4, "Resolved", 3, "Close"),
}
_OBSERVABLES: Final[Mapping[str, tuple[int, str]]] = {
    "ip": (2, "IP Address"),
    "domain": (1, "Hostname"),
    "host": (1, "Hostname"),
    "url": (6, "URL String"),
    "file_hash": (8, "Hash"),
    "user": (4, "User Name"),
    "account": (4, "User Name"),
    "email": (5, "Email Address"),
    "process": (9, "Process Name"),
}
_OTHER: Final = (99, "Other")
EVIDENCES_MAX: Final = 50


def finding(incident: Incident, *, product_version: str) -> dict[str, Any]:
    """The finding as JSON values; times are milliseconds since 1970."""
    severity_id, severity = _SEVERITIES[incident.severity]
    status_id, status, activity_id, activity = _STATUSES[incident.status]
    if activity_id == 1 and incident.version > 1:
        activity_id, activity = 2, "Update"
    analysis = incident.analysis
    return {
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": CLASS * 100 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": _ms(incident.updated_at),
        "start_time": _ms(incident.first_seen),
        "end_time": _ms(incident.last_seen),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "is_alert": incident.severity >= Severity.HIGH,
        "count": incident.count,
        "message": analysis.summary if analysis else incident.title,
        "metadata": {
            "version": VERSION,
            "uid": f"{incident.id}.{incident.version}",
            "product": {"name": "Aegis", "vendor_name": "Aegis", "version": product_version},
        },
        "finding_info": _info(incident),
        "observables": [_observable(one) for one in dict.fromkeys((incident.entity, *incident.observables))],
        "evidences": [
            {"data": dict(detection.evidence)}
            for detection in incident.detections[:EVIDENCES_MAX]
            if detection.evidence
        ],
    }


def _info(incident: Incident) -> dict[str, Any]:
    return {
        "uid": incident.id,
        "title": incident.title,
        "created_time": _ms(incident.opened_at),
        "modified_time": _ms(incident.updated_at),
        "first_seen_time": _ms(incident.first_seen),
        "last_seen_time": _ms(incident.last_seen),
        "types": [incident.kind],
        "related_analytics": [
            {"uid": rule, "name": rule, "type_id": 1, "type": "Rule"} for rule in dict.fromkeys(incident.rules)
        ],
        "attacks": [_attack(name) for name in incident.techniques],
    }


def _attack(number: str) -> dict[str, Any]:
    """A technique as OCSF has it: a sub-technique stands beside its technique, each with its tactic."""
    known = TECHNIQUES.get(number)
    name = known.name if known else number
    parent, _, child = number.partition(".")
    found: dict[str, Any] = {"technique": {"uid": parent, "name": name.partition(":")[0]}}
    if child:
        found["sub_technique"] = {"uid": number, "name": name.rpartition(": ")[2]}
    if known and known.tactics:
        found["tactic"] = {"name": TACTICS.get(known.tactics[0], known.tactics[0])}
    return found


def _observable(one: Observable) -> dict[str, Any]:
    number, name = _OBSERVABLES.get(one.kind, _OTHER)
    return {"name": one.kind, "type_id": number, "type": name, "value": one.value}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
