"""What is wrong with a configuration, said so that it can be put right: where, which value, what it must be.

A line of a file is only ever shown with everything masked in it that is, or may be, a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeAlias

from aegis.core.errors import AegisError, ConfigError
from aegis.core.keyshapes import MASK, mask_keys, names_a_secret
from aegis.core.references import parse_reference

Path: TypeAlias = tuple[str | int, ...]

SHOWN_MAX = 40
"""Characters of a wrong value that are shown."""
LINE_MAX = 160


_PAIR = re.compile(r"""([\w.-]+)(["']?\s*[:=]\s*)([^,{}\[\]]+)""")


def _hide_value(pair: re.Match[str]) -> str:
    return f"{pair[1]}{pair[2]}{MASK}" if names_a_secret(pair[1]) and not is_reference(pair[3].strip()) else pair[0]


@dataclass(slots=True)
class Excerpt:
    """The lines of a file, to be shown without their secrets."""

    text: str = field(repr=False)
    _spans: dict[Path, tuple[int, int, int, int]] = field(default_factory=dict, repr=False)
    _hidden: set[Path] = field(default_factory=set)
    _blind: bool = False

    def blind(self) -> None:
        """The text could not be read as YAML: nothing is known of it, so whatever follows a suspicious name is
        hidden.
        """
        self._blind = True

    def saw(self, node: Any, path: Path) -> None:
        """Remember where a scalar stands, and that it must not be shown when its name says so and it is no
        reference.
        """
        start, end = node.start_mark, node.end_mark
        self._spans[path] = (start.line, start.column, end.line, end.column)
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        if names_a_secret(name) and not is_reference(str(node.value)):
            self._hidden.add(path)

    def hide(self, path: Path) -> None:
        """The value at `path` turned out to be a literal secret, or may be one."""
        self._hidden.add(path)

    def line(self, number: int) -> str:
        """Line `number` (from 1) as it may be shown; empty when there is none."""
        lines = self.text.splitlines()
        if not 0 < number <= len(lines):
            return ""
        line, row = lines[number - 1], number - 1
        for first, start, last, end in sorted(
            (self._spans[path] for path in self._hidden & self._spans.keys()), reverse=True
        ):
            if first <= row <= last:
                begin = start if first == row else 0
                stop = end if last == row else len(line)
                line = f"{line[:begin]}{MASK}{line[stop:]}"
        if self._blind:
            line = _PAIR.sub(_hide_value, line)
        return mask_keys(line).rstrip()[:LINE_MAX]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value was written: a file with line and column, or `environment AEGIS_...`, `.env:3`, `flag ...`."""

    source: str
    line: int = 0
    column: int = 0
    excerpt: Excerpt | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line and self.column else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. `str` is one line."""

    place: Place
    path: Path
    message: str

    def __str__(self) -> str:
        name = dotted(self.path)
        return f"{self.place} {name} - {self.message}" if name else f"{self.place} - {self.message}"

    def shown(self) -> str:
        """The line, and below it the line of the file that it is about."""
        line = self.place.excerpt.line(self.place.line) if self.place.excerpt and self.place.line else ""
        return f"{self}\n    {self.place.line} | {line}" if line else str(self)


class InvalidConfig(ConfigError):
    """Everything that is wrong with a configuration, in the order of the files. Nothing was started."""

    def __init__(self, found: Sequence[Problem]) -> None:
        self.found = tuple(
            sorted(found, key=lambda problem: (problem.place.source, problem.place.line, problem.place.column))
        )
        super().__init__(*(str(problem) for problem in self.found))

    def shown(self) -> str:
        return "\n".join(problem.shown() for problem in self.found)


def dotted(path: Iterable[str | int]) -> str:
    """`budgets.monthly.emergency`, `routes[0].to`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def nearest(word: str, words: Collection[str]) -> str:
    """The known word that `word` was probably meant to be, or nothing."""
    close = get_close_matches(word.lower(), [known.lower() for known in words], n=1, cutoff=0.6)
    return next((known for known in words if close and known.lower() == close[0]), "")


def unknown(word: str, words: Collection[str], *, what: str = "key") -> str:
    """The message for a word that is none of `words`."""
    if near := nearest(word, words):
        return f"is no known {what}; {word} -> {near}?"
    return f"is no known {what}; there are {', '.join(sorted(words))}"


def got(value: object) -> str:
    """How a wrong value is shown: text clipped and without anything that looks like a key."""
    if isinstance(value, str):
        text = mask_keys(value)
        clipped = text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."
        return f'got "{clipped}"'
    if value is None:
        return "got nothing"
    return "got a list" if isinstance(value, list) else "got a mapping"


def is_reference(text: str) -> bool:
    try:
        parse_reference(text)
    except AegisError:
        return False
    return True
