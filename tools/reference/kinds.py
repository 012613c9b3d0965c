"""What may stand at a key of `aegis.yaml`, in words, from the JSON Schema that the sections give of themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from aegis.config.sections import kinds as of

Schema = Mapping[str, Any]

WORDS: Final = {
    r"^(\d+(ms|s|m|h|d|w))+$": "duration",
    r"^(off|(\d+(ms|s|m|h|d|w))+)$": "duration or `off`",
    r"^(\d+[dw])+$": "days",
    r"^\d{1,3}\s?%$": "percentage",
    r"^\d+\s*/\s*\w+(\s+burst\s+\d+)?$": "rate",
    r"^(env|file|keyring|secret):.+$": "reference",
    r"^https?://": "address",
    r"^.+:\d{1,5}$": "host:port",
    r"^\d{1,2}:\d{2}$": "time of day",
    of.AMOUNT_PATTERN: "dollars",
    f"{of.AMOUNT_PATTERN}|{of.SIZE_PATTERN}": "amount",
    f"{of.AMOUNT_PATTERN}|{of.SIZE_PATTERN}|^\\d{{1,3}}\\s?%$": "amount or percentage",
}
"""Kinds by the pattern that each has for editors; the page explains every word."""
FORMATS: Final = {"date": "day", "date-time": "time", "email": "e-mail address"}


def bare(schema: Schema) -> Schema:
    """A schema without `or null`."""
    kept = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return {**schema, **kept[0], "anyOf": ()} if len(kept) == 1 else schema


def kind(schema: Schema, links: Mapping[str, str]) -> str:  # noqa: PLR0911 - a kind of value each
    """What may stand there. `links` has the page's link of every section, by the name of its model."""
    schema = bare(schema)
    if name := model_of(schema):
        return links[name]
    if choices := schema.get("enum"):
        return " or ".join(f"`{one}`" for one in choices)
    if "const" in schema:
        return f"`{schema['const']}`" if schema["const"] else "nothing"
    if schema.get("pattern") in WORDS:
        return WORDS[schema["pattern"]]
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    if kept := schema.get("anyOf"):
        return " or ".join(kind(one, links) for one in kept)
    match schema.get("type"):
        case "array":
            return f"list of {kind(schema['items'], links)}"
        case "object":
            inner: Schema = schema.get("additionalProperties") or next(
                iter(schema.get("patternProperties", {}).values()), {}
            )
            return f"mapping of names to {kind(inner, links)}" if inner else "mapping"
        case "boolean":
            return "`true` or `false`"
        case "integer":
            return _whole(schema)
    return "text"


def _whole(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return f"whole number, {least} to {most:,}" if most is not None else "whole number"


def model_of(schema: Schema) -> str:
    """The name of the model that stands there itself; empty where it is a value."""
    ref = bare(schema).get("$ref", "")
    return str(ref).rpartition("/")[2]


def below(schema: Schema) -> str:
    """The name of the model that stands in a list or mapping there; empty where there is none."""
    schema = bare(schema)
    inner = schema.get("items") or schema.get("additionalProperties")
    inner = inner or next(iter(schema.get("patternProperties", {}).values()), {})
    return model_of(inner) if isinstance(inner, dict) else ""


def default(schema: Schema) -> str:
    """The default as it would be written; empty where there is none."""
    value = schema.get("default")
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return f"[{', '.join(str(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool) or value == "" else str(value)
