"""The rules for one kind of event, compiled for it.

What is already known of such events is folded away; each field that remains gets one matcher; only rules whose witness
shows up are evaluated, and of those only what is still open is asked of the event itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import repeat
from operator import getitem
from typing import Any

from aegis.sigma.atoms import Atom
from aegis.sigma.fields import Fields, Reading, reader
from aegis.sigma.keywords import KeywordMatcher
from aegis.sigma.late import Asker, Exact, Open
from aegis.sigma.matchers import FieldMatcher
from aegis.sigma.memos import RESULT_BYTES, Caches, FieldMemo, Purse, Signature, Signatures
from aegis.sigma.values import CONTAINERS, MISSING
from aegis.sigma.witnesses import Plan, Test, test_of

Answer = tuple[tuple[int, ...], tuple[tuple[int, Exact, frozenset[int]], ...]]
"""The rules that hold, and those that hold if the event says yes, with the early atoms that hold of them."""


class Bucket:
    """The compiled rules of one kind of event. `match` answers with the positions of the rules that hold."""

    def __init__(
        self,
        plans: Mapping[int, Plan],
        atoms: Sequence[Atom],
        asker: Asker,
        reading: Reading,
        caches: Caches | None,
        purse: Purse,
    ) -> None:
        self._plans = plans
        self._asker = asker
        self._tests: dict[int, Test] = {}
        self._opens: dict[int, Open] = {}
        self._caches = caches
        self._purse = purse
        self._witnesses, self._always = _witnesses(plans)
        by_field: dict[str | None, list[tuple[int, Atom]]] = {}
        for number in sorted(frozenset().union(*(plan.atoms for plan in plans.values()))):
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
        self._results: dict[tuple[Signature, ...], Answer] = {}

    def match(self, view: Fields) -> tuple[int, ...]:
        """The rules that hold for an event, by position, in order."""
        if not self._plans:
            return ()
        sure, open_ = self._answer_afresh(view) if self._caches is None else self._answer(view, self._caches)
        if open_:
            asked = [position for position, exact, true in open_ if exact(true, view)]
            return tuple(sorted((*sure, *asked))) if asked else sure
        return sure

    def forget(self) -> None:
        """Empties every memo."""
        for memo in self._memos:
            memo.clear()
        self._results.clear()
        self._signatures.clear()

    def _answer(self, view: Fields, caches: Caches) -> Answer:
        try:
            key = tuple(map(getitem, self._memos, self._values(view)))
        except TypeError:  # a list or a mapping among the values
            key = self._key_of_any(view)
        if self._keywords is not None:
            key = (*key, self._signatures.of(self._keywords.scan(view)))
        found = self._results.get(key)
        if found is None:
            candidates = self._always.union(*[one.rules for one in key])
            found = self._evaluate(candidates, [one.atoms for one in key])
            if len(self._results) >= caches.results:
                self._results.clear()
            if self._purse.left < RESULT_BYTES:
                self._purse.refill()
            self._purse.left -= RESULT_BYTES
            self._results[key] = found
        return found

    def _values(self, view: Fields) -> Iterable[Any]:
        if self._readers is None:
            return map(view.get, self._names, repeat(MISSING))
        return [read(view) if read else view.get(name, MISSING) for name, read in self._readers]

    def _key_of_any(self, view: Fields) -> tuple[Signature, ...]:
        return tuple(
            memo.scan_value(value) if isinstance(value, CONTAINERS) else memo[value]
            for memo, value in zip(self._memos, self._values(view), strict=True)
        )

    def _answer_afresh(self, view: Fields) -> Answer:
        sets = [
            matcher.scan(value) if type(value) is str and value.isascii() else matcher.scan_value(value)
            for matcher, value in zip(self._fields, self._values(view), strict=True)
        ]
        if self._keywords is not None:
            sets.append(self._keywords.scan(view))
        witnesses = self._witnesses
        called = [witnesses[atom] for atoms in sets for atom in atoms if atom in witnesses]
        return self._evaluate(self._always.union(*called), sets)

    def _evaluate(self, candidates: AbstractSet[int], sets: Sequence[frozenset[int]]) -> Answer:
        if not candidates:
            return (), ()
        true: set[int] = set().union(*sets)
        tests = self._tests
        sure: list[int] = []
        open_: list[tuple[int, Exact, frozenset[int]]] = []
        opens = self._opens
        for position in candidates:
            test = tests.get(position)
            if test is None:
                test = self._compile(position)
            if test(true):
                late = opens.get(position)
                if late is None or late.surely(true):
                    sure.append(position)
                else:
                    open_.append((position, late.exact, late.early.intersection(true)))
        sure.sort()
        return tuple(sure), tuple(open_)

    def _compile(self, position: int) -> Test:
        """The test of a rule, made when it is first needed: most rules never are."""
        plan = self._plans[position]
        if plan.bound is not plan.exact:
            self._opens[position] = self._asker.open(plan.exact)
        test = self._tests[position] = test_of(plan.bound)
        return test


def _witnesses(plans: Mapping[int, Plan]) -> tuple[dict[int, tuple[int, ...]], frozenset[int]]:
    """The rules that each atom is a witness for, and the rules without any."""
    lists: dict[int, list[int]] = {}
    always = []
    for position, plan in plans.items():
        if plan.witness is None:
            always.append(position)
        for atom in plan.witness or ():
            lists.setdefault(atom, []).append(position)
    return {atom: tuple(positions) for atom, positions in lists.items()}, frozenset(always)
