"""Rule trees: AND, OR, NOT over atoms, kept flat and free of constants.

An atom is its number. `AllOf` and `AnyOf` hold their atoms as sets, so that one set operation asks them all; a single atom
is an `AnyOf` of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

_NONE: Final[frozenset[int]] = frozenset()

RefShape = Literal["eq", "startswith", "endswith", "contains"]


@dataclass(frozen=True, slots=True)
class Constant:
    """Always true, or always false."""

    value: bool


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every atom and every part holds."""

    atoms: frozenset[int]
    parts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one atom or part holds."""

    atoms: frozenset[int]
    parts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Node


@dataclass(frozen=True, slots=True)
class FieldRef:
    """The text of one field relates to that of another field of the same event."""

    field: str
    other: str
    shape: RefShape = "eq"
    cased: bool = False


Node: TypeAlias = Constant | AllOf | AnyOf | Not | FieldRef

TRUE: Final = Constant(value=True)
FALSE: Final = Constant(value=False)


def leaf(atom: int) -> Node:
    """The tree that is one atom."""
    return AnyOf(frozenset((atom,)))


def negate(node: Node) -> Node:
    """NOT, with double negation and constants removed."""
    if isinstance(node, Not):
        return node.part
    if isinstance(node, Constant):
        return FALSE if node.value else TRUE
    return Not(node)


def all_of(nodes: Iterable[Node]) -> Node:
    """AND, flattened."""
    atoms: set[int] = set()
    parts: list[Node] = []
    for node in nodes:
        if isinstance(node, Constant):
            if not node.value:
                return FALSE
        elif isinstance(node, AllOf):
            atoms |= node.atoms
            parts.extend(part for part in node.parts if part not in parts)
        elif isinstance(node, AnyOf) and not node.parts and len(node.atoms) == 1:
            atoms |= node.atoms
        elif node not in parts:
            parts.append(node)
    if not parts:
        return TRUE if not atoms else (AnyOf if len(atoms) == 1 else AllOf)(frozenset(atoms))
    if not atoms and len(parts) == 1:
        return parts[0]
    return AllOf(frozenset(atoms), tuple(parts))


def any_of(nodes: Iterable[Node]) -> Node:
    """OR, flattened."""
    atoms: set[int] = set()
    parts: list[Node] = []
    for node in nodes:
        if isinstance(node, Constant):
            if node.value:
                return TRUE
        elif isinstance(node, AnyOf):
            atoms |= node.atoms
            parts.extend(part for part in node.parts if part not in parts)
        elif node not in parts:
            parts.append(node)
    if not parts:
        return AnyOf(frozenset(atoms)) if atoms else FALSE
    if not atoms and len(parts) == 1:
        return parts[0]
    return AnyOf(frozenset(atoms), tuple(parts))


def with_known(node: Node, known: Mapping[int, bool]) -> Node:
    """The tree once the truth of some atoms is known: what remains to be asked. The same object if nothing changes."""
    if isinstance(node, Not):
        part = with_known(node.part, known)
        return node if part is node.part else negate(part)
    if not isinstance(node, AllOf | AnyOf):
        return node
    settles = isinstance(node, AnyOf)
    rest: list[int] = []
    for atom in node.atoms:
        value = known.get(atom)
        if value is None:
            rest.append(atom)
        elif value is settles:
            return TRUE if settles else FALSE
    parts: list[Node] = []
    same = len(rest) == len(node.atoms)
    for part in node.parts:
        left = with_known(part, known)
        if isinstance(left, Constant) and left.value is settles:
            return left
        same = same and left is part
        parts.append(left)
    if same:
        return node
    return (any_of if settles else all_of)([*map(leaf, rest), *parts])


def at_most(node: Node, late: Mapping[int, Node], *, positive: bool = True) -> Node:
    """A tree without field references and `late` atoms that holds whenever this one does: its upper approximation.
    `late` gives for each atom that is asked late a tree that holds whenever the atom does.
    """
    if isinstance(node, FieldRef):
        return TRUE if positive else FALSE
    if isinstance(node, Not):
        return negate(at_most(node.part, late, positive=not positive))
    if isinstance(node, AllOf | AnyOf) and (node.parts or not late.keys().isdisjoint(node.atoms)):
        join = all_of if isinstance(node, AllOf) else any_of
        atoms = [(late[atom] if positive else FALSE) if atom in late else leaf(atom) for atom in node.atoms]
        return join([*atoms, *(at_most(part, late, positive=positive) for part in node.parts)])
    return node


def atoms_in(node: Node) -> Iterator[int]:
    """Every atom of a tree, some more than once."""
    if isinstance(node, Not):
        yield from atoms_in(node.part)
    elif isinstance(node, AllOf | AnyOf):
        yield from node.atoms
        for part in node.parts:
            yield from atoms_in(part)


def refs_in(node: Node) -> Iterator[FieldRef]:
    """Every field reference of a tree."""
    if isinstance(node, FieldRef):
        yield node
    elif isinstance(node, Not):
        yield from refs_in(node.part)
    elif isinstance(node, AllOf | AnyOf):
        for part in node.parts:
            yield from refs_in(part)
