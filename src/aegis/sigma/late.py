"""Questions that are asked last: regular expressions and field references.

They are dear, or belong to an event rather than to a value. So a rule is first evaluated with bounds in their place: what
they hold at most (a regex is found only where one of its literals stands) and at least. Only if the two differ is the
event itself asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from aegis.sigma.atoms import Atom, AtomTable, Kind
from aegis.sigma.fields import Fields, Reader, Reading, reader
from aegis.sigma.naive import ref_holds
from aegis.sigma.nodes import TRUE, AllOf, Constant, FieldRef, Node, Not, any_of, at_most, atoms_in, leaf
from aegis.sigma.regexes import compile_regex
from aegis.sigma.values import MISSING, elements, text_of
from aegis.sigma.witnesses import Test, test_of

Ask = Callable[[Fields], bool]
Exact = Callable[[AbstractSet[int], Fields], bool]
"""Whether a rule holds, given the early atoms that hold and the event."""


def late_atoms(table: AtomTable) -> dict[int, Node]:
    """The regexes on fields, each with the tree that holds wherever it may be found: one of its literals stands there."""
    found: dict[int, Node] = {}
    for number, atom in enumerate(list(table.atoms)):
        if atom.kind is Kind.RE and atom.field is not None:
            gates = compile_regex(str(atom.operand[0]), str(atom.operand[1])).required.gates
            literals = [leaf(table.number(Atom(atom.field, Kind.CONTAINS, text))) for text in gates]
            found[number] = any_of(literals) if literals else TRUE
    return found


@dataclass(frozen=True, slots=True)
class Open:
    """A rule with late questions: its early atoms, a test that only holds if the rule surely does, and the exact one."""

    early: frozenset[int]
    surely: Test
    exact: Exact


class Asker:
    """Makes the tests of rules with late questions. Each regex is compiled once."""

    __slots__ = ("_asks", "_atoms", "_late", "_reading")

    def __init__(self, atoms: Sequence[Atom], late: Mapping[int, Node], reading: Reading) -> None:
        self._atoms = atoms
        self._late = late
        self._reading = reading
        self._asks: dict[int, Ask] = {}

    def open(self, tree: Node) -> Open:
        """The tests of a rule."""
        early = frozenset(atom for atom in atoms_in(tree) if atom not in self._late)
        return Open(early, test_of(at_most(tree, self._late, positive=False)), self._exact(tree))

    def _exact(self, node: Node) -> Exact:
        if isinstance(node, Constant):
            value = node.value
            return lambda _true, _view: value
        if isinstance(node, FieldRef):
            return self._ref(node)
        if isinstance(node, Not):
            inner = self._exact(node.part)
            return lambda true, view: not inner(true, view)
        early = frozenset(atom for atom in node.atoms if atom not in self._late)
        asks = [self._regex(atom) for atom in sorted(node.atoms - early)]
        parts = [self._exact(part) for part in node.parts]
        return _every(early, asks, parts) if isinstance(node, AllOf) else _some(early, asks, parts)

    def _ref(self, ref: FieldRef) -> Exact:
        reading, ref_field, ref_other = self._reading, self._read(ref.field), self._read(ref.other)

        def holds(_: AbstractSet[int], view: Fields) -> bool:
            mine, other = ref_field(view), ref_other(view)
            if type(mine) is str and type(other) is str and ref.shape == "eq" and len(mine) != len(other):
                return not mine.isascii() and ref_holds(ref, view, reading)
            return mine is not MISSING and other is not MISSING and ref_holds(ref, view, reading)

        return holds

    def _read(self, name: str) -> Reader:
        return reader(name, self._reading) or (lambda view: view.get(name, MISSING))

    def _regex(self, number: int) -> Ask:
        if number not in self._asks:
            self._asks[number] = self._compiled(self._atoms[number])
        return self._asks[number]

    def _compiled(self, atom: Atom) -> Ask:
        read = self._read(str(atom.field))
        found_in = compile_regex(str(atom.operand[0]), str(atom.operand[1])).found_in

        def ask(view: Fields) -> bool:
            value = read(view)
            if type(value) is str:
                return found_in(text_of(value))
            if value is MISSING:
                return False
            return any(one is not None and found_in(text_of(one)) for one in elements(value))

        return ask


def _every(early: frozenset[int], asks: Sequence[Ask], parts: Sequence[Exact]) -> Exact:
    def every(true: AbstractSet[int], view: Fields) -> bool:
        if not early <= true:
            return False
        for part in parts:
            if not part(true, view):
                return False
        for ask in asks:  # noqa: SIM110  # these run for every event: a generator would cost as much as the asking
            if not ask(view):
                return False
        return True

    return every


def _some(early: frozenset[int], asks: Sequence[Ask], parts: Sequence[Exact]) -> Exact:
    def some(true: AbstractSet[int], view: Fields) -> bool:
        if not early.isdisjoint(true):
            return True
        for part in parts:
            if part(true, view):
                return True
        for ask in asks:  # noqa: SIM110
            if ask(view):
                return True
        return False

    return some
