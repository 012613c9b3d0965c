"""A model's answer made by rule: JSON that follows the asked schema, filled from the request's own words.

It never invents an address, hash or technique: those it names stand in the text, so that a reader of the demo sees
a plausible analysis, and the checks on a model's answer have something true to check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEPTH_MAX = 12
"""Nesting of a schema; the deepest of ours is 4."""

LIST_MAX = 5
"""Entries that an answer gives where the schema names no number."""

_TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
_SEVERITY = re.compile(r"(?i)severity\W{1,8}(LOW|MEDIUM|HIGH|CRITICAL)\b")
_TITLE = re.compile(r"(?im)^\W*(?:title|incident)\W{1,6}(\S[^\n\"]{3,200})")
_QUOTED_TITLE = re.compile(r'"title"\s*:\s*"([^"\n]{3,200})"')
_KINDS: Sequence[tuple[str, re.Pattern[str]]] = (
    ("url", re.compile(r"\bhttps?://[^\s\"'<>\\)\]]{4,200}")),
    ("ip", re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])")),
    ("file_hash", re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\b")),
)
_ACTIONS: Sequence[tuple[str, str]] = (
    ("T1110", "Block the source address and reset every account that it logged in to."),
    ("T1078", "Disable the account, end its sessions and ask its owner what they did."),
    ("T1098", "Undo the change of rights and review who may make such a change."),
    ("T1136", "Disable the new account and look for what it was used for."),
    ("T1562", "Turn logging back on and treat the time without it as unobserved."),
    ("T1530", "Close the bucket to the public and list the objects that were read."),
    ("T1537", "Withdraw the sharing of the snapshot and rotate what it held."),
    ("T1552", "Rotate the exposed keys and search for their use."),
    ("T1190", "Take the exposed path off the network until it is patched."),
    ("T1496", "Revoke the key that runs up the spend and lower its budget."),
    ("T1059", "Isolate the host and keep its memory before anything is restarted."),
    ("", "Keep the logs of this time as evidence."),
    ("", "Check whether the same entity appears in other incidents."),
)
"""What to do about a technique family; an empty family holds for every incident."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the text of a request says."""

    title: str
    severity: str
    techniques: Sequence[str]
    indicators: Sequence[tuple[str, str]]

    @classmethod
    def read(cls, text: str) -> Facts:
        """Facts by pattern; the first title and the highest severity named count."""
        title = _TITLE.search(text) or _QUOTED_TITLE.search(text)
        first = next((line.strip() for line in text.splitlines() if len(line.strip()) > 8), "An incident")
        order = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
        named = [word.upper() for word in _SEVERITY.findall(text)]
        return cls(
            title=" ".join((title[1] if title else first).split()).strip(" ,\"'{}")[:160] or "An incident",
            severity=max(named, key=order.index, default="HIGH"),
            techniques=tuple(dict.fromkeys(_TECHNIQUE.findall(text))),
            indicators=tuple(dict.fromkeys((kind, found) for kind, one in _KINDS for found in one.findall(text))),
        )

    def summary(self) -> str:
        about = f" It involves {self.indicators[0][1]}." if self.indicators else ""
        known = f" The behaviour fits {', '.join(self.techniques[:3])}." if self.techniques else ""
        return f"{self.title.rstrip('.')}.{about}{known}"

    def actions(self) -> list[str]:
        """What to do, for the techniques that are named, then in general."""
        families = {technique[:5] for technique in self.techniques}
        return [text for family, text in _ACTIONS if not family or family in families]


def write_text(text: str) -> str:
    """An answer in plain words."""
    facts = Facts.read(text)
    steps = "\n".join(f"- {step}" for step in facts.actions()[:LIST_MAX])
    return f"{facts.summary()}\n\nSeverity: {facts.severity}\n\nWhat to do:\n{steps}"


def fill(schema: Mapping[str, Any], text: str) -> Any:
    """A JSON value that follows `schema` (the parts of JSON Schema that model vendors take), from the words of `text`."""
    return _Filler(schema, Facts.read(text)).value(schema, "", 0)


