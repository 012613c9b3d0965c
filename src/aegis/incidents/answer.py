"""Reading a model's answer: hostile text until every part of it has been checked.

Policy: the exact schema or nothing; severity may rise, never fall; indicators only if the input held them; techniques
only if they exist; no link and no markup survives; a canary or boundary in the answer means that the events took over
the model, and the answer is thrown away.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from aegis.core.errors import AegisError
from aegis.core.incidents import Incident, Observable, Severity
from aegis.core.plaintext import fit, one_line

SCHEMA_VERSION = "1"
ANSWER_CHARS_MAX = 32_000
"""Twenty times a good answer; what is longer is not read."""
SUMMARY_CHARS, IMPACT_CHARS, ACTION_CHARS = 1_200, 600, 300
ACTIONS_MAX, TECHNIQUES_MAX, IOCS_MAX = 8, 20, 20

IOC_KINDS = ("ip", "domain", "url", "file_hash", "user", "host", "account", "process", "key", "email")
CONFIDENCES = ("low", "medium", "high")
SEVERITIES = tuple(severity.name for severity in Severity)

SCHEMA: Mapping[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["summary", "impact", "actions", "confidence", "severity", "techniques", "iocs"],
    "properties": {
        "summary": {"type": "string"},
        "impact": {"type": "string"},
        "actions": {"type": "array", "items": {"type": "string"}},
        "confidence": {"type": "string", "enum": list(CONFIDENCES)},
        "severity": {"type": "string", "enum": list(SEVERITIES)},
        "techniques": {"type": "array", "items": {"type": "string"}},
        "iocs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["kind", "value"],
                "properties": {"kind": {"type": "string", "enum": list(IOC_KINDS)}, "value": {"type": "string"}},
            },
        },
    },
}
"""What the model is asked for. Lengths are capped here when reading: providers do not take them in a schema."""


class BadAnswer(AegisError):
    """An answer that is not used. `injection` says that the events seem to have steered the model."""

    def __init__(self, message: str, *, injection: bool = False) -> None:
        super().__init__(message)
        self.injection = injection


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A checked answer."""

    summary: str
    impact: str
    actions: tuple[str, ...]
    confidence: Literal["low", "medium", "high"]
    severity: Severity
    techniques: tuple[str, ...]
    iocs: tuple[Observable, ...]
    flags: tuple[str, ...]


def read_answer(
    text: str,
    incident: Incident,
    *,
    marks: tuple[str, ...],
    restore: Callable[[str], str],
    technique_exists: Callable[[str], bool],
) -> Answer:
    """The answer about `incident`, checked. `marks` are the canary and the boundary, `restore` puts personal data
    back. Raises `BadAnswer` with the reason.
    """
    _check_marks(text, marks)
    row = strict_object(text)
    _check_marks(json.dumps(row, ensure_ascii=False), marks)  # once more without JSON's own escapes
    own = set(row)
    wanted = set(cast("list[str]", SCHEMA["required"]))
    if own != wanted:
        raise BadAnswer(f"it has not the agreed fields ({', '.join(sorted(map(_word, own ^ wanted))[:5])})")
    flags: list[str] = []
    named = _strings(row, "techniques", TECHNIQUES_MAX)
    techniques = [one for one in named if _TECHNIQUE.fullmatch(one) and technique_exists(one)]
    if len(techniques) < len(named):
        flags.append("unknown_techniques")
    pointed = _iocs(row, restore)
    held = {incident.entity, *incident.observables}
    iocs = [one for one in pointed if one in held]
    if len(iocs) < len(pointed):
        flags.append("foreign_iocs")
    severity = Severity[_choice(row, "severity", SEVERITIES)]
    if severity < incident.severity:
        flags.append("model_disagrees")
    summary = plain(restore(_string(row, "summary")), SUMMARY_CHARS)
    actions = [plain(restore(one), ACTION_CHARS) for one in _strings(row, "actions", ACTIONS_MAX)]
    if not summary or not any(actions):
        raise BadAnswer("it says nothing")
    return Answer(
        summary=summary,
        impact=plain(restore(_string(row, "impact")), IMPACT_CHARS),
        actions=tuple(action for action in actions if action),
        confidence=cast("Literal['low', 'medium', 'high']", _choice(row, "confidence", CONFIDENCES)),
        severity=max(severity, incident.severity),
        techniques=tuple(dict.fromkeys(techniques)),
        iocs=tuple(dict.fromkeys(iocs))[:IOCS_MAX],
        flags=tuple(flags),
    )


