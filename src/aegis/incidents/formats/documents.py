"""JSON from outside: parsed, bounded in depth and keys, pointed into, and opened where one value holds many records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import orjson

from aegis.core.errors import BadInput
from aegis.incidents.formats.records import Bounds

Pointer: TypeAlias = Callable[[Any], Any]
_DEEPER_THAN_ORJSON = re.compile("depth|recursion", re.IGNORECASE)


def parse(text: bytes, bounds: Bounds) -> Any:
    """One JSON value. Raises `BadInput`: `malformed`, `invalid_utf8`, `too_deep`, `too_many_keys`."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _why(text, error) from error
    # Every level opens with a bracket and every key ends with a colon, so the honest record is cleared by counting.
    if text.count(b"{") + text.count(b"[") > bounds.depth or text.count(b":") > bounds.keys:
        for record in unfold(value):
            check_shape(record, bounds)
    return value


def _why(text: bytes, error: orjson.JSONDecodeError) -> BadInput:
    if _DEEPER_THAN_ORJSON.search(error.msg):
        return BadInput("nested deeper than any record may be", code="too_deep")
    try:
        text.decode()
    except UnicodeDecodeError as broken:
        return BadInput(f"not valid UTF-8 at byte {broken.start}", code="invalid_utf8")
    return BadInput(f"not valid JSON: {error.msg} (column {error.colno})", code="malformed")


def check_shape(value: Any, bounds: Bounds) -> None:
    """Refuse a value that is nested too deep or holds too many keys. Raises `BadInput`."""
    keys, level, depth = 0, [value], 0
    while level:
        depth += 1
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                keys += len(node)
                below.extend(child for child in node.values() if isinstance(child, dict | list))
            elif isinstance(node, list):
                below.extend(child for child in node if isinstance(child, dict | list))
        if depth > bounds.depth:
            raise BadInput(f"nested deeper than {bounds.depth} levels", code="too_deep")
        if keys > bounds.keys:
            raise BadInput(f"more than {bounds.keys} keys in one record", code="too_many_keys")
        level = below


def unfold(value: Any) -> Iterator[Any]:
    """The records in one JSON value: the elements of an array, CloudTrail's `Records`, or the value itself."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict) and isinstance(records := value.get("Records"), list):
        yield from records
    else:
        yield value


def pointer(at: str | None) -> Pointer:
    """What an RFC 6901 JSON pointer such as `/event` picks from a value; None or `""` picks the whole.

    Raises `BadInput` (`bad_pointer`) here when the text is no pointer, and `no_such_pointer` when it is applied to
    a value that has nothing there.
    """
    if not at:
        return lambda value: value
    if not at.startswith("/"):
        raise BadInput(f"{at!r} is not a JSON pointer: it starts with /, such as /event", code="bad_pointer")
    steps = [step.replace("~1", "/").replace("~0", "~") for step in at[1:].split("/")]

    def pick(value: Any) -> Any:
        for step in steps:
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            else:
                raise BadInput(f"there is nothing at {at}", code="no_such_pointer")
        return value

    return pick
