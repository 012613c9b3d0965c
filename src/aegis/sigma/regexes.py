"""Regular expressions of rules: compiled so that no value can make one slow on any value.

RE2 runs in time linear in the value. What RE2 has no words for (look-around, back-references) goes to `re` only where
every repetition is bounded, so that the work per character is bounded too; everything else is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from aegis.core.errors import BadInput
from aegis.sigma.regexneeds import COUNT, Required, required_by

PATTERN_CHARS_MAX = 4_096
MEMORY_MAX = 8 << 20
"""What one RE2 automaton may use (its own default); past it RE2 falls back to a slower, still linear, matcher."""
WORK_MAX = 10_000
"""Steps per character that a pattern outside RE2 may need at most."""


Search = Callable[[str, bytes], bool]
"""Whether the pattern is found in a text, which is given as text and in UTF-8."""


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled pattern, and what has to be so wherever it is found (`required_by`)."""

    search: Search
    required: Required

    def found_in(self, text: str) -> bool:
        """Whether the pattern is found in a text."""
        return self.required.met_by(text) and self.search(text, text.encode())


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
        return Regex(_bounded(prefix + pattern, str(error)), Required())
    find = linear.search

    return Regex(lambda _text, raw: find(raw) is not None, required_by(pattern))


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


def _work(pattern: str) -> int:
    """A bound on the steps per character: the product of all repetition counts and alternatives (too high rather
    than too low).
    """
    plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern, flags=re.DOTALL)
    if re.search(r"[*+]|\{\d*,\}", plain):
        return WORK_MAX + 1
    work = len(plain) << min(plain.count("|") + len(re.findall(r"(?<!\()\?", plain)), 20)
    for low, comma, high in COUNT.findall(plain):
        work *= max(1, int((high if comma else low) or 1))
    return work
