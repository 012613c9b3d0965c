"""One line of a selection (`CommandLine|contains|all: [...]`) as a tree of atoms.

Source: Sigma modifiers appendix 2.1.0; what it leaves open follows pySigma, which most rules are tested with.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_network
from itertools import product
from typing import Any, Literal, cast

from aegis.core.errors import BadInput
from aegis.sigma.atoms import Atom, AtomTable, Kind, string_atom
from aegis.sigma.nodes import FieldRef, Node, RefShape, all_of, any_of, leaf, negate
from aegis.sigma.patterns import (
    ENCODERS,
    EXPANSIONS_MAX,
    Pieces,
    base64_offsets,
    base64_text,
    literal,
    parse_pieces,
    raw_text,
    shaped,
    with_dashes,
)
from aegis.sigma.regexes import compile_regex
from aegis.sigma.values import number_of, text_of

Placeholders = Mapping[str, Sequence[str]]
Mode = Literal["text", "re", "cidr", "exists", "fieldref", "number"]

VALUES_MAX = 50_000
"""Values of one item; SigmaHQ's longest list has some 1,700."""

_SHAPES = frozenset(("contains", "startswith", "endswith"))
_ENCODINGS = frozenset((*ENCODERS, "base64", "base64offset", "windash"))
_COMPARISONS = frozenset(("lt", "lte", "gt", "gte"))
_PARTS = frozenset(("minute", "hour", "day", "week", "month", "year"))
_REGEX_FLAGS = {"i": "i", "ignorecase": "i", "m": "m", "multiline": "m", "s": "s", "dotall": "s"}
_MODES: Mapping[str, Mode] = {"re": "re", "cidr": "cidr", "exists": "exists", "fieldref": "fieldref"}
_PLACEHOLDER = re.compile(r"%([A-Za-z0-9_.-]+)%")


@dataclass(slots=True)
class Item:
    """What the key of a line asks for."""

    field: str | None
    mode: Mode = "text"
    steps: list[str] = dataclasses.field(default_factory=list)
    all: bool = False
    neq: bool = False
    cased: bool = False
    expand: bool = False
    flags: str = ""
    compare: str = "eq"
    part: str = ""


def read_key(key: str) -> Item:
    """The field and modifiers of a key. Raises `BadInput` for a modifier that does not exist or does not fit."""
    name, *modifiers = key.split("|")
    item = Item(name or None)
    for modifier in modifiers:
        if modifier in _SHAPES or modifier in _ENCODINGS:
            item.steps.append(modifier)
        elif modifier in ("all", "neq", "cased", "expand"):
            setattr(item, modifier, True)
        elif modifier in _MODES and item.mode == "text":
            item.mode = _MODES[modifier]
        elif modifier in _REGEX_FLAGS and item.mode == "re":
            item.flags += _REGEX_FLAGS[modifier]
        elif modifier in _COMPARISONS:
            item.mode, item.compare = "number", modifier
        elif modifier in _PARTS:
            item.mode, item.part = "number", modifier
        else:
            raise BadInput(f"unknown or misplaced modifier {modifier[:40]!r}")
    if item.steps and not (item.mode == "text" or (item.mode == "fieldref" and _SHAPES.issuperset(item.steps))):
        raise BadInput(f"{item.steps[0]!r} does not go with {item.mode!r}")
    if item.field is None and item.mode not in ("text", "re"):
        raise BadInput(f"{item.mode!r} needs a field")
    return item


def compile_item(key: str, value: Any, table: AtomTable, placeholders: Placeholders) -> Node:
    """The tree of one line. `value` is a scalar or a list of scalars; raises `BadInput` for what cannot be used."""
    item = read_key(key)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise BadInput(f"{key[:60]!r} has no values")
    if len(values) > VALUES_MAX:
        raise BadInput(f"{key[:60]!r} has more than {VALUES_MAX} values")
    nodes = [any_of(_nodes(item, one, table, placeholders)) for one in values]
    node = (all_of if item.all else any_of)(nodes) if len(nodes) > 1 else nodes[0]
    return negate(node) if item.neq else node


def keyword(value: Any, table: AtomTable) -> Node:
    """The tree of a bare value: a text that stands somewhere in the event."""
    return any_of(_nodes(Item(None), value, table, {}))