def _check_marks(text: str, marks: tuple[str, ...]) -> None:
    """No mark may come back, however it is spaced, cased or broken up."""
    squeezed = _letters(text)
    if any(_letters(mark) in squeezed for mark in marks):
        raise BadAnswer("it repeats a mark that only a manipulated answer repeats", injection=True)


def _letters(text: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFKC", text).lower() if character.isalnum())


# --- the strict reader -----------------------------------------------------------------------------------------


def strict_object(text: str) -> dict[str, Any]:
    """The JSON object that a text is: no text around it, no repeated keys, no NaN, no numbers (the schema has none).
    Raises `BadAnswer`.
    """
    if len(text) > ANSWER_CHARS_MAX:
        raise BadAnswer("it is far too long")
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_number, parse_int=_no_number, parse_float=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise BadAnswer("it is not the agreed JSON") from error
    if not isinstance(value, dict):
        raise BadAnswer("it is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key is there twice")
    return row


def _no_number(text: str) -> None:
    raise ValueError(f"{text[:20]} is not in the schema")


def _string(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise BadAnswer(f"{name} is no text")
    return value


def _strings(row: Mapping[str, Any], name: str, most: int) -> list[str]:
    value = row[name]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadAnswer(f"{name} is no list of texts")
    return value[:most]


def _choice(row: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = _string(row, name)
    if value not in choices:
        raise BadAnswer(f"{name} is none of {', '.join(choices)}")
    return value


def _iocs(row: Mapping[str, Any], restore: Callable[[str], str]) -> list[Observable]:
    value = row["iocs"]
    if not isinstance(value, list):
        raise BadAnswer("iocs is no list")
    found: list[Observable] = []
    for one in value[: 5 * IOCS_MAX]:
        if not isinstance(one, dict) or set(one) != {"kind", "value"}:
            raise BadAnswer("an indicator has not the agreed fields")
        kind = _choice(one, "kind", IOC_KINDS)
        found.append(Observable(kind, restore(_string(one, "value"))))  # type: ignore[arg-type]  # checked above
    return found


def _word(text: str) -> str:
    return re.sub(r"\W", "", text)[:20]


# --- plain text ------------------------------------------------------------------------------------------------

_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?")
_LINK_TEXT = re.compile(r"!?\[([^\[\]]{0,300})\]\s?\([^()]{0,600}\)")
_SCHEME = re.compile(
    r"(?i)\b[a-z][a-z0-9+.-]{1,20}:\s?/{1,3}\S*|\b(?:javascript|data|vbscript|mailto|tel|file|sms):\S+"
)
_DOTTED = re.compile(r"(?<=[^\W_])\.(?=[^\W\d_]{2})")
_MENTION = re.compile(r"@(?=\w)|(?<!\w)@")
_EMPHASIS = re.compile(r"(\*{1,3}|_{2,3}|~{1,2}|\|\|)(?=\S)(.{1,300}?)(?<=\S)\1")
_MARKUP = re.compile(r"[<>`\[\]{}|\\]")
_LEADING = re.compile(r"^[\s#>*+=~-]+")


def plain(text: str, limit: int) -> str:
    """A model's text as plain words on one line: no link, no markup, no mention. Addresses stay readable but can no
    longer be followed (`evil[.]example`).
    """
    for _ in range(3):  # entities inside entities; each pass can only uncover what the next one removes
        text = html.unescape(unicodedata.normalize("NFKC", text))
    text = one_line(text[: 8 * limit])
    text = _LINK_TEXT.sub(r"\1", text)
    text = _SCHEME.sub("(link removed)", text)
    text = _MARKUP.sub("", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = _LEADING.sub("", text)
    text = _MENTION.sub("(at)", text)
    return fit(_DOTTED.sub("[.]", one_line(text)), limit)
