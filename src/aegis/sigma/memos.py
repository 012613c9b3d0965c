"""What was already worked out: the atoms that hold for a value, the rules that hold for a combination.

Bounded against a sender who varies every value: long values are never kept, a full memo starts anew, and all memos of
an engine draw on one purse. True, 1 and 1.0 are one key to a dict, so no bool, float, 0 or 1 is ever kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aegis.sigma.matchers import FieldMatcher
from aegis.sigma.values import CONTAINERS, MISSING, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """Bounds of everything an engine keeps. `bytes` is an estimate of all memos together: an entry costs its text and
    `ENTRY_BYTES`. Values per field and results per bucket are enough for the busiest of our corpora to stay warm; logged
    scripts come in pieces of up to 16,384 characters.
    """

    bytes: int = 48 << 20
    values: int = 16_384
    value_chars: int = 16_384
    results: int = 16_384
    signatures: int = 16_384
    buckets: int = 256
    routes: int = 4_096


ENTRY_BYTES = 250
"""A key's object header, a dict slot and a share of the set that it points to."""
RESULT_BYTES = 400


class Purse:
    """What all memos of an engine may still keep. When it is spent, everything is forgotten at once."""

    __slots__ = ("_bytes", "_forget", "emptied", "left")

    def __init__(self, bytes_: int, forget: Callable[[], None]) -> None:
        self._bytes = self.left = bytes_
        self._forget = forget
        self.emptied = 0

    def refill(self) -> None:
        """Forgets everything that was kept."""
        self.left = self._bytes
        self.emptied += 1
        self._forget()


@dataclass(eq=False, slots=True)
class Signature:
    """The atoms that hold for a value, and the rules for which one of them is a witness. Compared by identity."""

    atoms: frozenset[int]
    rules: frozenset[int]


class Signatures:
    """Each set of atoms as one `Signature`. Forgetting some only costs time: two for the same set work alike."""

    __slots__ = ("_known", "_most", "_witnesses")

    def __init__(self, witnesses: Mapping[int, tuple[int, ...]], most: int) -> None:
        self._witnesses = witnesses
        self._most = most
        self._known: dict[frozenset[int], Signature] = {}

    def of(self, atoms: frozenset[int]) -> Signature:
        """The signature of a set of atoms."""
        known = self._known.get(atoms)
        if known is None:
            if len(self._known) >= self._most:
                self._known.clear()
            rules = frozenset(rule for atom in atoms for rule in self._witnesses.get(atom, ()))
            known = self._known[atoms] = Signature(atoms, rules)
        return known

    def clear(self) -> None:
        self._known.clear()


class FieldMemo(dict[Any, Signature]):
    """The signature of each value of one field; a value not seen before is scanned.

    Looking up a list or mapping raises `TypeError`: those go to `scan_value`.
    """

    __slots__ = ("_chars", "_matcher", "_most", "_purse", "_signatures")

    def __init__(self, matcher: FieldMatcher, signatures: Signatures, caches: Caches, purse: Purse) -> None:
        super().__init__()
        self._matcher = matcher
        self._signatures = signatures
        self._most = caches.values
        self._chars = caches.value_chars
        self._purse = purse

    def __missing__(self, value: Any) -> Signature:
        if type(value) is str:
            found = self._signatures.of(self._matcher.scan(value if value.isascii() else text_of(value)))
            if len(value) <= self._chars:
                self._keep(value, found, len(value))
            return found
        if value is MISSING or value is None:
            atoms = self._matcher.missing if value is MISSING else self._matcher.null
            found = self[value] = self._signatures.of(atoms)
            return found
        if isinstance(value, CONTAINERS):
            return self.scan_value(value)
        text = text_of(value)
        found = self[text]
        if type(value) is int and value not in (0, 1):
            self._keep(value, found, len(text))
        return found

    def scan_value(self, value: Any) -> Signature:
        """The signature of a value of any kind."""
        return self._signatures.of(self._matcher.scan_value(value))

    def _keep(self, value: Any, found: Signature, chars: int) -> None:
        purse = self._purse
        cost = chars + ENTRY_BYTES
        if purse.left < cost:
            purse.refill()
        if len(self) >= self._most:
            self.clear()
        purse.left -= cost
        self[value] = found