def _nodes(item: Item, value: Any, table: AtomTable, placeholders: Placeholders) -> Iterator[Node]:
    if isinstance(value, dict | list):
        raise BadInput("a value is a list or mapping where a scalar is expected")
    for one in _expanded(value, placeholders) if item.expand else (value,):
        if item.mode == "fieldref":
            shape = item.steps[-1] if item.steps else "eq"
            yield FieldRef(cast("str", item.field), _text(one), cast("RefShape", shape), item.cased)
            continue
        if item.mode == "exists":
            yield _exists(item, one, table)
            continue
        for atom in _atoms(item, one):
            yield leaf(table.number(atom))


def _atoms(item: Item, value: Any) -> Iterator[Atom]:
    if item.mode == "re":
        pattern = _text(value)
        compile_regex(pattern, item.flags)
        yield Atom(item.field, Kind.RE, (pattern, "".join(sorted(set(item.flags)))))
    elif item.mode == "cidr":
        yield Atom(item.field, Kind.CIDR, _network(value))
    elif item.mode == "number":
        yield Atom(item.field, Kind.NUM, (item.part, item.compare, str(_number(value))))
    elif value is None:
        if item.steps or item.field is None:
            raise BadInput("null goes with a field and without modifiers")
        yield Atom(item.field, Kind.NULL)
    else:
        for pieces in _strings(item, _text(value)):
            shape = shaped(pieces, "contains") if item.field is None else pieces
            yield string_atom(item.field, shape, cased=item.cased)


def _strings(item: Item, text: str) -> Iterator[Pieces]:
    """The strings that a value becomes through its modifiers, in the order in which they are written."""
    strings: list[Pieces | bytes] = [parse_pieces(text)]
    for step in item.steps:
        strings = [changed for one in strings for changed in _step(step, one)]
    for one in strings:
        yield (raw_text(one),) if isinstance(one, bytes) else one


def _step(step: str, value: Pieces | bytes) -> Iterator[Pieces | bytes]:
    if step in ENCODERS:
        if isinstance(value, bytes):
            raise BadInput(f"{step!r} follows another encoding")
        yield ENCODERS[step](literal(value, step))
    elif step in ("base64", "base64offset"):
        raw = value if isinstance(value, bytes) else literal(value, step).encode()
        for text in (base64_text(raw),) if step == "base64" else base64_offsets(raw):
            yield (text,)
    elif step == "windash":
        yield from with_dashes(_pieces(value))
    else:
        yield shaped(_pieces(value), step)


def _pieces(value: Pieces | bytes) -> Pieces:
    return (raw_text(value),) if isinstance(value, bytes) else value


def _exists(item: Item, value: Any, table: AtomTable) -> Node:
    wanted = str(value).lower()
    if wanted not in ("true", "false", "yes", "no"):
        raise BadInput("`exists` is true or false")
    node = leaf(table.number(Atom(item.field, Kind.EXISTS)))
    return node if wanted in ("true", "yes") else negate(node)


def _expanded(value: Any, placeholders: Placeholders) -> Iterator[str]:
    text = _text(value)
    names = _PLACEHOLDER.findall(text)
    choices = []
    for name in names:
        if name not in placeholders:
            raise BadInput(f"the placeholder %{name[:60]}% has no values here")
        choices.append(placeholders[name])
    template = _PLACEHOLDER.split(text)[::2]
    for count, chosen in enumerate(product(*choices)):
        if count >= EXPANSIONS_MAX:
            raise BadInput(f"placeholders make more than {EXPANSIONS_MAX} strings of one value")
        yield template[0] + "".join(word + rest for word, rest in zip(chosen, template[1:], strict=True))


def _text(value: Any) -> str:
    if value is None:
        raise BadInput("null stands where a text is expected")
    return text_of(value)


def _network(value: Any) -> str:
    try:
        return str(ip_network(_text(value), strict=False))
    except ValueError:
        raise BadInput(f"{str(value)[:60]!r} is no network") from None


def _number(value: Any) -> Decimal:
    number = None if isinstance(value, bool) or value is None else number_of(text_of(value))
    if number is None:
        raise BadInput(f"{str(value)[:60]!r} is no number")
    return number
