"""Thousands of texts asked of one value at once: equal, starts, ends, contains, and wildcards where the literal text
that they need stands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from aegis.sigma.atoms import Atom, Kind
from aegis.sigma.globs import Glob
from aegis.sigma.patterns import Pieces

CHUNK_CHARS = 1 << 14
"""Long values are searched piece by piece, so that what the search returns at once stays small."""

LONG_CHARS = 512
DENSE_AFTER_CHARS = 500_000
"""Once so much long text was searched, a dense automaton pays: it takes some 5 ms to build and halves the search."""
DENSE_NEEDLE_CHARS = 16_384
"""Needles for which a dense automaton stays within some 4 MB."""

FEW = 8
"""Up to so many texts are asked one by one (measured: an index costs as much as some ten of them)."""

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


class Index:
    """One automaton over many texts, each with the label that is found."""

    __slots__ = ("_labelled", "_labels", "_left", "_overlap", "_search")

    def __init__(self, labelled: Mapping[str, int]) -> None:
        self._search = AhoCorasick(labelled).find_matches_as_indexes
        self._labels = list(labelled.values())
        self._overlap = max(map(len, labelled)) - 1
        self._labelled = labelled
        self._left = DENSE_AFTER_CHARS if sum(map(len, labelled)) <= DENSE_NEEDLE_CHARS else 0

    def find(self, text: str) -> set[int]:
        """The labels of those that stand in the text."""
        if len(text) > LONG_CHARS:
            return self._find_in_long(text)
        labels = self._labels
        return {labels[index] for index, _, _ in self._search(text, overlapping=True)}

    def _find_in_long(self, text: str) -> set[int]:
        if self._left > 0:
            self._left -= len(text)
            if self._left <= 0:
                self._search = AhoCorasick(self._labelled, implementation=Implementation.DFA).find_matches_as_indexes
        labels = self._labels
        out: set[int] = set()
        for start in range(0, len(text), CHUNK_CHARS):
            chunk = text[start : start + CHUNK_CHARS + self._overlap]
            out.update([labels[index] for index, _, _ in self._search(chunk, overlapping=True)])
        return out


class Contained:
    """Which of many texts stand somewhere in a text.

    Two in five of the texts that SigmaHQ looks for in command lines hold other than ASCII characters (dashes, look-alike
    letters); hardly any command line does. So those have an index of their own, which an ASCII text is spared. Single
    characters stand in a text many times, and are asked for one by one.
    """

    __slots__ = ("_characters", "_other", "_plain")

    def __init__(self, labelled: Mapping[str, int]) -> None:
        plain = {text: label for text, label in labelled.items() if text.isascii()}
        other = {text: label for text, label in labelled.items() if not text.isascii()}
        self._characters = [(text, label) for text, label in plain.items() if len(text) == 1]
        longer = {text: label for text, label in plain.items() if len(text) > 1}
        self._plain = Index(longer) if longer else None
        self._other = Index(other) if other else None

    def find(self, text: str) -> set[int]:
        """The labels of those that stand in the text."""
        found = self._plain.find(text) if self._plain is not None else set()
        for character, label in self._characters:
            if character in text:
                found.add(label)
        if self._other is not None and not text.isascii():
            found |= self._other.find(text)
        return found


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


class Few:
    """A handful of texts, asked one by one: below some ten that is faster than any index."""

    __slots__ = ("_kind", "_pairs", "_texts")

    def __init__(self, entries: Mapping[str, int], kind: Kind) -> None:
        self._texts = tuple(entries)
        self._pairs = tuple(entries.items())
        self._kind = kind

    def find(self, text: str) -> Iterable[int]:
        """The atoms that hold for the text."""
        match self._kind:
            case Kind.STARTS:
                if text.startswith(self._texts):
                    return [number for one, number in self._pairs if text.startswith(one)]
            case Kind.ENDS:
                if text.endswith(self._texts):
                    return [number for one, number in self._pairs if text.endswith(one)]
            case _:
                return [number for one, number in self._pairs if one in text]
        return ()


class Suffixes:
    """Which of many texts a text ends with."""

    __slots__ = ("_prefixes",)

    def __init__(self, entries: Mapping[str, int]) -> None:
        self._prefixes = Prefixes({text[::-1]: number for text, number in entries.items()})

    def find(self, text: str) -> Iterable[int]:
        """The atoms of every entry that the text ends with."""
        return self._prefixes.find(text[::-1])


class Literals:
    """All string atoms of one field: all folded, or all cased. Wildcards wait for the longest text they need."""

    __slots__ = ("_always", "_equal", "_finders", "_gated", "_gates")

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
        contains = by_kind[Kind.CONTAINS]
        labelled = dict(contains)
        self._gated: dict[int, list[tuple[int, Check]]] = {}
        for index, (text, checks) in enumerate(wild.items()):
            if text in contains:
                checks.append((contains[text], lambda _: True))
            labelled[text] = gate = -1 - index
            self._gated[gate] = checks
        self._gates = frozenset(self._gated)
        self._equal = by_kind[Kind.EQ]
        self._finders = [
            (Few(entries, kind) if len(entries) <= FEW else index(entries)).find
            for kind, entries, index in (
                (Kind.CONTAINS, labelled, Contained),
                (Kind.STARTS, by_kind[Kind.STARTS], Prefixes),
                (Kind.ENDS, by_kind[Kind.ENDS], Suffixes),
            )
            if entries
        ]

    def scan(self, text: str) -> set[int]:
        """The atoms that hold for a text."""
        hits: set[int] = set()
        for find in self._finders:
            hits.update(find(text))
        if self._gates and not self._gates.isdisjoint(hits):
            opened = self._gates.intersection(hits)
            hits -= opened
            hits.update([number for gate in opened for number, fits in self._gated[gate] if fits(text)])
        if text in self._equal:
            hits.add(self._equal[text])
        if self._always:
            hits.update([number for number, fits in self._always if fits(text)])
        return hits
