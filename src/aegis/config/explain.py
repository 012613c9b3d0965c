"""Turns pydantic's errors into problems a person can act on: position, path, what it must be, the nearest key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from aegis.config.layers import Layers
from aegis.config.problems import Path, Problem, got, nearest, unknown
from aegis.config.sections.kinds import LITERAL_SECRET
from aegis.config.sections.root import RootSection
from aegis.core.keyshapes import names_a_secret

_WHAT_IT_MUST_BE = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list, such as [a, b]",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of keys to values",
    "date_from_datetime_parsing": "must be a day such as 2026-11-21",
    "date_parsing": "must be a day such as 2026-11-21",
    "string_pattern_mismatch": "is not written as it has to be",
    "too_short": "must name at least one",
}
_HARMLESS = re.compile(r"[\d.,$%]+\s?[A-Za-z]{0,3}|true|false")
"""Values that are certainly no secret and may be shown beside a key that nobody knows."""


def problems(error: ValidationError, layers: Layers) -> list[Problem]:
    """One problem for each error, at the place where the value was written."""
    return [_problem(details, layers) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, layers: Layers) -> Problem:
    path: Path = tuple(part for part in details["loc"] if part != "[key]")
    place = layers.place(path)
    if details["type"] == LITERAL_SECRET and place.excerpt:
        place.excerpt.hide(path)
    if details["type"] == "extra_forbidden" and place.excerpt and not _is_harmless(details["input"]):
        place.excerpt.hide(path)
    return Problem(place=place, path=path, message=_message(details, path))


def _is_harmless(value: object) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and bool(_HARMLESS.fullmatch(value)))


def _message(details: ErrorDetails, path: Path) -> str:
    kind, context = details["type"], details.get("ctx", {})
    match kind:
        case "missing":
            return "is needed"
        case "extra_forbidden":
            return unknown(str(path[-1]), _keys_at(path[:-1]))
        case "value_error":
            said = str(context["error"])
            return (
                said
                if said.startswith(("has ", "must have ", "must leave", "must not stand"))
                else _with_value(said, details, path)
            )
        case "literal_error":
            return _with_value(_one_of(details["input"], str(context["expected"])), details, path)
        case "greater_than_equal":
            return _with_value(f"must be at least {context['ge']}", details, path)
        case "less_than_equal":
            return _with_value(f"must be at most {context['le']}", details, path)
        case _ if kind in _WHAT_IT_MUST_BE:
            return _with_value(_WHAT_IT_MUST_BE[kind], details, path)
    return details["msg"]


def _with_value(message: str, details: ErrorDetails, path: Path) -> str:
    """The message with the value that was found, unless that may be a secret."""
    last = next((part for part in reversed(path) if isinstance(part, str)), "")
    return message if names_a_secret(last) else f"{message} ({got(details['input'])})"


def _one_of(value: object, expected: str) -> str:
    words = re.findall(r"'([^']*)'", expected)
    near = nearest(value, words) if isinstance(value, str) else ""
    return f"must be {', '.join(words[:-1])} or {words[-1]}" + (f"; {value} -> {near}?" if near else "")


def _keys_at(path: Path) -> tuple[str, ...]:
    """The keys that the mapping at `path` may have."""
    kind: Any = RootSection
    for part in path:
        kind = _below(kind, part)
    return tuple(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else ()


def _below(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return _bare(field.annotation) if field else None
    arguments = get_args(kind)
    if get_origin(kind) in (dict, Mapping):
        return _bare(arguments[1])
    return _bare(arguments[0]) if get_origin(kind) is list else None


def _bare(annotation: Any) -> Any:
    """An annotation without `| None`."""
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    return arguments[0] if len(arguments) == 1 and get_origin(annotation) not in (dict, list) else annotation
