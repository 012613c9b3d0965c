"""What a vendor's operation is to the governor: how a request is bounded, and how its usage is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aegis.core.calls import Usage
from aegis.core.errors import UnknownPrice

OUTPUT_TOKENS = 4_096
"""The cap put into a request that has none: an answer of a few pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A request as it will be sent, the model it names, and the most that it can use. `added` says that the stream's
    usage was asked for by us, so that its piece is kept from the caller. `tier` is the tier of service asked for.
    """

    request: Mapping[str, Any]
    model: str
    worst: Usage
    added: bool = False
    tier: str = ""


class Fold(Protocol):
    """Reads a stream as it passes: `see` returns whether a piece is for the caller; `usage` is None until the stream
    has said all that it used. It may have two attributes: `rest`, the most that the stream can still come to in all, as
    soon as it says more than the request did; and `tier`, the tier of service that answers.
    """

    def see(self, piece: Any) -> bool: ...
    def usage(self) -> Usage | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One metered operation. `bound` raises `UnknownPrice` for a request that nothing bounds."""

    name: str
    bound: Callable[[Mapping[str, Any], int | None], Bounded]
    usage: Callable[[Any], Usage | None]
    fold: Callable[[Bounded], Fold] | None = None
    streams: Callable[[Mapping[str, Any]], bool] = lambda _: False
    tier: Callable[[Any], str] = lambda _: ""
    """The tier of service that answered, where the answer (or the last pieces of a stream) says so."""
    manager: bool = False
    """It returns a context manager whose block is the call (Anthropic's `messages.stream`)."""
    part: str = ""
    """The stream stands inside the answer, under this name (`converse_stream`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """All that is known of a vendor's client: metered operations and free ones, by their path below the client."""

    service: str
    operations: Mapping[str, Operation]
    free: frozenset[str]


def cap(given: Any, most: int | None) -> int:
    """The cap of an answer: what the request says, clamped to `most`; put in where it says nothing."""
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given if most is None else min(given, most)
    return most or OUTPUT_TOKENS


def refuse(vendor: str, what: str, why: str) -> UnknownPrice:
    """The refusal of a request that nothing bounds."""
    return UnknownPrice(f"{vendor}: {what} {why}, so nobody can say beforehand what the call may cost")


def field_of(value: Any, name: str, default: Any = None) -> Any:
    """A field of an answer, whether it is a vendor's object or a dictionary."""
    return value.get(name, default) if isinstance(value, Mapping) else getattr(value, name, default)


def count_of(value: Any, name: str) -> int:
    """A count in an answer; absent and null are zero. What cannot be a count is left for the governor to refuse."""
    found = field_of(value, name)
    return 0 if found is None else found


def given(request: Mapping[str, Any], name: str) -> Any:
    """A parameter, or None where it is absent or one of the vendors' "not given" marks."""
    value = request.get(name)
    return None if type(value).__name__ in ("NotGiven", "Omit") else value
