"""The detection engine: rules in, then events in and matches out.

Every rule is compiled once; every kind of event gets a bucket of the rules that concern it, made when the first such
event comes. What cannot be used stands in `problems`, and the rest works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis.core.errors import BadInput
from aegis.core.incidents import LogSource
from aegis.sigma.atoms import Atom, AtomTable
from aegis.sigma.buckets import Bucket
from aegis.sigma.compiling import compile_rule
from aegis.sigma.evidence import evidence_of
from aegis.sigma.fields import Fields, Reading, flat_view, without_spaces
from aegis.sigma.items import Placeholders
from aegis.sigma.late import Asker, late_atoms
from aegis.sigma.memos import Caches, Purse
from aegis.sigma.naive import holds
from aegis.sigma.nodes import Constant, Node, at_most, atoms_in, refs_in
from aegis.sigma.routing import Router
from aegis.sigma.rules import Filter, Match, Problem, Rule
from aegis.sigma.witnesses import Plan, plan_of, weight


@dataclass(frozen=True, slots=True)
class Prepared:
    """A compiled rule: its tree, the fields that its atoms touch, and its keywords."""

    rule: Rule
    tree: Node
    names: tuple[str, ...]
    keywords: tuple[Atom, ...]


class Engine:
    """Matches events against rules.

    `placeholders` gives the values of `%name%` for rules with the modifier `expand`; `caches` bounds what is kept
    between events (None keeps nothing: for measurements and tests). Rules that cannot be used are in `problems`.
    Not safe for use by several threads at once.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        filters: Sequence[Filter] = (),
        *,
        placeholders: Placeholders | None = None,
        caches: Caches | None = Caches(),  # noqa: B008  # frozen
    ) -> None:
        self._table = AtomTable()
        self._prepared: list[Prepared] = []
        problems: list[Problem] = []
        seen: set[str] = set()
        for rule in rules:
            if rule.id in seen:
                problems.append(_problem(rule, "another rule has the same id"))
                continue
            try:
                self._prepared.append(self._prepare(compile_rule(rule, filters, self._table, placeholders or {}), rule))
                seen.add(rule.id)
            except BadInput as error:
                problems.append(_problem(rule, str(error)))
        self.problems = tuple(problems)
        self._late = late_atoms(self._table)
        popularity = Counter(
            atom for one in self._prepared for atom in {*atoms_in(one.tree), *atoms_in(at_most(one.tree, self._late))}
        )
        self._weights = {atom: weight(self._table.atoms[atom], count) for atom, count in popularity.items()}
        self._purse = Purse((caches or Caches()).bytes, self._forget)
        self._askers: dict[int, Asker] = {}
        self._router = Router(
            [(one.rule.logsource, self._plan(one.tree)) for one in self._prepared],
            self._table.atoms,
            self._make,
            self._plan,
            caches or Caches(),
        )
        self._caches = caches

    def _prepare(self, tree: Node, rule: Rule) -> Prepared:
        if isinstance(tree, Constant):
            raise BadInput("its condition is always " + ("true" if tree.value else "false"))
        atoms = [self._table.atoms[atom] for atom in dict.fromkeys(sorted(atoms_in(tree)))]
        refs = list(refs_in(tree))
        names = dict.fromkeys(atom.field for atom in atoms if atom.field is not None)
        names |= dict.fromkeys(name for ref in refs for name in (ref.field, ref.other))
        return Prepared(rule, tree, tuple(names), tuple(atom for atom in atoms if atom.field is None))

    def _plan(self, tree: Node) -> Plan:
        return plan_of(tree, self._late, self._weights)

    def _make(self, plans: Mapping[int, Plan], reading: Reading) -> Bucket:
        asker = self._askers.setdefault(id(reading), Asker(self._table.atoms, self._late, reading))
        return Bucket(plans, self._table.atoms, asker, reading, self._caches, self._purse)

    def _forget(self) -> None:
        for bucket in self._router.buckets():
            bucket.forget()

    def match(self, fields: Mapping[str, Any], logsource: LogSource | None = None) -> tuple[Match, ...]:
        """The rules that an event matches, in the order in which they were given.

        `fields` is a flat event, EVTX as JSON, a Winlogbeat document or a CloudTrail record. The log source is found
        from the event itself; `logsource` adds what the caller knows.
        """
        view = flat_view(fields) if "Event" in fields or "winlog" in fields else fields
        route = self._router.route(view, logsource)
        if route.reading.spaced:
            view = without_spaces(view)
        found = route.bucket.match(view)
        return tuple(self._matches(found, view, route.reading)) if found else ()

    def naive_match(self, fields: Mapping[str, Any], logsource: LogSource | None = None) -> tuple[Match, ...]:
        """The same answer the slow way: every rule's tree is walked for the event. For tests."""
        view = flat_view(fields)
        facets = self._router.facets(view, logsource)
        if facets.reading.spaced:
            view = without_spaces(view)
        return tuple(
            Match(one.rule, evidence_of(view, one.names, one.keywords, facets.reading))
            for one in self._prepared
            if facets.accepts(one.rule.logsource) and holds(one.tree, self._table.atoms, view, facets.reading)
        )

    def _matches(self, positions: tuple[int, ...], view: Fields, reading: Reading) -> Iterable[Match]:
        for position in positions:
            one = self._prepared[position]
            yield Match(one.rule, evidence_of(view, one.names, one.keywords, reading))


def _problem(rule: Rule, reason: str) -> Problem:
    return Problem(origin=rule.origin, line=rule.line, rule=f"{rule.id} {rule.title}"[:160], reason=reason)
