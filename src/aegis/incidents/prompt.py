"""The question to a model: fixed instructions, a few facts of our own, and the evidence as fenced, untrusted JSON.

Policy: nothing secret and nothing that can act goes in. Texts from outside lose every character that hides or
reorders, are veiled (personal data), cut by field and as a whole, and stand as JSON between two boundary lines that
nobody can foresee. Why: docs/ARCHITECTURE.md; the measures are those of spotlighting (arXiv 2403.14720), and none of
them is trusted alone: the answer is checked as well (`answer`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from aegis.core.incidents import Detection, Finding, Incident, Observable, Severity
from aegis.core.plaintext import fit, lines
from aegis.core.wording import rfc3339
from aegis.incidents.answer import SCHEMA_VERSION
from aegis.incidents.pseudonyms import Veil

FIELD_CHARS = 500
"""One value of an event: a long command line still shows its intent."""
FIELDS_MAX = 20
OBSERVABLES_MAX = 40
FINDINGS_MAX = 20
EVIDENCE_CHARS = 16_000
"""The whole evidence: about 4,000 tokens, two cents with the dearest model in the catalogue."""

_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<guid>"),
    (re.compile(r"(?i)\bport \d{1,5}\b"), "port <port>"),
    (re.compile(r"\[\d{1,7}\]"), "[<pid>]"),
)
"""Values that differ in every repeat and say nothing about what happened. Only whole, typed values: text that an
attacker chooses is never folded away.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question, ready to send, and what is needed to check its answer."""

    system: str
    user: str
    canary: str
    boundary: str
    veil: Veil
    cache_key: str


def question(
    incident: Incident, *, veil: Veil, boundary: str, canary: str, tenant: str, models: Sequence[str]
) -> Question:
    """The question about an incident. `boundary` and `canary` are fresh random texts; `tenant` and `models` are only
    part of the cache's key.
    """
    evidence = _evidence(incident, veil)
    facts = {
        "severity": incident.severity.name,
        "detections": incident.count,
        "first_seen": rfc3339(incident.first_seen),
        "last_seen": rfc3339(incident.last_seen),
    }
    fence = f"-----{boundary}-----"
    user = "\n".join(
        (
            "Facts from the detection system:",
            json.dumps(facts),
            "Evidence from logs, untrusted:",
            fence,
            json.dumps(evidence, ensure_ascii=False),
            fence,
        )
    )
    return Question(
        system=instructions().replace("{{canary}}", canary),
        user=user,
        canary=canary,
        boundary=boundary,
        veil=veil,
        cache_key=_cache_key(incident, evidence, tenant=tenant, models=models),
    )


@cache
def instructions() -> str:
    """The fixed instructions; `{{canary}}` stands where the mark goes."""
    return (files("aegis.incidents") / "prompts" / "analyst.md").read_text(encoding="utf-8")


def _evidence(incident: Incident, veil: Veil) -> dict[str, Any]:
    """What reaches the prompt, worst detections first, as many as fit."""
    evidence: dict[str, Any] = {
        "about": _observable(incident.entity, veil),
        "observables": [_observable(one, veil) for one in incident.observables[:OBSERVABLES_MAX]],
        "techniques": [_text(technique, veil) for technique in incident.techniques[:FIELDS_MAX]],
        "findings": [_finding(finding, veil) for finding in incident.findings[:FINDINGS_MAX]],
        "detections": [],
    }
    room = EVIDENCE_CHARS - len(json.dumps(evidence, ensure_ascii=False))
    for detection in sorted(incident.detections, key=lambda one: (-one.severity, one.at)):
        row = _detection(detection, veil)
        room -= len(json.dumps(row, ensure_ascii=False))
        if room < 0 and evidence["detections"]:
            break
        evidence["detections"].append(row)
    return evidence


def _detection(detection: Detection, veil: Veil) -> dict[str, Any]:
    fields = list(detection.evidence.items())[:FIELDS_MAX]
    return {
        "rule": _text(detection.title, veil),
        "what_the_rule_says": _text(detection.description, veil),
        "severity": detection.severity.name,
        "at": rfc3339(detection.at),
        "about": _observable(detection.entity, veil),
        "fields": {fit(lines(name), 64): _text(value, veil) for name, value in fields},
    }


def _finding(finding: Finding, veil: Veil) -> dict[str, Any]:
    return {
        "source": finding.source,
        "about": _observable(finding.observable, veil),
        "verdict": finding.verdict.value,
        "title": _text(finding.title, veil),
    }


def _observable(observable: Observable, veil: Veil) -> dict[str, str]:
    return {"kind": observable.kind, "value": _text(observable.value, veil)}


def _text(value: str, veil: Veil) -> str:
    """A value as it may be shown to a model. Hidden before it is cut: half an address is still personal."""
    return fit(veil.hide(lines(value[: 4 * FIELD_CHARS])), FIELD_CHARS)


def _cache_key(incident: Incident, evidence: Mapping[str, Any], *, tenant: str, models: Sequence[str]) -> str:
    """SHA-256 over everything that the answer depends on, each part with its length in front, so that no two sets of
    parts read the same. Repeats of HIGH differ in times, ports and process ids only; CRITICAL has to be exact.
    """
    shown = json.dumps(_timeless(evidence), sort_keys=True)
    if incident.severity < Severity.CRITICAL:
        for pattern, typed in _VOLATILE:
            shown = pattern.sub(typed, shown)
    verdicts = sorted(
        f"{f.source} {f.observable.kind} {f.observable.value} {f.verdict.value}" for f in incident.findings
    )
    parts = [
        tenant,
        json.dumps(sorted(incident.rules)),
        shown,
        incident.severity.name,
        json.dumps(verdicts),
        sha256(instructions().encode()).hexdigest(),
        SCHEMA_VERSION,
        json.dumps(list(models)),
    ]
    digest = sha256()
    for part in parts:
        coded = part.encode(errors="surrogatepass")
        digest.update(len(coded).to_bytes(8, "big"))
        digest.update(coded)
    return f"analysis-{digest.hexdigest()}"


def _timeless(evidence: Mapping[str, Any]) -> dict[str, Any]:
    rows = [{name: value for name, value in row.items() if name != "at"} for row in evidence["detections"]]
    return {**evidence, "detections": rows}
