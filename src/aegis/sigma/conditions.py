"""The condition of a rule: names, `not`, `and`, `or`, brackets, `1 of`, `any of`, `all of`.

Source: Sigma rules specification 2.1.0, attribute `condition`. Binding: `not`, then `and`, then `or`. Names that start
with an underscore are reached only by a pattern that starts with one, never by `them`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase

from aegis.core.errors import BadInput
from aegis.sigma.nodes import Node, all_of, any_of, negate

WORDS_MAX = 2_000
DEPTH_MAX = 50
"""SigmaHQ's longest condition has some 60 words and nests 4 deep."""

_WORD = re.compile(r"\(|\)|[^\s()]+")
_QUANTIFIERS = ("1", "any", "all")


def parse_condition(text: str, names: Collection[str], resolve: Callable[[str], Node]) -> Node:
    """The tree of a condition. `names` are the selections there are, `resolve` gives the tree of one.

    Raises `BadInput` for a name that is not there, for the aggregations of Sigma 1 and for anything malformed.
    """
    words = _WORD.findall(text)
    if len(words) > WORDS_MAX:
        raise BadInput(f"the condition has more than {WORDS_MAX} words")
    if any("|" in word for word in words):
        raise BadInput("the condition aggregates with a pipe, which Sigma 2 replaced by correlation rules")
    parser = _Parser(words, names, resolve)
    node = parser.either(0)
    if parser.here():
        raise BadInput(f"the condition has {parser.here()[:40]!r} where it should end")
    return node


class _Parser:
    """Recursive descent over the words."""

    def __init__(self, words: list[str], names: Collection[str], resolve: Callable[[str], Node]) -> None:
        self._words = words
        self._at = 0
        self._names = names
        self._resolve = resolve

    def here(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def either(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise BadInput(f"the condition nests deeper than {DEPTH_MAX}")
        nodes = [self._both(depth)]
        while self._taken("or"):
            nodes.append(self._both(depth))
        return any_of(nodes) if len(nodes) > 1 else nodes[0]

    def _both(self, depth: int) -> Node:
        nodes = [self._one(depth)]
        while self._taken("and"):
            nodes.append(self._one(depth))
        return all_of(nodes) if len(nodes) > 1 else nodes[0]

    def _one(self, depth: int) -> Node:
        negated = False
        while self._taken("not"):
            negated = not negated
        node = self._operand(depth)
        return negate(node) if negated else node

    def _operand(self, depth: int) -> Node:
        word = self.here()
        self._at += 1
        if word == "(":
            node = self.either(depth + 1)
            if self.here() != ")":
                raise BadInput("the condition has a bracket that is not closed")
            self._at += 1
            return node
        if word.lower() in _QUANTIFIERS and self.here().lower() == "of":
            self._at += 1
            pattern = self.here()
            self._at += 1
            chosen = [self._resolve(name) for name in self._chosen(pattern)]
            return (all_of if word.lower() == "all" else any_of)(chosen)
        if not word or word == ")":
            raise BadInput("the condition ends where a name is expected")
        if word not in self._names:
            raise BadInput(f"the condition names {word[:60]!r}, which is not defined")
        return self._resolve(word)

    def _chosen(self, pattern: str) -> list[str]:
        if pattern.lower() == "them":
            pattern = "*"
        chosen = [
            name
            for name in self._names
            if fnmatchcase(name, pattern.replace("[", "[[]")) and (pattern.startswith("_") or not name.startswith("_"))
        ]
        if not chosen:
            raise BadInput(f"the condition's {pattern[:60]!r} selects nothing")
        return chosen

    def _taken(self, word: str) -> bool:
        if self.here().lower() == word:
            self._at += 1
            return True
        return False
