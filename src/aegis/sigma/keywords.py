"""Keywords: atoms about the whole event, asked of all its values together before any is looked at alone.

Nearly every event holds no keyword. So its texts are joined and searched once; only if a literal turns up is each text
asked on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aegis.sigma.atoms import Atom, Kind
from aegis.sigma.literals import AnyContained
from aegis.sigma.matchers import FieldMatcher
from aegis.sigma.regexes import compile_regex
from aegis.sigma.values import CONTAINERS, fold, leaf_texts, text_of

_SCALARS = frozenset((str, int, float, bool, type(None)))
_NUMERIC = frozenset("0123456789+-.einfa")
_NOTHING: frozenset[int] = frozenset()


class KeywordMatcher:
    """The keyword atoms of a bucket, compiled."""

    __slots__ = ("_each", "_gate", "_gate_knows_ascii_only", "_numbers_matter")

    def __init__(self, atoms: Sequence[tuple[int, Atom]]) -> None:
        self._each = FieldMatcher(atoms)
        needles = [needle for _, atom in atoms for needle in _needles(atom)]
        self._gate = AnyContained(dict.fromkeys(needles)) if needles and all(needles) else None
        self._gate_knows_ascii_only = any(atom.kind is Kind.RE for _, atom in atoms)
        self._numbers_matter = self._gate is None or any(
            _NUMERIC.issuperset(needle) or needle in "true" or needle in "false" for needle in needles
        )

    def scan(self, view: Mapping[str, Any]) -> frozenset[int]:
        """The atoms that hold for at least one value of the event."""
        texts = self._texts(view)
        joined = text_of("\n".join(texts))
        sure = self._gate is not None and (joined.isascii() or not self._gate_knows_ascii_only)
        if sure and self._gate is not None and not self._gate.find(fold(joined)):
            return _NOTHING
        return _NOTHING.union(*(self._each.scan(text_of(text)) for text in texts))

    def _texts(self, view: Mapping[str, Any]) -> list[str]:
        """The values to look into: all of them, or where no keyword could be a number, the texts alone."""
        if self._numbers_matter:
            return list(leaf_texts(view.values()))
        values = view.values()
        texts = [value for value in values if type(value) is str]
        if not _SCALARS.issuperset(map(type, values)):
            texts.extend(leaf_texts([one for one in values if type(one) in CONTAINERS]))
        return texts


def _needles(atom: Atom) -> Iterator[str]:
    """Folded texts of which one stands wherever the atom holds; an empty one where none is sure."""
    if atom.kind is Kind.RE:
        yield from compile_regex(str(atom.operand[0]), str(atom.operand[1])).required.gates or ("",)
    elif atom.kind is Kind.WILD:
        yield fold(max((piece for piece in atom.operand if isinstance(piece, str)), key=len, default=""))
    elif atom.kind is Kind.ANY:
        yield ""
    else:
        yield fold(str(atom.operand))
