"""Windows events in their three JSON spellings, as one flat mapping with Sigma's field names.

EVTX as JSON (`Event.System`, `Event.EventData`), Winlogbeat (`winlog.event_data`) and flat (nxlog). The envelopes are
opened the way the rules name their fields, once, so that everything after intake sees one spelling.
"""

from __future__ import annotations

from typing import Any

from aegis.sigma.fields import flat_view

_FLAT_NAMES = (("Computer", "Hostname"), ("Provider_Name", "SourceName"))
"""What nxlog calls the host and the provider."""


def read_windows(value: dict[str, Any]) -> dict[str, Any] | None:
    """The flat fields of a Windows event; None when the value is none. The value itself may be changed."""
    view = flat_view(value)
    if view is not value:
        fields = (
            {name: field for name, field in view.items() if field is not None} if None in view.values() else dict(view)
        )
    elif "EventID" in value and "Channel" in value:
        fields = value
        for name in [name for name in value if " " in name]:
            fields[name.replace(" ", "")] = fields.pop(name)
        for name, other in _FLAT_NAMES:
            if name not in fields and isinstance(spoken := fields.get(other), str):
                fields[name] = spoken
    else:
        return None
    if "EventID" in fields:
        fields["EventID"] = _number(fields["EventID"])
    return fields


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value
