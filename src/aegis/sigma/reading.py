"""From YAML text to rules, correlations and filters; whatever cannot be used is reported by name.

Source of the attributes and of what is mandatory: Sigma rules specification 2.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aegis.core.errors import BadInput
from aegis.core.incidents import LogSource
from aegis.sigma.correlations import read_correlation
from aegis.sigma.documents import Document, read_documents
from aegis.sigma.rules import Correlation, Filter, Parsed, Problem, Rule

_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)$", re.IGNORECASE)
_TACTIC = re.compile(r"attack\.([a-z][a-z_-]*)$", re.IGNORECASE)


def parse_rules(text: str, *, origin: str) -> Parsed:
    """All Sigma documents in a YAML text. `origin` names the text (a file name) in problems and in the rules."""
    rules: list[Rule] = []
    correlations: list[Correlation] = []
    filters: list[Filter] = []
    problems: list[Problem] = []
    for document in read_documents(text):
        try:
            read = _read(document, origin)
        except BadInput as error:
            problems.append(Problem(origin=origin, line=document.line, rule=_called(document.value), reason=str(error)))
            continue
        if isinstance(read, Rule):
            rules.append(read)
        elif isinstance(read, Correlation):
            correlations.append(read)
        else:
            filters.append(read)
    if not (rules or correlations or filters or problems):
        problems.append(Problem(origin=origin, reason="holds no Sigma document"))
    return Parsed(
        rules=tuple(rules), correlations=tuple(correlations), filters=tuple(filters), problems=tuple(problems)
    )


def _read(document: Document, origin: str) -> Rule | Correlation | Filter:
    if document.fault:
        raise BadInput(document.fault)
    value = document.value
    if not isinstance(value, dict):
        raise BadInput("a rule is a mapping")
    if "action" in value:
        raise BadInput("rule collections (`action: global`) are not part of Sigma 2")
    if "correlation" in value:
        return read_correlation(value, origin=origin, line=document.line, common=_common(value))
    if "filter" in value:
        return _filter(value, origin, document.line)
    detection = value.get("detection")
    if not isinstance(detection, dict):
        raise BadInput("there is no `detection` mapping")
    return Rule(
        **_common(value),
        origin=origin,
        line=document.line,
        logsource=_logsource(value),
        detection=detection,
        conditions=_conditions(detection),
        fields=_texts(value.get("fields")),
    )


def _common(value: Mapping[str, Any]) -> dict[str, Any]:
    title, name = _text(value.get("title")), _text(value.get("name"))
    identity = _text(value.get("id")) or name or title
    if not identity:
        raise BadInput("there is neither `id` nor `title`")
    tags = _texts(value.get("tags"))
    custom = value.get("aegis")
    return {
        "id": identity,
        "title": title or identity,
        "name": name,
        "description": _text(value.get("description")),
        "level": _text(value.get("level")).lower(),
        "status": _text(value.get("status")).lower(),
        "author": _text(value.get("author")),
        "tags": tags,
        "techniques": tuple(found[1].upper() for tag in tags if (found := _TECHNIQUE.match(tag))),
        "tactics": tuple(found[1].lower().replace("_", "-") for tag in tags if (found := _TACTIC.match(tag))),
        "falsepositives": _texts(value.get("falsepositives")),
        "references": _texts(value.get("references")),
        "aegis": custom if isinstance(custom, dict) else {},
    }


def _filter(value: Mapping[str, Any], origin: str, line: int) -> Filter:
    body = value["filter"]
    if not isinstance(body, dict):
        raise BadInput("`filter` is a mapping of rules, selections and a condition")
    named = body.get("rules")
    rules = () if named is None or (isinstance(named, str) and named.lower() == "any") else _texts(named)
    common = _common(value)
    return Filter(
        id=common["id"],
        title=common["title"],
        origin=origin,
        line=line,
        logsource=_logsource(value),
        rules=rules,
        detection={name: part for name, part in body.items() if name != "rules"},
        conditions=_conditions(body),
    )


def _logsource(value: Mapping[str, Any]) -> LogSource:
    source = value.get("logsource")
    if not isinstance(source, dict):
        raise BadInput("there is no `logsource` mapping")
    return LogSource(
        product=_text(source.get("product")).lower(),
        category=_text(source.get("category")).lower(),
        service=_text(source.get("service")).lower(),
    )


def _conditions(detection: Mapping[str, Any]) -> tuple[str, ...]:
    written = detection.get("condition")
    conditions = written if isinstance(written, list) else [written]
    if not conditions or not all(isinstance(condition, str) and condition.strip() for condition in conditions):
        raise BadInput("there is no `condition`")
    return tuple(conditions)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(_text(one) for one in values if one is not None and not isinstance(one, dict | list))


def _called(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    return (_text(value.get("id")) or _text(value.get("title")))[:120]
