"""Reads a catalogue out of ATT&CK's STIX 2.1 bundle. Pure; what is broken or unknown in a bundle is left out.

Two generations are read: up to 17 guidance stands in the technique and in data components that detect it, from 18 on in
detection strategies and their analytics (mitre-attack.github.io/attack-data-model, detections).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from aegis.connectors.attack.catalogue import ENTRIES_MAX, Catalogue, Entry
from aegis.core.errors import BadInput
from aegis.core.plaintext import fit, one_line

Thing: TypeAlias = Mapping[str, Any]

OBJECTS_MAX = 200_000
"""Enterprise 18 holds some 25,000 objects."""

DESCRIPTION_MAX, DETECTION_MAX, NOTE_MAX, NAME_MAX, LIST_MAX = 600, 1_200, 400, 200, 8
"""A finding is read by a person under pressure: the start of a text, the first few of a list."""

TECHNIQUE_ID = re.compile(r"T\d{4}(?:\.\d{3})?")

_CITATION = re.compile(r"\(Citation:[^)]{0,300}\)")
_LINK = re.compile(r"\[([^\]\n]{1,300})\]\([^)\s]{1,2000}\)")
_TAG = re.compile(r"</?[a-z][a-z0-9]{0,10}>")


def parse_stix(bundle: Thing) -> Catalogue:
    """The catalogue in a bundle. Raises `BadInput` when it is no bundle or holds no technique."""
    listed = bundle.get("objects") if bundle.get("type") == "bundle" else None
    if not isinstance(listed, list) or len(listed) > OBJECTS_MAX:
        raise BadInput(f"no STIX bundle with at most {OBJECTS_MAX} objects", code="not_stix")
    things = {item["id"]: item for item in listed if isinstance(item, dict) and isinstance(item.get("id"), str)}
    links = _Links(things)
    tactics = {
        _text(thing, "x_mitre_shortname"): _text(thing, "name")
        for thing in things.values()
        if thing.get("type") == "x-mitre-tactic"
    }
    entries: dict[str, Entry] = {}
    for stix_id, thing in things.items():
        technique_id = _technique_id(thing)
        if technique_id and len(entries) < ENTRIES_MAX:
            entry = _entry(stix_id, technique_id, thing, links, tactics)
            current = entries.get(technique_id)
            if (
                current is None or current.deprecated or current.revoked_by
            ):  # a sub-technique may have taken the id over
                entries[technique_id] = entry
    if not entries:
        raise BadInput("the STIX bundle holds no ATT&CK technique", code="not_stix")
    return Catalogue(_version(things), entries)


class _Links:
    """The relationships of a bundle that say something about techniques, by the technique's STIX id."""

    def __init__(self, things: Mapping[str, Thing]) -> None:
        self.things = things
        self.mitigates: dict[str, list[tuple[Thing, Thing]]] = defaultdict(list)
        self.detects: dict[str, list[tuple[Thing, Thing]]] = defaultdict(list)
        self.revoked_by: dict[str, str] = {}
        self.parents: dict[str, str] = {}
        for relation in things.values():
            if relation.get("type") != "relationship" or _gone(relation):
                continue
            kind = relation.get("relationship_type")
            source, target = relation.get("source_ref"), relation.get("target_ref")
            if not (isinstance(source, str) and isinstance(target, str) and source in things and target in things):
                continue
            if kind == "revoked-by":
                self.revoked_by[source] = target
            elif kind == "subtechnique-of":
                self.parents[source] = target
            elif kind in ("mitigates", "detects") and not _gone(things[source]):
                getattr(self, kind)[target].append((things[source], relation))


def _entry(stix_id: str, technique_id: str, thing: Thing, links: _Links, tactics: Mapping[str, str]) -> Entry:
    phases = [phase for phase in _dicts(thing, "kill_chain_phases") if phase.get("kill_chain_name") == "mitre-attack"]
    names = [_text(phase, "phase_name") for phase in phases]
    analytics = list(_analytics(stix_id, links))
    detection = _text(thing, "x_mitre_detection", DETECTION_MAX)
    if not detection:
        detection = fit(
            " ".join(_text(analytic, "description", DETECTION_MAX) for analytic in analytics), DETECTION_MAX
        )
    successor = links.things.get(links.revoked_by.get(stix_id, ""), {})
    return Entry(
        id=technique_id,
        name=_full_name(stix_id, thing, links),
        tactics=_few(tactics.get(name) or name.replace("-", " ").title() for name in names),
        platforms=_few(_strings(thing, "x_mitre_platforms")),
        description=_text(thing, "description", DESCRIPTION_MAX),
        detection=detection,
        mitigations=_few(_mitigation(source, relation) for source, relation in links.mitigates[stix_id]),
        hunting=_few(_hunting(stix_id, links, analytics)),
        data_sources=_few(_data_sources(stix_id, thing, links, analytics)),
        revoked_by=_technique_id(successor),
        deprecated=_gone(thing),
    )


