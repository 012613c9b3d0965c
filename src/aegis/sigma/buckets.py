"""The rules for one kind of event, compiled for it: what is already known of such events is folded away, the fields
that remain get one matcher each, and only rules whose witness shows up are evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import getitem
from typing import Any

from aegis.sigma.atoms import Atom
from aegis.sigma.fields import Fields, Reading, reader
from aegis.sigma.keywords import KeywordMatcher
from aegis.sigma.matchers import FieldMatcher
from aegis.sigma.memos import RESULT_BYTES, Caches, FieldMemo, Purse, Signature, Signatures
from aegis.sigma.nodes import FALSE, Node, atoms_in
from aegis.sigma.values import CONTAINERS, MISSING
from aegis.sigma.witnesses import Test, test_of, witness


class Bucket:
    """The compiled rules of one kind of event. `match` answers with the positions of the rules that hold."""

    __slots__ = (
        "_always",
        "_atoms",
        "_caches",
        "_fields",
        "_keywords",
        "_memos",
        "_names",
        "_purse",
        "_readers",
        "_results",
        "_signatures",
        "_tests",
        "_trees",
        "_witnesses",
    )

    def __init__(
        self,
        trees: Mapping[int, Node],
        atoms: Sequence[Atom],
        weights: Mapping[int, int],
        reading: Reading,
        caches: Caches | None,
        purse: Purse,
    ) -> None:
        self._trees = {position: tree for position, tree in trees.items() if tree != FALSE}
        self._tests: dict[int, Test] = {}
        self._caches = caches
        self._purse = purse
        self._read_witnesses(weights)
        used = sorted({atom for tree in self._trees.values() for atom in atoms_in(tree)})
        by_field: dict[str | None, list[tuple[int, Atom]]] = {}
        for number in used:
            by_field.setdefault(atoms[number].field, []).append((number, atoms[number]))
        keywords = by_field.pop(None, None)
        self._keywords = KeywordMatcher(keywords) if keywords else None
        self._names = tuple(str(name) for name in by_field)
        readers = [reader(name, reading) for name in self._names]
        self._readers = list(zip(self._names, readers, strict=True)) if any(readers) else None
        self._fields = [FieldMatcher(pairs, empty_is_null=reading.empty_is_null) for pairs in by_field.values()]
        bounds = caches or Caches()
        self._signatures = Signatures(self._witnesses, bounds.signatures)
        self._memos = [FieldMemo(matcher, self._signatures, bounds, purse) for matcher in self._fields]
        self._results: dict[tuple[Signature, ...], tuple[int, ...]] = {}

    def _read_witnesses(self, weights: Mapping[int, int]) -> None:
        lists: dict[int, list[int]] = {}
        always = []
        for position, tree in self._trees.items():
            found = witness(tree, weights)
            if found is None:
                always.append(position)
            for atom in found or ():
                lists.setdefault(atom, []).append(position)
        self._witnesses = {atom: tuple(positions) for atom, positions in lists.items()}
        self._always = frozenset(always)

    def __len__(self) -> int:
        return len(self._trees)

    def match(self, view: Fields) -> tuple[int, ...]:
        """The rules that hold for an event, by position, in order."""
        if not self._trees:
            return ()
        if self._caches is None:
            return self._match_afresh(view)
        try:
            key = tuple(map(getitem, self._memos, self._values(view)))
        except TypeError:  # a list or a mapping among the values
            key = self._key_of_any(view)
        if self._keywords is not None:
            key = (*key, self._signatures.of(self._keywords.scan(view)))
        found = self._results.get(key)
        if found is None:
            found = self._evaluate(
                frozenset().union(self._always, *(one.rules for one in key)), [one.atoms for one in key]
            )
            if len(self._results) >= self._caches.results:
                self._results.clear()
            self._purse.spend(RESULT_BYTES)
            self._results[key] = found
        return found

    def forget(self) -> None:
        """Empties every memo."""
        for memo in self._memos:
            memo.clear()
        self._results.clear()
        self._signatures.clear()

    def _values(self, view: Fields) -> Any:
        if self._readers is None:
            return map(view.get, self._names, repeat(MISSING))
        return [read(view) if read else view.get(name, MISSING) for name, read in self._readers]

    def _key_of_any(self, view: Fields) -> tuple[Signature, ...]:
        return tuple(
            memo.scan_value(value) if isinstance(value, CONTAINERS) else memo[value]
            for memo, value in zip(self._memos, self._values(view), strict=True)
        )

    def _match_afresh(self, view: Fields) -> tuple[int, ...]:
        sets = [
            matcher.scan(value) if type(value) is str and value.isascii() else matcher.scan_value(value)
            for matcher, value in zip(self._fields, self._values(view), strict=True)
        ]
        if self._keywords is not None:
            sets.append(self._keywords.scan(view))
        candidates = set(self._always)
        for atoms in sets:
            for atom in atoms:
                if atom in self._witnesses:
                    candidates.update(self._witnesses[atom])
        return self._evaluate(candidates, sets)

    def _evaluate(self, candidates: frozenset[int] | set[int], sets: Sequence[frozenset[int]]) -> tuple[int, ...]:
        if not candidates:
            return ()
        true: set[int] = set().union(*sets)
        tests = self._tests
        out = []
        for position in candidates:
            test = tests.get(position)
            if test is None:
                test = tests[position] = test_of(self._trees[position])
            if test(true):
                out.append(position)
        out.sort()
        return tuple(out)
