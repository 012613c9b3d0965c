"""What happened to an incident as CloudEvents 1.0, one event for each entry of its timeline.

Source: github.com/cloudevents/spec, version 1.0.2: `specversion`, `id`, `source`, `type` are required; `source` and `id` together
are unique, so that taking the same events twice can be noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from aegis.core.incidents import Incident
from aegis.core.wording import rfc3339
from aegis.incidents.compose import document

SPEC: Final = "1.0"
MEDIA_TYPE: Final = "application/cloudevents+json"


def events(incident: Incident, *, source: str) -> Iterator[dict[str, Any]]:
    """Its timeline, oldest first, as `aegis.incident.<what>.v1`, then where it stands now as `aegis.incident.stands.v1`.
    `source` is a URI reference that names this installation.
    """
    for number, entry in enumerate(incident.timeline):
        data = {"incident": incident.id, "text": entry.text, "attributes": dict(entry.attributes)}
        yield _event(incident, f"{incident.id}.{number}", entry.kind, entry.at, data, source)
    yield _event(
        incident, f"{incident.id}.v{incident.version}", "stands", incident.updated_at, document(incident), source
    )


def _event(
    incident: Incident, number: str, kind: str, at: datetime, data: dict[str, Any], source: str
) -> dict[str, Any]:
    return {
        "specversion": SPEC,
        "id": number,
        "source": source,
        "type": f"aegis.incident.{kind}.v1",
        "subject": incident.id,
        "time": rfc3339(at),
        "datacontenttype": "application/json",
        "data": data,
    }