def _full_name(stix_id: str, thing: Thing, links: _Links) -> str:
    """`Brute Force: Password Guessing`: a sub-technique's own name says too little alone."""
    name, parent = _text(thing, "name"), _text(links.things.get(links.parents.get(stix_id, ""), {}), "name")
    return f"{parent}: {name}" if parent else name or "unnamed"


def _mitigation(source: Thing, relation: Thing) -> str:
    name, note = _text(source, "name"), _text(relation, "description", NOTE_MAX)
    return f"{name}: {note}" if note else name


def _analytics(stix_id: str, links: _Links) -> Iterator[Thing]:
    """The analytics of the strategies that detect a technique (from ATT&CK 18 on)."""
    for strategy, _relation in links.detects[stix_id]:
        for ref in _strings(strategy, "x_mitre_analytic_refs"):
            analytic = links.things.get(ref)
            if analytic and not _gone(analytic):
                yield analytic


def _hunting(stix_id: str, links: _Links, analytics: list[Thing]) -> Iterator[str]:
    """What to look for and where: per analytic the log and channel, up to 17 what a data component shows."""
    for analytic in analytics:
        where = "; ".join(
            f"{_text(source, 'name')}: {_text(source, 'channel')}"
            for source in _dicts(analytic, "x_mitre_log_source_references")
        )
        yield " in ".join(part for part in (_text(analytic, "description", NOTE_MAX), fit(where, NOTE_MAX)) if part)
    for component, relation in links.detects[stix_id]:
        if component.get("type") == "x-mitre-data-component":
            yield f"{_text(component, 'name')}: {_text(relation, 'description', NOTE_MAX)}"


def _data_sources(stix_id: str, thing: Thing, links: _Links, analytics: list[Thing]) -> Iterator[str]:
    yield from _strings(thing, "x_mitre_data_sources")
    for component, _relation in links.detects[stix_id]:
        if component.get("type") == "x-mitre-data-component":
            yield _text(component, "name")
    for analytic in analytics:
        for source in _dicts(analytic, "x_mitre_log_source_references"):
            yield _text(links.things.get(str(source.get("x_mitre_data_component_ref")), {}), "name")


def _version(things: Mapping[str, Thing]) -> str:
    collections = (thing for thing in things.values() if thing.get("type") == "x-mitre-collection")
    return next((_text(thing, "x_mitre_version") for thing in collections), "")


def _technique_id(thing: Thing) -> str:
    if thing.get("type") != "attack-pattern":
        return ""
    references = (item for item in _dicts(thing, "external_references") if item.get("source_name") == "mitre-attack")
    found = next((str(item.get("external_id", "")) for item in references), "")
    return found if TECHNIQUE_ID.fullmatch(found) else ""


def _gone(thing: Thing) -> bool:
    return thing.get("revoked") is True or thing.get("x_mitre_deprecated") is True


def _text(thing: Thing, name: str, limit: int = NAME_MAX) -> str:
    """A field as one plain line without citations, link markup and tags."""
    value = thing.get(name)
    if not isinstance(value, str):
        return ""
    value = _TAG.sub("", _LINK.sub(r"\1", _CITATION.sub("", value[: 20 * limit])))
    return fit(one_line(value), limit)


def _strings(thing: Thing, name: str) -> list[str]:
    value = thing.get(name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _dicts(thing: Thing, name: str) -> list[Thing]:
    value = thing.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _few(texts: Iterator[str] | list[str]) -> tuple[str, ...]:
    """The first few different texts."""
    return tuple(dict.fromkeys(fit(one_line(text), DETECTION_MAX) for text in texts if text.strip()))[:LIST_MAX]
