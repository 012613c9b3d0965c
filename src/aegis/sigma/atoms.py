"""Atoms: the smallest questions about one field, and the table that stores each of them once.

Identical atoms of all rules share one number, so a value is asked each question at most once.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from aegis.sigma.patterns import MANY, Piece, Pieces
from aegis.sigma.values import fold


class Kind(IntEnum):
    """What an atom asks. The operand of each is in brackets."""

    EQ = 1
    """The text is [text]."""
    STARTS = 2
    """The text starts with [text]."""
    ENDS = 3
    """The text ends with [text]."""
    CONTAINS = 4
    """The text contains [text]."""
    WILD = 5
    """The text fits [pieces]."""
    RE = 6
    """[pattern, flags] is found in the text."""
    CIDR = 7
    """The address lies in [network]."""
    NUM = 8
    """[part, comparison, number] holds for the number, or for a part of the time."""
    NULL = 9
    """The field is missing or null."""
    EXISTS = 10
    """The field is there, null or not."""
    ANY = 11
    """The field is there and not null."""


Operand: TypeAlias = str | tuple[Piece, ...]


class Atom(NamedTuple):
    """One question. `field` None stands for the whole event (keywords). Operands are folded unless `cased`."""

    field: str | None
    kind: Kind
    operand: Operand = ""
    cased: bool = False


class AtomTable:
    """Numbers for atoms, given in order of first use."""

    __slots__ = ("_ids", "atoms")

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._ids: dict[Atom, int] = {}

    def number(self, atom: Atom) -> int:
        """The number of an atom; the same for equal atoms."""
        known = self._ids.get(atom)
        if known is None:
            known = self._ids[atom] = len(self.atoms)
            self.atoms.append(atom)
        return known


def string_atom(field: str | None, pieces: Pieces, *, cased: bool) -> Atom:
    """The cheapest atom that asks whether a field fits a Sigma string."""
    if not cased:
        pieces = tuple(fold(piece) if isinstance(piece, str) else piece for piece in pieces)
    if pieces == (MANY,):
        return Atom(field, Kind.ANY)
    starts_open, ends_open = pieces[:1] == (MANY,), pieces[-1:] == (MANY,)
    inner = pieces[starts_open : len(pieces) - ends_open]
    if len(inner) > 1 or (inner and not isinstance(inner[0], str)):
        return Atom(field, Kind.WILD, pieces, cased)
    text = str(inner[0]) if inner else ""
    kind = {
        (False, False): Kind.EQ,
        (False, True): Kind.STARTS,
        (True, False): Kind.ENDS,
        (True, True): Kind.CONTAINS,
    }[starts_open, ends_open]
    return Atom(field, kind, text, cased)
