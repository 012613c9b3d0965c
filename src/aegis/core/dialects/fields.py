"""What all translations share: reading what must be there, refusing what has no counterpart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aegis.core.errors import BadInput
from aegis.core.metering.writing import written

Json = dict[str, Any]
UNTRANSLATED: Final = "not_translated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A request in the other dialect, and the names of what changes no answer and was left out."""

    body: Json
    left_out: tuple[str, ...] = ()


def no_counterpart(what: str, whose: str) -> BadInput:
    """The refusal of what the other side has nothing for."""
    return BadInput(f"{what[:120]} has no counterpart with {whose}, which serves this model", code=UNTRANSLATED)


def wrong(what: str) -> BadInput:
    """The refusal of what this side's own API would refuse, too."""
    return BadInput(what[:200], code="bad_request")


def only_known(body: Mapping[str, Any], known: Iterable[str], whose: str, *, inside: str = "") -> None:
    """Refuse every field that is told and not known."""
    for name in body.keys() - frozenset(known):
        if body[name] is not None:
            raise no_counterpart(f"the field {inside + '.' if inside else ''}{name[:64]}", whose)


def an_object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise wrong(f"{what} must be an object")
    return value


def objects(value: Any, what: str) -> list[Mapping[str, Any]]:
    """A list of objects, empty where there is none."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise wrong(f"{what} must be a list of objects")
    return value


def words(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise wrong(f"{what} must be a text")
    return value


def loads(raw: str, what: str) -> Json:
    """The JSON object in a text; nothing at all is an empty one."""
    try:
        value = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError:
        raise wrong(f"{what} must be JSON") from None
    if not isinstance(value, dict):
        raise wrong(f"{what} must be a JSON object")
    return value


def dumps(value: Any) -> str:
    return written(value).decode()


def told(body: Mapping[str, Any], names: Mapping[str, str]) -> Json:
    """The fields that are told, under their other names."""
    return {other: body[name] for name, other in names.items() if body.get(name) is not None}