class _Filler:
    """Fills one schema."""

    def __init__(self, root: Mapping[str, Any], facts: Facts) -> None:
        self.root, self.facts = root, facts

    def value(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        schema = self._resolved(schema)
        if depth > DEPTH_MAX:
            return None
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choice(list(schema["enum"]), name)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        match kind:
            case "object":
                fields = schema.get("properties") or {}
                return {field: self.value(inner, field, depth + 1) for field, inner in fields.items()}
            case "array":
                return self._items(schema, name, depth)
            case "integer" | "number":
                return max(int(schema.get("minimum", 0)), min(1, int(schema.get("maximum", 1))))
            case "boolean":
                return False
            case "string":
                return self._text(schema, name)
        return None

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow local references and take the first choice that is not null."""
        for _ in range(DEPTH_MAX):
            if isinstance(schema.get("$ref"), str):
                target: Any = self.root
                for part in schema["$ref"].removeprefix("#/").split("/"):
                    target = target.get(part, {}) if isinstance(target, dict) else {}
                schema = target if isinstance(target, dict) else {}
            elif schema.get("anyOf") or schema.get("oneOf"):
                choices = schema.get("anyOf") or schema.get("oneOf") or []
                schema = next((one for one in choices if one.get("type") != "null"), choices[0])
            elif schema.get("allOf"):
                schema = schema["allOf"][0]
            else:
                break
        return schema

    def _choice(self, choices: list[Any], name: str) -> Any:
        """The severity where the choices are severities, else a word for a middling confidence, else the first."""
        for wanted in (self.facts.severity, "medium" if "confidence" in name else "", "malicious"):
            for choice in choices:
                if wanted and isinstance(choice, str) and choice.lower() == wanted.lower():
                    return choice
        return choices[0]

    def _items(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        inner = self._resolved(schema.get("items") or {})
        most = min(int(schema.get("maxItems", LIST_MAX)), 20)
        found: list[Any]
        if inner.get("type") == "object" and self._is_indicator(inner):
            found = [self._indicator(inner, kind, value, depth) for kind, value in self.facts.indicators]
            found = [one for one in found if one is not None]
        elif "techni" in name or "mitre" in name or "attack" in name:
            found = self._named(inner, list(self.facts.techniques), depth)
        elif re.search(r"ioc|indicator|observable|address", name):
            found = self._named(inner, [value for _, value in self.facts.indicators], depth)
        elif inner.get("type") == "string" and not inner.get("enum"):
            found = [_fitted(step, inner) for step in self.facts.actions()]
        else:
            found = []
        while len(found) < int(schema.get("minItems", 0)):
            found.append(self.value(inner, name, depth + 1))
        return found[:most]

    def _named(self, inner: Mapping[str, Any], values: list[str], depth: int) -> list[Any]:
        """The values as strings, or as objects whose first string field is the value."""
        if inner.get("enum"):
            return [value for value in values if value in inner["enum"]]
        if inner.get("type") != "object":
            return list(values)
        key = next((k for k in inner.get("properties") or {} if k in ("id", "technique", "technique_id", "value")), "")
        made = [self.value(inner, "", depth + 1) for _ in values]
        return [{**one, key: value} for one, value in zip(made, values, strict=True)] if key else []

    def _is_indicator(self, inner: Mapping[str, Any]) -> bool:
        fields = inner.get("properties") or {}
        return "value" in fields and ("kind" in fields or "type" in fields)

    def _indicator(self, inner: Mapping[str, Any], kind: str, value: str, depth: int) -> Any:
        """An object with a kind and a value, None if the schema knows no such kind."""
        key = "kind" if "kind" in inner["properties"] else "type"
        allowed = self._resolved(inner["properties"][key]).get("enum")
        names = {"ip": ("ip", "ipv4", "ip_address"), "file_hash": ("file_hash", "hash", "sha256"), "url": ("url",)}[
            kind
        ]
        word = next((one for one in names if not allowed or one in allowed), None)
        return None if word is None else {**self.value(inner, "", depth + 1), key: word, "value": value}

    def _text(self, schema: Mapping[str, Any], name: str) -> str:
        facts = self.facts
        if "title" in name or "headline" in name:
            words = facts.title
        elif re.search(r"impact|consequence|risk", name):
            target = f" through {facts.indicators[0][1]}" if facts.indicators else ""
            words = f"Accounts, data or money of the team may be used by somebody else{target} until this is contained."
        elif re.search(r"action|recommend|next|remed|mitig", name):
            words = facts.actions()[0]
        elif re.search(r"reason|rationale|explan|why", name):
            words = f"The records agree with each other and name {facts.severity.lower()} severity."
        else:
            words = facts.summary()
        return _fitted(words, schema)


def _fitted(text: str, schema: Mapping[str, Any]) -> str:
    """The text within the schema's lengths."""
    least = int(schema.get("minLength", 0))
    return text[: int(schema.get("maxLength", len(text) + least))].ljust(least, ".")
