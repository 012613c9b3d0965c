"""Questions that are asked last: regular expressions and field references.

They are dear, or belong to an event rather than to a value. So a rule is first evaluated with an upper approximation of
them (a regex can only be found where one of its literals stands); only what is then still open is asked, of the event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from aegis.sigma.atoms import Atom, AtomTable, Kind
from aegis.sigma.fields import Fields, Reading, reader
from aegis.sigma.naive import ref_holds
from aegis.sigma.nodes import TRUE, AllOf, Constant, FieldRef, Node, Not, any_of, leaf
from aegis.sigma.regexes import compile_regex
from aegis.sigma.values import MISSING, elements, text_of

Ask = Callable[[Fields], bool]


def late_atoms(table: AtomTable) -> dict[int, Node]:
    """The regexes on fields, each with the tree that holds wherever it may be found: one of its literals stands there."""
    found: dict[int, Node] = {}
    for number, atom in enumerate(list(table.atoms)):
        if atom.kind is Kind.RE and atom.field is not None:
            gates = compile_regex(str(atom.operand[0]), str(atom.operand[1])).required.gates
            literals = [leaf(table.number(Atom(atom.field, Kind.CONTAINS, text))) for text in gates]
            found[number] = any_of(literals) if literals else TRUE
    return found


class Asker:
    """Turns what is open of a rule into a question to an event. Each regex is compiled once."""

    __slots__ = ("_asks", "_atoms", "_reading", "late")

    def __init__(self, atoms: Sequence[Atom], late: AbstractSet[int], reading: Reading) -> None:
        self._atoms = atoms
        self._reading = reading
        self.late = late
        self._asks: dict[int, Ask] = {}

    def ask(self, node: Node) -> Ask:
        """The tree, which has nothing but late atoms and field references, as a question."""
        if isinstance(node, Constant):
            value = node.value
            return lambda _: value
        if isinstance(node, FieldRef):
            reading = self._reading
            return lambda view: ref_holds(node, view, reading)
        if isinstance(node, Not):
            inner = self.ask(node.part)
            return lambda view: not inner(view)
        asks = [*(self._regex(atom) for atom in sorted(node.atoms)), *(self.ask(part) for part in node.parts)]
        if len(asks) == 1:
            return asks[0]
        join = all if isinstance(node, AllOf) else any
        return lambda view: join(ask(view) for ask in asks)

    def _regex(self, number: int) -> Ask:
        if number not in self._asks:
            self._asks[number] = self._compiled(self._atoms[number])
        return self._asks[number]

    def _compiled(self, atom: Atom) -> Ask:
        name = str(atom.field)
        found_in = compile_regex(str(atom.operand[0]), str(atom.operand[1])).found_in
        read = reader(name, self._reading) or (lambda view: view.get(name, MISSING))

        def ask(view: Fields) -> bool:
            value = read(view)
            if value is MISSING:
                return False
            return any(one is not None and found_in(text_of(one)) for one in elements(value))

        return ask
