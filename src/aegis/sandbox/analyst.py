"""A model's answer made by rule: plain words, or JSON that follows the asked schema, from the question's own facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aegis.sandbox.facts import Facts, read_facts

DEPTH_MAX = 12
"""Nesting of a schema; the deepest of ours is 4."""

LIST_MAX, INDICATORS_MAX = 6, 12
"""Entries that an answer gives where the schema names no number."""

_ACTIONS: Sequence[tuple[str, str]] = (
    ("T1110", "Block {ip} and reset the passwords of {user} and of every account it tried."),
    ("T1078", "Disable {user}, end its sessions and ask its owner what they did."),
    ("T1548", "Take the raised rights of {user} away and list what was run with them on {host}."),
    ("T1098", "Undo the change of rights of {user} and review who may make such a change."),
    ("T1136", "Disable the account that was made and look for what it was used for."),
    ("T1562", "Turn logging back on and treat the time without it as unobserved."),
    ("T1530", "Close the storage to the public and list which objects {ip} read."),
    ("T1537", "Withdraw the sharing and rotate whatever the shared copy held."),
    ("T1552", "Rotate the exposed keys and search for their use from {ip}."),
    ("T1190", "Take the exposed path off the network until it is patched."),
    ("T1595", "Block {ip} at the edge and check which of its requests were answered."),
    ("T1496", "Revoke {key} and lower the budget it spends from."),
    ("T1059", "Isolate {host} and keep its memory before anything is restarted."),
    ("", "Keep the logs of this time as evidence, before they rotate."),
    ("", "Search for {ip} and {user} in the other incidents of the day."),
    ("", "Tell the owner of the affected system and agree on who acts."),
)
"""What to do about a technique family; an empty family holds for every incident."""

_NAMES = {"ip": "the source address", "user": "the account", "host": "the host", "key": "the key"}
_KINDS = {"ip": ("ip",), "user": ("user", "account", "email"), "host": ("host",), "key": ("key",)}


def summary(facts: Facts) -> str:
    """What happened, in a few sentences."""
    said = [f"{facts.titles[0].rstrip('.')}."]
    who = " and ".join(filter(None, (facts.first("ip"), facts.first("user", "account", "key", "host"))))
    if who:
        said.append(f"It involves {who}.")
    if len(facts.titles) > 1:
        said.append(f"Seen together with: {', '.join(title.rstrip('.') for title in facts.titles[1:4])}.")
    if facts.count > 1:
        said.append(f"{facts.count} detections agree{f' since {facts.since}' if facts.since else ''}.")
    if facts.techniques:
        said.append(f"The behaviour fits {', '.join(facts.techniques[:3])}.")
    return " ".join(said)


def actions(facts: Facts) -> list[str]:
    """What to do: for the techniques that are named, then in general."""
    families = {technique[:5] for technique in facts.techniques}
    words = {name: facts.first(*kinds) or _NAMES[name] for name, kinds in _KINDS.items()}
    wanted = [text for family, text in _ACTIONS if not family or family in families]
    return [re.sub(r"\{(\w+)\}", lambda found: words[found[1]], text) for text in wanted]


def write_text(text: str) -> str:
    """An answer in plain words."""
    facts = read_facts(text)
    steps = "\n".join(f"- {step}" for step in actions(facts)[:LIST_MAX])
    return f"{summary(facts)}\n\nSeverity: {facts.severity}\n\nWhat to do:\n{steps}"


def fill(schema: Mapping[str, Any], text: str) -> Any:
    """A JSON value that follows `schema` (what model vendors take of JSON Schema), from the words of `text`."""
    return _Filler(schema, read_facts(text)).value(schema, "", 0)


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
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._choice(schema["enum"], name)
        match _type(schema):
            case "object":
                fields = _mapping(schema.get("properties"))
                return {field: self.value(inner, field, depth + 1) for field, inner in fields.items()}
            case "array":
                return self._items(schema, name, depth)
            case "integer" | "number":
                return max(_bound(schema, "minimum", 0), min(1, _bound(schema, "maximum", 1)))
            case "boolean":
                return False
            case "string":
                return self._text(schema, name)
        return None

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """Follow local references and take the first choice that is not null."""
        for _ in range(DEPTH_MAX):
            schema = _mapping(schema)
            choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
            if isinstance(schema.get("$ref"), str):
                target: Any = self.root
                for part in schema["$ref"].removeprefix("#/").split("/"):
                    target = _mapping(target).get(part)
                schema = target
            elif isinstance(choices, list):
                schema = next((one for one in choices if _mapping(one).get("type") != "null"), None)
            else:
                return _mapping(schema)
        return {}

    def _choice(self, choices: Sequence[Any], name: str) -> Any:
        """The severity where the choices are severities, a middling confidence, else the first choice."""
        for wanted in (self.facts.severity, "medium" if "confidence" in name else "", "malicious"):
            for choice in choices:
                if wanted and isinstance(choice, str) and choice.lower() == wanted.lower():
                    return choice
        return choices[0]

    def _items(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        inner = self._resolved(schema.get("items"))
        fields = _mapping(inner.get("properties"))
        found: list[Any] = []
        most = LIST_MAX
        if "value" in fields and ("kind" in fields or "type" in fields):
            found, most = self._indicators(inner, fields, depth), INDICATORS_MAX
        elif "techni" in name or "mitre" in name or "attack" in name:
            found, most = self._named(inner, self.facts.techniques, depth), INDICATORS_MAX
        elif re.search(r"ioc|indicator|observable|address", name):
            found, most = self._named(inner, [value for _, value in self.facts.indicators], depth), INDICATORS_MAX
        elif _type(inner) == "string" and "enum" not in inner:
            found = [_fitted(step, inner) for step in actions(self.facts)]
        least = min(_bound(schema, "minItems", 0), INDICATORS_MAX)
        while len(found) < least:
            found.append(self.value(inner, name, depth + 1))
        return found[: max(least, min(most, _bound(schema, "maxItems", most)))]

    def _named(self, inner: Mapping[str, Any], values: Sequence[str], depth: int) -> list[Any]:
        """The values as strings, or as objects of which one field is the value."""
        if _type(inner) == "string":
            return [value for value in values if value in inner.get("enum", (value,))]
        fields = _mapping(inner.get("properties"))
        key = next((key for key in ("id", "technique", "technique_id", "value") if key in fields), "")
        return [{**self.value(inner, "", depth + 1), key: value} for value in values] if key else []

    def _indicators(self, inner: Mapping[str, Any], fields: Mapping[str, Any], depth: int) -> list[Any]:
        """Objects with a kind and a value, of the kinds that the schema knows."""
        key = "kind" if "kind" in fields else "type"
        allowed = self._resolved(fields[key]).get("enum")
        made = []
        for kind, value in self.facts.indicators:
            aliases = {"ip": ("ip", "ipv4", "ip_address"), "file_hash": ("file_hash", "hash", "sha256")}
            word = next((one for one in aliases.get(kind, (kind,)) if not allowed or one in allowed), None)
            if word is not None:
                made.append({**self.value(inner, "", depth + 1), key: word, "value": value})
        return made

    def _text(self, schema: Mapping[str, Any], name: str) -> str:
        facts = self.facts
        if re.search(r"title|headline", name):
            words = facts.titles[0]
        elif re.search(r"impact|consequence|risk", name):
            way = f" through {facts.first('ip', 'user', 'account', 'key')}" if facts.indicators else ""
            words = f"Until this is contained, somebody else may use the team's accounts, data or money{way}."
        elif re.search(r"action|recommend|next|remed|mitig", name):
            words = actions(facts)[0]
        elif re.search(r"reason|rationale|explan|why", name):
            words = f"The records agree with each other and name {facts.severity.lower()} severity."
        else:
            words = summary(facts)
        return _fitted(words, schema)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _type(schema: Mapping[str, Any]) -> str:
    """The type of a schema; the first that is not null where there are more."""
    kind = schema.get("type", "object" if "properties" in schema else "")
    return next((str(one) for one in kind if one != "null"), "null") if isinstance(kind, list) else str(kind)


def _bound(schema: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = schema.get(name)
    return int(value) if isinstance(value, int | float) and abs(value) < 1_000_000 else otherwise


def _fitted(text: str, schema: Mapping[str, Any]) -> str:
    """The text within the schema's lengths."""
    least = min(_bound(schema, "minLength", 0), 10_000)
    return text[: _bound(schema, "maxLength", len(text) + least)].ljust(least, ".")
