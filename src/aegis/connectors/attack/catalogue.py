"""The catalogue of techniques: what is kept of ATT&CK, as one JSON file. Pure.

The file is made on the user's machine from the public bundle and is not shipped; its content is ATT&CK's, under
ATT&CK's terms of use (attack.mitre.org/resources/legal-and-branding/terms-of-use).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_type_hints

import orjson

from aegis.core.errors import BadInput
from aegis.core.exchange import to_json

SCHEMA = "aegis.attack/1"
ENTRIES_MAX = 5_000
"""Six times what Enterprise 18.1 holds; more is no ATT&CK catalogue."""

REVOKED_HOPS_MAX = 5
"""A technique that replaced another may have been replaced itself; longer chains or circles end here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One technique. `revoked_by` is the id that replaces it; every text is one plain line."""

    id: str
    name: str
    tactics: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    description: str = ""
    detection: str = ""
    mitigations: tuple[str, ...] = ()
    hunting: tuple[str, ...] = ()
    data_sources: tuple[str, ...] = ()
    revoked_by: str = ""
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Techniques by id, of one release of ATT&CK (`version` is empty when the bundle did not say)."""

    version: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def find(self, technique_id: str) -> Entry | None:
        """The technique that is valid today: an id that was revoked leads to the one that replaced it."""
        entry = self.entries.get(technique_id)
        for _hop in range(REVOKED_HOPS_MAX):
            successor = self.entries.get(entry.revoked_by) if entry else None
            if successor is None:
                return entry
            entry = successor
        return entry

    def to_json(self) -> bytes:
        """The catalogue as one JSON document."""
        kept = [asdict(entry) for _id, entry in sorted(self.entries.items())]
        return to_json({"schema": SCHEMA, "version": self.version, "techniques": kept})

    @classmethod
    def from_json(cls, text: bytes) -> Catalogue:
        """The catalogue of a document that `to_json` wrote. Raises `BadInput` for anything else."""
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise BadInput("the ATT&CK catalogue is no JSON", code="not_json") from error
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise BadInput(f"the ATT&CK catalogue does not say schema {SCHEMA}", code="not_attack")
        listed = document.get("techniques")
        if not isinstance(listed, list) or len(listed) > ENTRIES_MAX:
            raise BadInput(f"the ATT&CK catalogue does not list at most {ENTRIES_MAX} techniques", code="not_attack")
        entries = [_entry(item) for item in listed]
        return cls(str(document.get("version", "")), {entry.id: entry for entry in entries})


def _entry(item: Any) -> Entry:
    """One technique of the file, every field of the type it must have."""
    kinds = get_type_hints(Entry)
    if not isinstance(item, dict) or not kinds.keys() >= item.keys() or not (item.get("id") and item.get("name")):
        raise BadInput("the ATT&CK catalogue holds a technique with other fields", code="not_attack")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in item.items()}
    for name, value in values.items():
        if not _is_of(value, kinds[name]):
            raise BadInput(f"the ATT&CK catalogue holds a {name} of another type", code="not_attack")
    return Entry(**values)


def _is_of(value: object, kind: object) -> bool:
    if isinstance(value, tuple):
        return kind == tuple[str, ...] and all(isinstance(text, str) for text in value)
    return type(value) is kind
