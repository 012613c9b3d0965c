"""MITRE ATT&CK: one STIX 2.1 bundle over the techniques that our own rules name, in the form of the public one.

Ids, names and tactics are facts; every text in it is ours (MITRE's bundle is for the user to fetch). It holds one
revoked technique, one mitigation for each tactic and what to look for, so that a reader finds every kind of object.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Any
from uuid import UUID

import orjson

from aegis.core.techniques import TACTICS, TECHNIQUES, Technique
from aegis.sandbox.exchange import JSON_TYPE, Asked, Reply, reply_text
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service, find, route

MADE = "2026-01-01T00:00:00.000Z"
VERSION = "18.1"
REVOKED = ("T1086", "PowerShell", "T1059.001")
"""A number that ATT&CK gave up, and the one that replaces it."""

_TACTIC_IDS = {
    "reconnaissance": "TA0043",
    "resource-development": "TA0042",
    "initial-access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege-escalation": "TA0004",
    "defense-evasion": "TA0005",
    "credential-access": "TA0006",
    "discovery": "TA0007",
    "lateral-movement": "TA0008",
    "collection": "TA0009",
    "command-and-control": "TA0011",
    "exfiltration": "TA0010",
    "impact": "TA0040",
}
_MITIGATIONS = {
    "credential-access": ("M1032", "Multi-factor Authentication", "Ask for a second factor where people sign in."),
    "persistence": (
        "M1018",
        "User Account Management",
        "Review accounts and rights on a schedule, and remove what nobody needs.",
    ),
    "privilege-escalation": (
        "M1026",
        "Privileged Account Management",
        "Keep few privileged accounts and use them only from known machines.",
    ),
    "defense-evasion": (
        "M1022",
        "Restrict File and Directory Permissions",
        "Let nobody who is watched change what watches them.",
    ),
    "exfiltration": ("M1057", "Data Loss Prevention", "Watch and limit what may leave, by place and by amount."),
    "impact": ("M1053", "Data Backup", "Keep copies apart from what they protect, and try them."),
}


def answer(asked: Asked, room: Room) -> Reply:
    reply = find(ROUTES, asked, room)
    return reply or reply_text(404, "404: Not Found", refused=f"no such path for {asked.method}")


def _bundle(asked: Asked, _room: Room, _found: re.Match[str]) -> Reply:
    body, tag = bundle()
    if asked.header("if-none-match") == tag:
        return Reply(status=304, headers={"etag": tag}, line="not changed")
    line = f"ATT&CK {VERSION}: {len(TECHNIQUES)} techniques"
    return Reply(status=200, body=body, headers={"etag": tag}, content_type=JSON_TYPE, line=line)


@cache
def bundle() -> tuple[bytes, str]:
    """The bundle as JSON, and its tag."""
    objects = [_collection(), *map(_tactic, TACTICS), *map(_technique, TECHNIQUES.values())]
    objects.extend(_revoked())
    for tactic, (number, name, text) in _MITIGATIONS.items():
        objects.append(_mitigation(number, name, text))
        objects.extend(
            _link("mitigates", _id("course-of-action", number), _id("attack-pattern", one.id), text)
            for one in TECHNIQUES.values()
            if tactic in one.tactics
        )
    body = orjson.dumps({"type": "bundle", "id": _id("bundle", VERSION), "objects": objects})
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _id(kind: str, name: str) -> str:
    """A STIX id that is always the same for the same name."""
    digest = hashlib.sha256(f"aegis sandbox {kind} {name}".encode()).digest()
    return f"{kind}--{UUID(bytes=digest[:16], version=4)}"


def _object(kind: str, key: str, name: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": _id(kind, key),
        "created": MADE,
        "modified": MADE,
        "name": name,
        "description": text,
        "x_mitre_version": "1.0",
        **more,
    }


def _source(number: str, page: str) -> list[dict[str, str]]:
    address = f"https://attack.mitre.org/{page}/{number.replace('.', '/')}"
    return [{"source_name": "mitre-attack", "external_id": number, "url": address}]


def _collection() -> dict[str, Any]:
    text = "Techniques that the sandbox knows."
    made = _object("x-mitre-collection", "enterprise", "Enterprise ATT&CK", text)
    return {**made, "x_mitre_version": VERSION, "x_mitre_contents": []}


def _tactic(short: str) -> dict[str, Any]:
    text = f"Steps that serve the aim: {TACTICS[short].lower()}."
    sources = _source(_TACTIC_IDS[short], "tactics")
    return _object("x-mitre-tactic", short, TACTICS[short], text, x_mitre_shortname=short, external_references=sources)


def _technique(technique: Technique) -> dict[str, Any]:
    aims = ", ".join(TACTICS[tactic].lower() for tactic in technique.tactics)
    name = technique.name.rpartition(": ")[2]
    return _object(
        "attack-pattern",
        technique.id,
        name,
        f"{technique.name}, used for: {aims}.",
        external_references=_source(technique.id, "techniques"),
        kill_chain_phases=[{"kill_chain_name": "mitre-attack", "phase_name": tactic} for tactic in technique.tactics],
        x_mitre_is_subtechnique="." in technique.id,
        x_mitre_platforms=["Linux", "Windows", "macOS", "IaaS"],
        x_mitre_domains=["enterprise-attack"],
        x_mitre_detection=f"Compare how often, by whom and from where {name} is usual with what is seen now.",
        x_mitre_deprecated=False,
        revoked=False,
    )


def _revoked() -> list[dict[str, Any]]:
    number, name, successor = REVOKED
    old = _object("attack-pattern", number, name, "", external_references=_source(number, "techniques"), revoked=True)
    return [old, _link("revoked-by", old["id"], _id("attack-pattern", successor), "")]


def _mitigation(number: str, name: str, text: str) -> dict[str, Any]:
    return _object("course-of-action", number, name, text, external_references=_source(number, "mitigations"))


def _link(kind: str, source: str, target: str, text: str) -> dict[str, Any]:
    return {
        "type": "relationship",
        "spec_version": "2.1",
        "id": _id("relationship", f"{kind} {source} {target}"),
        "created": MADE,
        "modified": MADE,
        "relationship_type": kind,
        "source_ref": source,
        "target_ref": target,
        "description": text,
    }


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return reply_text(status, f"{status}: the sandbox was told to fail", headers=wait)


ROUTES = (route("GET", r"/(?:[\w./-]{0,100}/)?enterprise-attack(?:-[\d.]+)?\.json", _bundle),)
SERVICE = Service(name="attack", answer=answer, failure=failure)
