"""What a text must hold for a regular expression to be found in it: literal texts and a length, read off the pattern.

Everything here errs on the side of asking the expression itself. Literals are ASCII and looked for in folded text: every
character that equals an ASCII letter for a regex that ignores case folds to that letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aegis.sigma.values import fold

LITERAL_CHARS_MIN = 3
"""A shorter literal stands in too many values to be worth a place in the search for thousands of texts."""

COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")

_PLAIN_ESCAPES = frozenset(r"\.*+?()[]{}|^$/-'\"#&%@!~`=:;,<> _")
_ONE_CHARACTER_ESCAPES = frozenset("dDsSwWnrtfv") | _PLAIN_ESCAPES
_MEANINGFUL = frozenset(".^$*+?{}[]()|\\")


@dataclass(frozen=True, slots=True)
class Required:
    """`gates`: one of these stands in the folded text (empty: not known); `also`: all of these do; `width`: the text
    has at least this many characters.
    """

    gates: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    width: int = 0

    def met_by(self, text: str) -> bool:
        """Whether length and literals leave it possible."""
        if len(text) < self.width:
            return False
        if self.also:
            folded = fold(text)
            for literal in self.also:
                if literal not in folded:
                    return False
        return True


def required_by(pattern: str) -> Required:
    """What every text that the pattern is found in must hold."""
    if re.match(r"\(\?[a-z]*x", pattern) or "(?#" in pattern or r"\Q" in pattern:
        return Required()
    branches = list(_branches(pattern))
    runs = [[run.lower() for run in _literal_runs(branch) if run.isascii() and run] for branch in branches]
    longest = [max(found, key=len, default="") for found in runs]
    gates = tuple(dict.fromkeys(longest)) if min(map(len, longest)) >= LITERAL_CHARS_MIN else ()
    also = tuple(dict.fromkeys(runs[0])) if len(branches) == 1 else ()
    return Required(gates, also, min(map(_width, branches)))


Construct = tuple[int, int, str]
"""Position, bracket depth and text: a character, an escape, a whole class `[...]`, a whole count `{...}`."""


def _walk(pattern: str) -> Iterator[Construct]:
    at = depth = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            end = at + 2
        elif char == "[":
            end = _class_end(pattern, at)
        elif char == "{" and (found := COUNT.match(pattern, at)):
            end = found.end()
        else:
            end = at + 1
        depth += char == "("
        yield at, depth, pattern[at:end]
        depth -= char == ")"
        at = end


def _class_end(pattern: str, at: int) -> int:
    at += 2 if pattern[at + 1 : at + 2] == "^" else 1
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at + 1


def _branches(pattern: str) -> Iterator[str]:
    """The alternatives at the top level."""
    start = 0
    for at, depth, text in _walk(pattern):
        if text == "|" and depth == 0:
            yield pattern[start:at]
            start = at + 1
    yield pattern[start:]


def _with_next(branch: str) -> Iterator[tuple[int, str, str]]:
    """Depth and text of each construct, and the text of the one after it."""
    constructs = list(_walk(branch))
    for index, (_, depth, text) in enumerate(constructs):
        yield depth, text, constructs[index + 1][2] if index + 1 < len(constructs) else ""


def _literal_runs(branch: str) -> list[str]:
    """Runs of characters outside brackets that every match holds."""
    runs = [""]
    for depth, text, following in _with_next(branch):
        char = _character(text) if depth == 0 else ""
        if not char or following[:1] in ("?", "*", "{"):
            runs.append("")
            continue
        runs[-1] += char
        if following == "+":
            runs.append("")
    return runs


def _character(text: str) -> str:
    """The one character that a construct stands for, case aside; empty if it stands for several or none."""
    if text[0] == "\\":
        return text[1] if len(text) == 2 and text[1] in _PLAIN_ESCAPES else ""
    if text[0] == "[":
        inner = text[1:-1]
        alike = len(inner) == 2 and inner.isalpha() and inner.isascii() and inner[0].lower() == inner[1].lower()
        return inner[0] if alike else ""
    return "" if text[0] in _MEANINGFUL else text


def _width(branch: str) -> int:
    """A lower bound on the characters that a match spans: brackets count nothing."""
    width = 0
    for depth, text, following in _with_next(branch):
        one = depth == 0 and (
            text[1:2] in _ONE_CHARACTER_ESCAPES
            if text[0] == "\\"
            else text in ".[" or text[0] not in _MEANINGFUL or text[0] == "["
        )
        if one and following[:1] not in ("?", "*"):
            found = COUNT.fullmatch(following)
            width += int(found[1] or 0) if found else 1
    return width
