"""What the text of a question says, read by pattern: titles, severity, techniques, indicators.

JSON lines in the text are walked (objects with a kind and a value are indicators); all else is found by shape. Nothing
is made up, so an answer built from it names only what was asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

NODES_MAX, FOUND_MAX, VALUE_MAX = 5_000, 100, 300
"""Bounds of reading one question: JSON values looked at, things kept of a kind, characters of one."""

ORDER = ("LOW", "MEDIUM", "HIGH", "CRITICAL")

_TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
_SEVERITY = re.compile(r"(?i)severity\W{1,8}(LOW|MEDIUM|HIGH|CRITICAL)\b")
_TITLE = re.compile(r"(?im)^\W*(?:title|incident)\W{1,6}(\S[^\n\"]{3,200})")
_FENCE = re.compile(r"-{3,}.*-{3,}\s*$")
"""A boundary line around quoted material: it says nothing about the matter."""
_IP = re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])")
_SHAPES: Sequence[tuple[str, re.Pattern[str]]] = (
    ("url", re.compile(r"\bhttps?://[^\s\"'<>\\)\]]{4,200}")),
    ("ip", _IP),
    ("file_hash", re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\b")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a text says. `titles` are in its order, `severity` is the highest that is named, `since` a time or ""."""

    titles: Sequence[str]
    severity: str
    techniques: Sequence[str]
    indicators: Sequence[tuple[str, str]]
    count: int = 0
    since: str = ""

    def first(self, *kinds: str) -> str:
        """The first indicator of these kinds, or ""."""
        return next((value for kind, value in self.indicators if kind in kinds), "")


def read_facts(text: str) -> Facts:
    """Facts of a text."""
    found = _Walk()
    for line in text.splitlines():
        if line.startswith(("{", "[")):
            try:
                found.walk(orjson.loads(line), 0)
            except orjson.JSONDecodeError:
                continue
    titles = found.titles or [title.strip(" ,'{}") for title in _TITLE.findall(text)]
    plain = next((line.strip() for line in text.splitlines() if len(line.strip()) > 8), "An incident")
    inside = "\n".join(line for line in text.splitlines() if not _FENCE.match(line))
    shaped = [(kind, value) for kind, shape in _SHAPES for value in shape.findall(inside)]
    severities = [*found.severities, *(word.upper() for word in _SEVERITY.findall(text))]
    return Facts(
        titles=_unique(titles) or (plain[:160],),
        severity=max(severities, key=ORDER.index, default="HIGH"),
        techniques=_unique(_TECHNIQUE.findall(text)),
        indicators=tuple(dict.fromkeys([*found.indicators, *(one for one in shaped if one[1] not in found.values)])),
        count=found.count,
        since=found.since,
    )


def _unique(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))[:FOUND_MAX]


class _Walk:
    """Goes through JSON values and keeps what it knows the meaning of."""

    def __init__(self) -> None:
        self.rules: list[str] = []
        self.others: list[str] = []
        self.severities: list[str] = []
        self.indicators: list[tuple[str, str]] = []
        self.count, self.since, self._left = 0, "", NODES_MAX

    @property
    def titles(self) -> list[str]:
        """What was detected, before what is merely known about it."""
        return [*self.rules, *self.others]

    @property
    def values(self) -> set[str]:
        return {value for _, value in self.indicators}

    def walk(self, value: Any, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or depth > 8:
            return
        if isinstance(value, dict):
            self._object(value)
        for inner in _inside(value):
            self.walk(inner, depth + 1)

    def _object(self, value: Mapping[str, Any]) -> None:
        kind, named = value.get("kind"), value.get("value")
        if isinstance(kind, str) and isinstance(named, str) and len(self.indicators) < FOUND_MAX:
            self.indicators.append((kind, named[:VALUE_MAX]))
        for name, kept in (("rule", self.rules), ("title", self.others)):
            if isinstance(value.get(name), str) and len(kept) < FOUND_MAX:
                kept.append(value[name][:160])
        if value.get("severity") in ORDER:
            self.severities.append(value["severity"])
        if type(value.get("detections")) is int:
            self.count = value["detections"]
        if isinstance(value.get("first_seen"), str):
            self.since = value["first_seen"][:40]


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
