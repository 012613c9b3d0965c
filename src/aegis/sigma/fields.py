"""Reading a field of an event: by its exact name, by a dotted path, or by the other name a log source gives it.

Windows events come in three spellings (EVTX as JSON, Winlogbeat, flat); the first two are flattened here, once. What
the system wrote (Channel, EventID, Computer, Provider_Name) wins over payload fields of the same name, because
detection is routed by it. Two spellings of a name in one event are never merged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aegis.sigma.values import MISSING, NESTING_MAX

Fields: TypeAlias = Mapping[str, Any]
Reader: TypeAlias = Callable[[Fields], Any]

_ATTRIBUTES = ("#attributes", "@attributes")
_SYSTEM_TEXTS = ("EventRecordID", "Level", "Keywords", "Task", "Opcode", "Version")
PATH_PARTS_MAX = 32


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How the fields of a kind of event are read. `aliases` gives the event's own name for what rules call otherwise;
    `empty_is_null`: the source is XML, where an empty element and no value are the same; `spaced`: names may hold
    spaces, which Sigma leaves out.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    empty_is_null: bool = False
    spaced: bool = False


def flat_view(fields: Fields) -> Fields:
    """The event as rules name its fields: a Windows envelope opened, anything else as it is."""
    event = fields.get("Event")
    if isinstance(event, dict) and isinstance(system := event.get("System"), dict):
        return _from_evtx(event, system)
    winlog = fields.get("winlog")
    if isinstance(winlog, dict) and "channel" in winlog:
        return _from_winlogbeat(fields, winlog)
    return fields


def _from_evtx(event: Mapping[str, Any], system: Mapping[str, Any]) -> dict[str, Any]:
    view: dict[str, Any] = {}
    for name in _SYSTEM_TEXTS:
        if name in system:
            view[name] = _plain(system[name])
    if (sid := _attribute(system.get("Security"), "UserID")) is not None:
        view["UserID"] = sid
    user_data = event.get("UserData")
    if isinstance(user_data, dict):
        for name, payload in user_data.items():
            if name not in _ATTRIBUTES:
                _take(view, payload)
    _take(view, event.get("EventData"))
    view["Channel"] = _plain(system.get("Channel"))
    view["EventID"] = _plain(system.get("EventID"))
    view["Computer"] = _plain(system.get("Computer"))
    view["Provider_Name"] = _attribute(system.get("Provider"), "Name")
    created = system.get("TimeCreated")
    view["SystemTime"] = _attribute(created, "SystemTime") or _attribute(created, "@SystemTime")
    return view


def _take(view: dict[str, Any], payload: Any) -> None:
    """Named values as they are, names without the spaces that Windows puts in some."""
    if isinstance(payload, list):
        for part in payload:
            if isinstance(part, dict):
                _take(view, part)
    elif isinstance(payload, dict):
        for name, value in payload.items():
            if name not in _ATTRIBUTES:
                view[name.replace(" ", "") if " " in name else name] = _plain(value)


def _plain(value: Any) -> Any:
    """`4624` whether it was written plain or as `{"#text": 4624, "#attributes": {...}}`."""
    return value["#text"] if isinstance(value, dict) and "#text" in value else value


def _attribute(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return None
    for holder in _ATTRIBUTES:
        if isinstance(attributes := value.get(holder), dict) and name in attributes:
            return attributes[name]
    return value.get(name)


def _from_winlogbeat(fields: Fields, winlog: Mapping[str, Any]) -> dict[str, Any]:
    view: dict[str, Any] = {}
    _take(view, winlog.get("user_data"))
    _take(view, winlog.get("event_data"))
    view["Channel"] = winlog.get("channel")
    view["EventID"] = winlog.get("event_id")
    view["Computer"] = winlog.get("computer_name")
    view["Provider_Name"] = winlog.get("provider_name")
    view["SystemTime"] = fields.get("@timestamp")
    if "message" in fields:
        view["Message"] = fields["message"]
    return view


def without_spaces(fields: Fields) -> Fields:
    """The event with spaces taken out of field names (`New Value`), which Sigma writes without."""
    if not any(isinstance(name, str) and " " in name for name in fields):
        return fields
    return {str(name).replace(" ", ""): value for name, value in fields.items()} | dict(fields)


def reader(name: str, reading: Reading) -> Reader | None:
    """How to read a field that is more than a name: a dotted path or a name with an alias; None if plain."""
    other = reading.aliases.get(name)
    if other is not None:
        return lambda fields: fields[name] if name in fields else fields.get(other, MISSING)
    if "." not in name or name.count(".") >= PATH_PARTS_MAX:
        return None
    path = tuple(name.split("."))

    def by_path(fields: Fields) -> Any:
        return fields[name] if name in fields else _descend(fields, path)

    return by_path


def value_of(fields: Fields, name: str, reading: Reading) -> Any:
    """The value of a field as a rule names it, or MISSING."""
    if name in fields:
        return fields[name]
    found = reader(name, reading)
    return found(fields) if found else fields.get(name, MISSING)


def _descend(value: Any, path: tuple[str, ...], depth: int = 0) -> Any:
    """What stands at a path; where it leads through a list, the list of what stands behind each element."""
    for index, step in enumerate(path):
        if isinstance(value, Mapping):
            if step not in value:
                return MISSING
            value = value[step]
        elif isinstance(value, list) and depth < NESTING_MAX:
            behind = [_descend(one, path[index:], depth + 1) for one in value]
            found = [one for one in behind if one is not MISSING]
            return found or MISSING
        else:
            return MISSING
    return value
