"""Windows events in their three JSON spellings, as one flat mapping with Sigma's field names.

EVTX as JSON (`Event.System`, `Event.EventData`), Winlogbeat (`winlog.event_data`) and flat (nxlog). Policy: what the
system wrote about an event (Channel, EventID, Computer, Provider_Name) wins over fields of the same name that the
event carries, because detection is routed by it.
"""

from __future__ import annotations

from typing import Any

_ATTRIBUTES = ("#attributes", "@attributes")
_TIMES = ("SystemTime", "@SystemTime")


def read_windows(value: dict[str, Any]) -> dict[str, Any] | None:
    """The flat fields of a Windows event; None when the value is none. The value may be changed."""
    event = value.get("Event")
    if isinstance(event, dict) and isinstance(system := event.get("System"), dict):
        return _from_evtx(event, system)
    winlog = value.get("winlog")
    if isinstance(winlog, dict) and "channel" in winlog:
        return _from_winlogbeat(value, winlog)
    if "EventID" in value and "Channel" in value:
        return _with_aliases(_from_flat(value))
    return None


def _from_evtx(event: dict[str, Any], system: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    _take_payload(fields, event.get("EventData"))
    user_data = event.get("UserData")
    if isinstance(user_data, dict):
        for name, payload in user_data.items():
            if name not in _ATTRIBUTES:
                _take_payload(fields, payload)
    fields["EventID"] = _number(_text(system.get("EventID")))
    fields["Channel"] = _text(system.get("Channel"))
    fields["Computer"] = _text(system.get("Computer"))
    fields["Provider_Name"] = _attribute(system.get("Provider"), "Name")
    fields["SystemTime"] = _first_attribute(system.get("TimeCreated"), _TIMES)
    for name in ("EventRecordID", "Level", "Keywords", "Task", "Opcode", "Version"):
        if name not in fields and (value := _text(system.get(name))) is not None:
            fields[name] = value
    if "UserID" not in fields and (sid := _attribute(system.get("Security"), "UserID")) is not None:
        fields["UserID"] = sid
    return _with_aliases({name: value for name, value in fields.items() if value is not None})


def _take_payload(fields: dict[str, Any], payload: Any) -> None:
    """Named values as they are; unnamed ones as the list `Data`; names without the spaces Windows puts in some."""
    if isinstance(payload, list):
        for part in payload:
            _take_payload(fields, part)
    if not isinstance(payload, dict):
        return
    for name, value in payload.items():
        if name in _ATTRIBUTES:
            continue
        plain = value["#text"] if isinstance(value, dict) and "#text" in value else value
        fields[name.replace(" ", "") if " " in name else name] = plain


def _from_winlogbeat(value: dict[str, Any], winlog: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for payload in (winlog.get("user_data"), winlog.get("event_data")):
        _take_payload(fields, payload)
    fields |= {
        "EventID": _number(winlog.get("event_id")),
        "Channel": winlog.get("channel"),
        "Computer": winlog.get("computer_name"),
        "Provider_Name": winlog.get("provider_name"),
        "EventRecordID": winlog.get("record_id"),
        "SystemTime": value.get("@timestamp"),
        "Message": value.get("message"),
    }
    return _with_aliases({name: field for name, field in fields.items() if field is not None})


def _from_flat(value: dict[str, Any]) -> dict[str, Any]:
    for name in [name for name in value if " " in name]:
        value[name.replace(" ", "")] = value.pop(name)
    value["EventID"] = _number(value["EventID"])
    for name, other in (("Computer", "Hostname"), ("Provider_Name", "SourceName")):
        if name not in value and isinstance(spoken := value.get(other), str):
            value[name] = spoken
    return value


def _with_aliases(fields: dict[str, Any]) -> dict[str, Any]:
    """Process creation has two sources; the audit event 4688 also answers to the names that Sysmon gave."""
    if fields.get("EventID") == 4688 and "NewProcessName" in fields:
        fields.setdefault("Image", fields["NewProcessName"])
        if "ParentProcessName" in fields:
            fields.setdefault("ParentImage", fields["ParentProcessName"])
    return fields


def _text(value: Any) -> Any:
    """`4624` whether it was written plain or as `{"#text": 4624, "#attributes": {...}}`."""
    return value.get("#text") if isinstance(value, dict) else value


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value


def _attribute(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return None
    for holder in _ATTRIBUTES:
        if isinstance(attributes := value.get(holder), dict) and name in attributes:
            return attributes[name]
    return value.get(f"@{name}", value.get(name))


def _first_attribute(value: Any, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := _attribute(value, name)) is not None), None)
