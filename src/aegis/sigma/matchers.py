"""All atoms of one field asked of a value at once: the value goes in, the set of atoms that hold comes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from aegis.sigma.atoms import Atom, Kind
from aegis.sigma.literals import Literals
from aegis.sigma.regexes import compile_regex
from aegis.sigma.values import MISSING, elements, fold, number_fits, text_of

_NOTHING: frozenset[int] = frozenset()
_STRINGS = frozenset((Kind.EQ, Kind.STARTS, Kind.ENDS, Kind.CONTAINS, Kind.WILD))


class FieldMatcher:
    """The atoms of one field, compiled. `missing` and `null` are the atoms that hold where there is no text."""

    __slots__ = (
        "_blank",
        "_cased",
        "_folded",
        "_networks",
        "_numbers",
        "_plain",
        "_present",
        "_regexes",
        "missing",
        "null",
    )

    def __init__(self, atoms: Sequence[tuple[int, Atom]], *, empty_is_null: bool = False) -> None:
        def of(kind: Kind) -> frozenset[int]:
            return frozenset(number for number, atom in atoms if atom.kind is kind)

        self.missing = of(Kind.NULL)
        self.null = of(Kind.NULL) | of(Kind.EXISTS)
        self._present = of(Kind.ANY) | of(Kind.EXISTS)
        self._blank = self.missing if empty_is_null else frozenset()
        self._regexes = [
            (number, compile_regex(str(atom.operand[0]), str(atom.operand[1])))
            for number, atom in atoms
            if atom.kind is Kind.RE
        ]
        folded = [pair for pair in atoms if pair[1].kind in _STRINGS and not pair[1].cased]
        cased = [pair for pair in atoms if pair[1].kind in _STRINGS and pair[1].cased]
        self._folded = Literals(folded)
        self._cased = Literals(cased) if cased else None
        self._networks = [(number, *_mask(str(atom.operand))) for number, atom in atoms if atom.kind is Kind.CIDR]
        self._numbers = [
            (number, str(atom.operand[0]), str(atom.operand[1]), Decimal(atom.operand[2]))
            for number, atom in atoms
            if atom.kind is Kind.NUM
        ]
        self._plain = not (self._cased or self._regexes or self._networks or self._numbers)

    def scan(self, text: str) -> frozenset[int]:
        """The atoms that hold for a text."""
        folded = text.lower()
        if not folded.isascii():
            folded = fold(text)
        hits = self._folded.scan(folded)
        if self._present:
            hits |= self._present
        if not text:
            hits |= self._blank
        if not self._plain:
            self._scan_others(text, hits)
        return frozenset(hits) if hits else _NOTHING

    def _scan_others(self, text: str, hits: set[int]) -> None:
        if self._cased is not None:
            hits |= self._cased.scan(text)
        hits.update(number for number, regex in self._regexes if regex.found_in(text))
        if self._networks:
            hits.update(self._inside(text))
        for number, part, compare, wanted in self._numbers:
            if number_fits(text, part, compare, wanted):
                hits.add(number)

    def scan_value(self, value: Any) -> frozenset[int]:
        """The atoms that hold for a value of any kind: for a list, those that hold for any of its elements."""
        if value is MISSING:
            return self.missing
        hits: set[int] = set()
        empty = True
        for one in elements(value):
            empty = False
            hits |= self.null if one is None else self.scan(text_of(one))
        return self.null if empty else frozenset(hits)

    def _inside(self, text: str) -> Iterable[int]:
        try:
            address = ip_address(text.strip())
        except ValueError:
            return
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        for candidate in (address, mapped):
            if candidate is not None:
                bits, version = int(candidate), candidate.version
                yield from (
                    number for number, of, start, shift in self._networks if of == version and bits >> shift == start
                )


def _mask(network: str) -> tuple[int, int, int]:
    wanted = ip_network(network)
    shift = wanted.max_prefixlen - wanted.prefixlen
    return wanted.version, int(wanted.network_address) >> shift, shift
