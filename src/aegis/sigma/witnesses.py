"""Which rules need a closer look: each rule names a small set of atoms of which one must hold if the rule does.

AND: the cheapest of what it needs. OR: everything that any branch needs. NOT: nothing is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from aegis.sigma.atoms import Atom, Kind
from aegis.sigma.nodes import AllOf, AnyOf, Constant, Node, Not, at_most, atoms_in

Test = Callable[[AbstractSet[int]], bool]

_WEIGHT: Mapping[Kind, int] = {
    Kind.EQ: 2,
    Kind.STARTS: 4,
    Kind.ENDS: 3,
    Kind.CONTAINS: 3,
    Kind.WILD: 2,
    Kind.RE: 2,
    Kind.CIDR: 20,
    Kind.NUM: 20,
    Kind.NULL: 100,
    Kind.EXISTS: 200,
    Kind.ANY: 200,
}
"""How often an atom of each kind is true in real logs, roughly, relative to the others."""
_SHORT_CHARS = 4
_SHORT_WEIGHT = 20


def weight(atom: Atom, popularity: int) -> int:
    """How likely an atom is to be true: rules look for common things often and for rare things once."""
    own = _WEIGHT[atom.kind]
    if atom.kind in (Kind.CONTAINS, Kind.STARTS) and len(atom.operand) < _SHORT_CHARS:
        own += _SHORT_WEIGHT
    return own * popularity


def witness(node: Node, weights: Mapping[int, int]) -> frozenset[int] | None:
    """A set of atoms of which one holds whenever the tree does; None if there is none."""
    if isinstance(node, Constant):
        return None if node.value else frozenset()
    if isinstance(node, AnyOf):
        found = node.atoms
        for part in node.parts:
            inner = witness(part, weights)
            if inner is None:
                return None
            found |= inner
        return found
    if isinstance(node, AllOf):
        choices = [frozenset((atom,)) for atom in node.atoms]
        choices += [inner for part in node.parts if (inner := witness(part, weights)) is not None]
        return min(choices, key=lambda atoms: (sum(weights[atom] for atom in atoms), sorted(atoms)), default=None)
    return None


@dataclass(frozen=True, slots=True)
class Plan:
    """A rule's tree as it is evaluated: `exact`; its upper bound without late questions; every atom that has to be known
    of an event, also those that only the lower bound or the exact tree depend on; and its witness.
    """

    exact: Node
    bound: Node
    atoms: frozenset[int]
    witness: frozenset[int] | None


def plan_of(tree: Node, late: Mapping[int, Node], weights: Mapping[int, int]) -> Plan:
    """How a tree is evaluated."""
    bound = at_most(tree, late)
    asked = {one for atom in atoms_in(tree) for one in (atoms_in(late[atom]) if atom in late else (atom,))}
    return Plan(tree, bound, frozenset(asked), witness(bound, weights))


def test_of(node: Node) -> Test:
    """The tree as a function of the atoms that hold. Trees with field references have none: approximate them first."""
    if isinstance(node, Constant):
        return lambda _, value=node.value: value  # type: ignore[misc]
    if isinstance(node, Not):
        return _negated(node.part)
    if isinstance(node, AllOf):
        return _every(node.atoms, [test_of(part) for part in _cheap_first(node.parts)])
    if isinstance(node, AnyOf):
        return _some(node.atoms, [test_of(part) for part in node.parts])
    raise AssertionError("a field reference is not a question about atoms")


def _cheap_first(parts: Sequence[Node]) -> list[Node]:
    return sorted(parts, key=lambda part: (isinstance(part, Not), bool(getattr(part, "parts", ()))))


def _negated(part: Node) -> Test:
    if isinstance(part, AnyOf) and not part.parts:
        return part.atoms.isdisjoint
    inner = test_of(part)
    return lambda true: not inner(true)


def _every(atoms: frozenset[int], tests: Sequence[Test]) -> Test:
    if not tests:
        return atoms.issubset

    def every(true: AbstractSet[int]) -> bool:
        if not atoms <= true:
            return False
        for test in tests:  # noqa: SIM110  # a generator would cost more than the tests
            if not test(true):
                return False
        return True

    return every


def _some(atoms: frozenset[int], tests: Sequence[Test]) -> Test:
    apart = atoms.isdisjoint
    if not tests:
        return lambda true: not apart(true)

    def some(true: AbstractSet[int]) -> bool:
        if not apart(true):
            return True
        for test in tests:  # noqa: SIM110
            if test(true):
                return True
        return False

    return some
