"""Thousands of texts asked of one value at once: equal, starts, ends, contains, and wildcards where the literal text
that they need stands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from ahocorasick_rs import AhoCorasick, MatchKind

from aegis.sigma.atoms import Atom, Kind
from aegis.sigma.globs import Glob
from aegis.sigma.patterns import Pieces

CHUNK_CHARS = 1 << 14
"""Long values are searched piece by piece, so that what the search returns at once stays small."""

Check = Callable[[str], bool]


class Prefixes:
    """Which of many texts a text starts with: one binary search, then the shorter ones are known."""

    __slots__ = ("_atoms", "_sorted", "_up")

    def __init__(self, entries: Mapping[str, int]) -> None:
        self._sorted = sorted(entries)
        self._up: list[int] = []
        self._atoms: list[tuple[int, ...]] = []
        open_: list[int] = []
        for index, text in enumerate(self._sorted):
            while open_ and not text.startswith(self._sorted[open_[-1]]):
                open_.pop()
            up = open_[-1] if open_ else -1
            self._up.append(up)
            self._atoms.append((entries[text], *(self._atoms[up] if up >= 0 else ())))
            open_.append(index)

    def find(self, text: str) -> tuple[int, ...]:
        """The atoms of every entry that the text starts with.

        The greatest entry not above the text either is its longest prefix or shares it: every entry between the two
        starts with that prefix, so it is found on the way up.
        """
        at = bisect_right(self._sorted, text) - 1
        while at >= 0:
            if text.startswith(self._sorted[at]):
                return self._atoms[at]
            at = self._up[at]
        return ()


class Contained:
    """Which of many texts stand somewhere in a text."""

    __slots__ = ("_automaton", "_overlap")

    def __init__(self, needles: Iterable[str]) -> None:
        listed = list(needles)
        self._automaton = AhoCorasick(listed)
        self._overlap = max(map(len, listed)) - 1

    def find(self, text: str) -> set[int]:
        """The positions, in the list of needles, of those that stand in the text."""
        search = self._automaton.find_matches_as_indexes
        if len(text) <= CHUNK_CHARS:
            return {found[0] for found in search(text, overlapping=True)}
        out: set[int] = set()
        for start in range(0, len(text), CHUNK_CHARS):
            chunk = text[start : start + CHUNK_CHARS + self._overlap]
            out.update(found[0] for found in search(chunk, overlapping=True))
        return out


class AnyContained:
    """Whether any of some texts stands in a text: asked so, the search may skip ahead, which it does at 1 GB/s."""

    __slots__ = ("_automaton", "_overlap")

    def __init__(self, needles: Iterable[str]) -> None:
        listed = list(needles)
        self._automaton = AhoCorasick(listed, matchkind=MatchKind.LeftmostFirst)
        self._overlap = max(map(len, listed)) - 1

    def find(self, text: str) -> bool:
        """Whether one does."""
        search = self._automaton.find_matches_as_indexes
        if len(text) <= CHUNK_CHARS:
            return bool(search(text))
        return any(search(text[at : at + CHUNK_CHARS + self._overlap]) for at in range(0, len(text), CHUNK_CHARS))


class Literals:
    """All string atoms of one field: all folded, or all cased. Wildcards wait for the longest text they need."""

    __slots__ = ("_always", "_contained", "_direct", "_ends", "_equal", "_gated", "_starts")

    def __init__(self, atoms: Iterable[tuple[int, Atom]]) -> None:
        by_kind: dict[Kind, dict[str, int]] = {kind: {} for kind in Kind}
        wild: dict[str, list[tuple[int, Check]]] = {}
        self._always: list[tuple[int, Check]] = []
        for number, atom in atoms:
            if atom.kind is Kind.WILD:
                pieces = cast("Pieces", atom.operand)
                needed = max((piece for piece in pieces if isinstance(piece, str)), key=len, default="")
                place = wild.setdefault(needed, []) if needed else self._always
                place.append((number, Glob(pieces).fits))
            else:
                by_kind[atom.kind][str(atom.operand)] = number
        self._equal = by_kind[Kind.EQ]
        starts, ends = by_kind[Kind.STARTS], by_kind[Kind.ENDS]
        self._starts = Prefixes(starts) if starts else None
        self._ends = Prefixes({text[::-1]: number for text, number in ends.items()}) if ends else None
        contains = by_kind[Kind.CONTAINS]
        needles = list(dict.fromkeys((*contains, *wild)))
        self._contained = Contained(needles) if needles else None
        self._direct = [(contains[text],) if text in contains else () for text in needles]
        self._gated = {index: wild[text] for index, text in enumerate(needles) if text in wild}

    def scan(self, text: str, hits: set[int]) -> None:
        """Adds the atoms that hold for a text."""
        equal = self._equal.get(text)
        if equal is not None:
            hits.add(equal)
        if self._starts is not None:
            hits.update(self._starts.find(text))
        if self._ends is not None:
            hits.update(self._ends.find(text[::-1]))
        if self._contained is not None:
            direct, gated = self._direct, self._gated
            for index in self._contained.find(text):
                hits.update(direct[index])
                if index in gated:
                    hits.update(number for number, fits in gated[index] if fits(text))
        if self._always:
            hits.update(number for number, fits in self._always if fits(text))
