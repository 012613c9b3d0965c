"""Walks a JSON value from outside and keeps every problem with its place, so that a service can say what is wrong in
its own words.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

PROBLEMS_MAX = 50
"""Problems kept of one request; more would not help the reader."""

Kind = Literal["required", "type", "too_long", "too_many", "too_few", "enum", "pattern", "unknown", "range", "rule"]


def names(text: str) -> frozenset[str]:
    """A set of words, written as one text."""
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place. `limit` is the number that was broken, where one was."""

    path: str
    kind: Kind
    message: str
    limit: int = 0

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Inspector:
    """Looks at one JSON object. Each question answers with the value if it is right, else with an empty one, and
    keeps the problem in `problems`, which all inspectors of one request share. Null counts as absent.
    """

    def __init__(self, value: Any, path: str = "", problems: list[Problem] | None = None) -> None:
        self.path = path
        self.problems: list[Problem] = [] if problems is None else problems
        self.held: dict[str, Any] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self._keep(path, "type", "must be an object")

    def _keep(self, path: str, kind: Kind, message: str, limit: int = 0) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(path, kind, message, limit))

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, key: str, message: str, kind: Kind = "rule", limit: int = 0) -> None:
        """Keep a problem with a field."""
        self._keep(self.at(key), kind, message, limit)

    def only(self, allowed: Collection[str]) -> None:
        """No other fields than these."""
        for key in self.held:
            if key not in allowed:
                self.wrong(key[:80], "is not a known field", "unknown")

    def _value(self, key: str, wanted: type | tuple[type, ...], words: str, required: bool) -> Any:
        value = self.held.get(key)
        if value is None:
            if required:
                self.wrong(key, "is required", "required")
            return None
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            self.wrong(key, f"must be {words}", "type")
            return None
        return value

    def text(
        self,
        key: str,
        *,
        required: bool = False,
        longest: int = 0,
        one_of: Collection[str] | None = None,
        pattern: str = "",
    ) -> str:
        """A string of at most `longest` characters (0: any), from `one_of`, matching `pattern` as a whole."""
        value = self._value(key, str, "a string", required)
        if value is None:
            return ""
        if required and not value:
            self.wrong(key, "must not be empty", "required")
        if longest and len(value) > longest:
            self.wrong(key, f"must be at most {longest} characters", "too_long", longest)
        if one_of is not None and value not in one_of:
            self.wrong(key, f"must be one of {', '.join(sorted(one_of))}", "enum")
        if pattern and not re.fullmatch(pattern, value):
            self.wrong(key, f"must look like {pattern}", "pattern")
        return str(value)

    def whole(self, key: str, *, required: bool = False, least: int | None = None, most: int | None = None) -> int:
        """A whole number within bounds, else 0."""
        value = self._value(key, int, "a whole number", required)
        if value is None:
            return 0
        if (least is not None and value < least) or (most is not None and value > most):
            self.wrong(key, f"must be between {least} and {most}", "range", most or 0)
        return int(value)

    def number(self, key: str, *, required: bool = False) -> float:
        value = self._value(key, (int, float), "a number", required)
        return 0.0 if value is None else float(value)

    def flag(self, key: str) -> bool:
        return bool(self._value(key, bool, "true or false", required=False))

    def child(self, key: str, *, required: bool = False) -> Inspector | None:
        """An inspector of an object in a field, None if it is not there."""
        value = self._value(key, dict, "an object", required)
        return None if value is None else Inspector(value, self.at(key), self.problems)

    def items(self, key: str, *, required: bool = False, most: int = 0, least: int = 0) -> list[Any]:
        """The values of a list of at most `most` (0: any) and at least `least`."""
        value = self._value(key, list, "a list", required)
        if value is None:
            return []
        if most and len(value) > most:
            self.wrong(key, f"must hold at most {most}", "too_many", most)
        if len(value) < least:
            self.wrong(key, f"must hold at least {least}", "too_few", least)
        return list(value)

    def objects(self, key: str, *, required: bool = False, most: int = 0, least: int = 0) -> list[Inspector]:
        """Inspectors of a list's objects."""
        values = self.items(key, required=required, most=most, least=least)
        return [Inspector(value, f"{self.at(key)}.{number}", self.problems) for number, value in enumerate(values)]

    def texts(self, key: str, *, required: bool = False, most: int = 0, longest: int = 0) -> list[str]:
        """The strings of a list."""
        values = self.items(key, required=required, most=most)
        for number, value in enumerate(values):
            if not isinstance(value, str):
                self.wrong(f"{key}.{number}", "must be a string", "type")
            elif longest and len(value) > longest:
                self.wrong(f"{key}.{number}", f"must be at most {longest} characters", "too_long", longest)
        return [value for value in values if isinstance(value, str)]
