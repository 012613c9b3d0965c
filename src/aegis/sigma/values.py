"""What the value of a field is to a rule: text, number, part of a time, or nothing.

Policy: every comparison sees one text per scalar. Numbers that are equal have the same text, `True` is `true`, a
mapping is its compact JSON, a list is any of its elements. Case is folded one character at a time, so that a part of a
text folds to the same part of the folded text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, cast

import orjson

TimePart = Literal["minute", "hour", "day", "week", "month", "year"]

NESTING_MAX = 16
"""Lists and mappings are looked into this deep; CloudTrail nests 9 levels."""
LEAVES_MAX = 20_000
"""How many values of one event keywords look at: Windows events have some 100, CloudTrail's largest some 5,000."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXACT_FLOAT = 1e15


CONTAINERS: Final = (dict, list, tuple)
LISTS: Final = (list, tuple)


class Missing:
    """The value of a field that is not there, as opposed to one that is null."""

    __slots__ = ()


MISSING: Final = Missing()


def text_of(value: Any) -> str:
    """The text of a scalar or mapping that is not null. Lone surrogates become question marks: no index holds them."""
    if type(value) is str:
        return value if value.isascii() else _encodable(value)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() < 4_096 else ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT_FLOAT else repr(value)
    if isinstance(value, dict):
        return _compact(value)
    return _encodable(str(value))


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _compact(value: dict[Any, Any]) -> str:
    """Compact JSON; what JSON cannot say (or what nests beyond all measure) has no text to match."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError, RecursionError):
        return ""


def fold(text: str) -> str:
    """The text without case. `str.lower` looks at neighbours only for the final sigma: that one is undone. The long s
    is an s to every regex that ignores case, so it is one here.
    """
    folded = text.lower()
    return folded if folded.isascii() else folded.replace("ς", "σ").replace("ſ", "s")


def elements(value: Any) -> Iterator[Any]:
    """The scalars and mappings of a value: itself, or what a list (also a nested one) holds. Never a list."""
    stack = [(value, 0)]
    while stack:
        current, depth = stack.pop()
        if not isinstance(current, LISTS):
            yield current
        elif depth < NESTING_MAX:
            stack.extend((one, depth + 1) for one in reversed(current))


def leaf_texts(values: Iterable[Any]) -> Iterator[str]:
    """Every scalar among the values of an event as text, lists and mappings opened: what keywords look into."""
    stack: list[tuple[Any, int]] = [(value, 0) for value in values]
    left = LEAVES_MAX
    while stack and left:
        current, depth = stack.pop()
        if isinstance(current, CONTAINERS):
            if depth < NESTING_MAX:
                inner = current.values() if isinstance(current, dict) else current
                stack.extend((one, depth + 1) for one in inner)
        elif current is not None:
            left -= 1
            yield text_of(current)


def number_of(text: str) -> Decimal | None:
    """The number that a text is, exactly; None for anything else (`nan`, `0x10`, `1e9` are no numbers here)."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def time_part_of(text: str, part: TimePart) -> Decimal | None:
    """A part of an ISO 8601 time as it is written (the specification converts no zones); None for anything else."""
    if not _DATE.match(text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return Decimal(at.isocalendar().week if part == "week" else getattr(at, part))


def number_fits(text: str, part: str, compare: str, number: Decimal) -> bool:
    """Whether a number, or a part of a time, compares as asked."""
    value = time_part_of(text, cast("TimePart", part)) if part else number_of(text)
    if value is None:
        return False
    match compare:
        case "lt":
            return value < number
        case "lte":
            return value <= number
        case "gt":
            return value > number
        case "gte":
            return value >= number
        case _:
            return value == number
