"""The plain evaluator: walks the tree and asks each atom of the event, one by one.

It shares no index, cache or text search with the engine, so it is what the engine is tested against; the engine itself
uses it for the rare rules that compare two fields of an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, cast

from aegis.sigma.atoms import Atom, Kind
from aegis.sigma.fields import Fields, Reading, value_of
from aegis.sigma.nodes import AllOf, Constant, FieldRef, Node, Not
from aegis.sigma.patterns import MANY, ONE, Pieces
from aegis.sigma.regexes import compile_regex
from aegis.sigma.values import MISSING, elements, fold, leaf_texts, number_fits, text_of


def holds(node: Node, atoms: Sequence[Atom], fields: Fields, reading: Reading) -> bool:
    """Whether a tree holds for an event."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Not):
        return not holds(node.part, atoms, fields, reading)
    if isinstance(node, FieldRef):
        return ref_holds(node, fields, reading)
    answers = (
        *(atom_holds(atoms[atom], fields, reading) for atom in node.atoms),
        *(holds(part, atoms, fields, reading) for part in node.parts),
    )
    return all(answers) if isinstance(node, AllOf) else any(answers)


def atom_holds(atom: Atom, fields: Fields, reading: Reading) -> bool:
    """Whether one atom holds for an event."""
    if atom.field is None:
        return any(text_fits(atom, text) for text in leaf_texts(fields.values()))
    value = value_of(fields, atom.field, reading)
    if atom.kind is Kind.EXISTS:
        return value is not MISSING
    present = [] if value is MISSING else [one for one in elements(value) if one is not None]
    if atom.kind is Kind.NULL:
        blank = reading.empty_is_null and "" in present
        return value is MISSING or blank or len(present) < max(1, len(list(elements(value))))
    return any(text_fits(atom, text_of(one)) for one in present)


def text_fits(atom: Atom, text: str) -> bool:
    """Whether an atom that asks about a value holds for its text."""
    operand, mine = atom.operand, text if atom.cased else fold(text)
    match atom.kind:
        case Kind.ANY:
            return True
        case Kind.EQ:
            return mine == operand
        case Kind.STARTS:
            return mine.startswith(cast("str", operand))
        case Kind.ENDS:
            return mine.endswith(cast("str", operand))
        case Kind.CONTAINS:
            return cast("str", operand) in mine
        case Kind.WILD:
            return wild_fits(cast("Pieces", operand), mine)
        case Kind.RE:
            return compile_regex(str(operand[0]), str(operand[1])).search(text, text.encode())
        case Kind.CIDR:
            return in_network(text, cast("str", operand))
        case _:
            part, compare, number = (str(one) for one in operand)
            return number_fits(text, part, compare, Decimal(number))


def wild_fits(pieces: Pieces, text: str) -> bool:
    """Wildcards by the textbook: every position of the pattern against every position of the text."""
    marks: list[str | int] = []
    for piece in pieces:
        marks.extend(piece) if isinstance(piece, str) else marks.append(piece)
    reached = {0}
    reached |= _past_stars(marks, reached)
    for char in text:
        moved = set()
        for at in reached:
            if at < len(marks):
                if marks[at] == MANY:
                    moved.add(at)
                elif marks[at] in (ONE, char):
                    moved.add(at + 1)
        reached = _past_stars(marks, moved)
        if not reached:
            return False
    return len(marks) in reached


def _past_stars(marks: list[str | int], reached: set[int]) -> set[int]:
    out = set(reached)
    for at in reached:
        ahead = at
        while ahead < len(marks) and marks[ahead] == MANY:
            ahead += 1
            out.add(ahead)
    return out


def in_network(text: str, network: str) -> bool:
    """Whether a text is an address of a network; an IPv4 address written as IPv6 (`::ffff:`) counts as both."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    wanted = ip_network(network)
    return address in wanted or (mapped is not None and mapped in wanted)


def ref_holds(ref: FieldRef, fields: Fields, reading: Reading) -> bool:
    """Whether any text of one field relates to any text of the other as asked; a field that is null never does."""
    mine, other = (_texts(ref, value_of(fields, name, reading)) for name in (ref.field, ref.other))
    return any(_relates(ref.shape, text, wanted) for text in mine for wanted in other)


def _texts(ref: FieldRef, value: Any) -> list[str]:
    if value is MISSING:
        return []
    texts = [text_of(one) for one in elements(value) if one is not None]
    return texts if ref.cased else [fold(text) for text in texts]


def _relates(shape: str, text: str, wanted: str) -> bool:
    if shape == "startswith":
        return text.startswith(wanted)
    if shape == "endswith":
        return text.endswith(wanted)
    return wanted in text if shape == "contains" else text == wanted
