"""Checks a payload against the vendors' published schemas in the evidence folder, and against our own golden payloads."""

import functools
import gzip
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, validators

GOLDEN = Path(__file__).parent / "golden"


def _document(shared: Path, name: str) -> dict[str, Any]:
    plain = shared / "contracts" / f"{name}.json"
    raw = plain.read_bytes() if plain.exists() else gzip.decompress(plain.with_suffix(".json.gz").read_bytes())
    document: dict[str, Any] = json.loads(raw)
    return document


class Contract:
    """One schema of the evidence folder; `breaches` lists what is wrong with a payload."""

    def __init__(self, schema: dict[str, Any], formats: FormatChecker | None = None) -> None:
        self._validator = validators.validator_for(schema, default=Draft202012Validator)(schema, format_checker=formats)

    @classmethod
    @functools.cache
    def of(cls, shared: Path, service: str, name: str, kind: str = "requests") -> "Contract":
        document = _document(shared, service)
        entry = document[kind][name]
        return cls(
            {"$defs": document.get("$defs", {}), **(entry if kind == "responses" else entry["schema"])}, FormatChecker()
        )

    @classmethod
    @functools.cache
    def whole(cls, shared: Path, name: str) -> "Contract":
        document = _document(shared, name)
        return cls({key: value for key, value in document.items() if key != "x-source"})

    def breaches(self, payload: object) -> list[str]:
        as_sent = json.loads(json.dumps(payload))
        return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in self._validator.iter_errors(as_sent)]


def golden(service: str) -> dict[str, Any]:
    """Our own record of what we send, read by a person: `python -m tests.connectors.write_golden` renews it."""
    document: dict[str, Any] = json.loads((GOLDEN / f"{service}.json").read_text(encoding="utf-8"))
    return document
