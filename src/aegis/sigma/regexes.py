"""Regular expressions of rules: compiled so that no value can make one slow, and the literal text that each needs.

RE2 runs in time linear in the value. What RE2 has no words for (look-around, back-references) goes to `re` only where
every repetition is bounded, so that the work per character is bounded too; everything else is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from aegis.core.errors import BadInput

PATTERN_CHARS_MAX = 4_096
MEMORY_MAX = 4 << 20
"""What one RE2 automaton may use; past it RE2 falls back to its slower, still linear, matcher."""
WORK_MAX = 10_000
"""Steps per character that a pattern outside RE2 may need at most."""
LITERAL_CHARS_MIN = 3
"""A shorter literal stands in too many values to save work."""


Search = Callable[[str, bytes], bool]
"""Whether the pattern is found in a text, which is given as text and in UTF-8."""


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled pattern. In folded text, one of `literals` has to stand wherever the pattern is found; empty: not
    known. That holds for ASCII texts only: outside ASCII, case-insensitive matching knows equalities that folding
    does not.
    """

    search: Search
    literals: tuple[str, ...]


def compile_regex(pattern: str, flags: str) -> Regex:
    """A pattern with any of the flags `i`, `m`, `s`. Raises `BadInput` saying why it cannot be used."""
    if len(pattern) > PATTERN_CHARS_MAX:
        raise BadInput(f"the regular expression is longer than {PATTERN_CHARS_MAX} characters")
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MEMORY_MAX
    prefix = f"(?{''.join(sorted(set(flags)))})" if flags else ""
    try:
        linear = re2.compile(prefix + pattern, options)
    except re2.error as error:
        return Regex(_bounded(prefix + pattern, str(error)), ())
    find = linear.search

    return Regex(lambda _text, raw: find(raw) is not None, required_literals(pattern))


def _bounded(pattern: str, refusal: str) -> Search:
    """The pattern compiled by `re`, if its repetitions are bounded."""
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadInput(f"not a regular expression: {str(error)[:100]}") from None
    if _work(pattern) > WORK_MAX:
        raise BadInput(f"the regular expression cannot be matched in bounded time ({refusal[:80]})")
    find = compiled.search
    return lambda text, _raw: find(text) is not None


_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")


def _work(pattern: str) -> int:
    """A bound on the steps per character: the product of all repetition counts and alternatives (too high rather
    than too low).
    """
    plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern, flags=re.DOTALL)
    if re.search(r"[*+]|\{\d*,\}", plain):
        return WORK_MAX + 1
    work = len(plain) << min(plain.count("|") + len(re.findall(r"(?<!\()\?", plain)), 20)
    for low, comma, high in _COUNT.findall(plain):
        work *= max(1, int((high if comma else low) or 1))
    return work


_QUANTIFIED = frozenset("?*{")
_PLAIN_ESCAPES = frozenset(r"\.*+?()[]{}|^$/-'\"#&%@!~`=:;,<> _")


def required_literals(pattern: str) -> tuple[str, ...]:
    """Folded texts of which one has to stand in every text that the pattern is found in; empty if none is sure."""
    found: list[str] = []
    for branch in _branches(pattern):
        best = max(_literal_runs(branch), key=len, default="")
        if len(best) < LITERAL_CHARS_MIN or not best.isascii():
            return ()
        found.append(best.lower())
    return tuple(dict.fromkeys(found))


def _branches(pattern: str) -> list[str]:
    """The alternatives at the top level."""
    if re.match(r"\(\?[a-z]*x", pattern) or "(?#" in pattern or r"\Q" in pattern:
        return [""]
    branches, start = [], 0
    for at, depth, char in _walk(pattern):
        if char == "|" and depth == 0:
            branches.append(pattern[start:at])
            start = at + 1
    branches.append(pattern[start:])
    return branches


def _walk(pattern: str) -> list[tuple[int, int, str]]:
    """Position, bracket depth and meaning of each construct: a character stands for itself, an escape is two
    characters, a whole character class is `[`, a whole repetition count is `{`.
    """
    out: list[tuple[int, int, str]] = []
    at = depth = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            out.append((at, depth, pattern[at : at + 2]))
            at += 2
            continue
        if char in "[{":
            out.append((at, depth, char))
            at = _class_end(pattern, at) if char == "[" else _count_end(pattern, at)
            continue
        if char == "(":
            depth += 1
        out.append((at, depth, char))
        if char == ")":
            depth -= 1
        at += 1
    return out


def _class_end(pattern: str, at: int) -> int:
    at += 2 if pattern[at + 1 : at + 2] == "^" else 1
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at + 1


def _count_end(pattern: str, at: int) -> int:
    found = _COUNT.match(pattern, at)
    return found.end() if found else at + 1


def _literal_runs(branch: str) -> list[str]:
    """Runs of characters at the top level that every match holds in this order."""
    runs = [""]
    constructs = _walk(branch)
    for index, (_, depth, meaning) in enumerate(constructs):
        following = constructs[index + 1][2] if index + 1 < len(constructs) else ""
        char = _plain_character(meaning) if depth == 0 else None
        if char is None or following in _QUANTIFIED:
            runs.append("")
            continue
        runs[-1] += char
        if following == "+":
            runs.append("")
    return runs


def _plain_character(meaning: str) -> str | None:
    if len(meaning) == 2 and meaning[0] == "\\":
        return meaning[1] if meaning[1] in _PLAIN_ESCAPES else None
    return None if meaning in ".^$*+?{}[]()|\\" else meaning
