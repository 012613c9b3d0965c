"""The face of a vendor's client: what is metered is governed, what is free passes, everything else is refused.

Policy: the vendor's own answers and errors reach the caller as they are; only refusals are Aegis' own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aegis.core.calls import Call, Priority, Usage
from aegis.core.errors import BadInput, Billed, ServiceError, UnknownPrice
from aegis.core.ports import NewId
from aegis.governor.reservation import Reservation
from aegis.library.operations import Bounded, Fold, Operation, Vendor

VENDOR_MODULES = frozenset({"openai", "anthropic", "httpx", "httpx2", "httpcore", "botocore", "boto3"})
_PLAIN = (str, bytes, int, float, bool, type(None), dict, list, tuple, set, frozenset)
_COPIES = frozenset({"with_options", "copy"})
_HARMLESS = frozenset({"close", "is_closed", "can_paginate", "get_paginator", "get_waiter", "generate_presigned_url"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a client's calls are made: with which governor, for whom, how urgent, how long they may wait."""

    governor: Any
    new_id: NewId
    scope: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = Priority.MEDIUM
    wait_ms: int = 0
    output_tokens_max: int | None = None

    def call(self, service: str, operation: Operation, bounded: Bounded) -> Call:
        """The call that a request comes to."""
        return Call(
            id=self.new_id("call"),
            service=service,
            operation=operation.name,
            worst=bounded.worst,
            models=(bounded.model,) if bounded.model else (),
            scope=self.scope,
            priority=self.priority,
            wait_ms=self.wait_ms,
            tier=bounded.tier,
        )


Drive = Callable[[Vendor, Operation, Terms, Callable[..., Any]], Callable[..., Any]]
"""Makes the governed form of one method: `library.waiting` for coroutines, `library.blocking` for plain calls."""


class Face:
    """Stands before a client, or a part of it at `path`."""

    def __init__(self, target: Any, vendor: Vendor, terms: Terms, drive: Drive, path: str = "") -> None:
        self._target, self._vendor, self._terms, self._drive, self._path = target, vendor, terms, drive, path

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        path = f"{self._path}.{name}" if self._path else name
        operation = self._vendor.operations.get(path)
        if operation is not None:
            return self._drive(self._vendor, operation, self._terms, found)
        if path in self._vendor.free or name in _HARMLESS or isinstance(found, _PLAIN) or name == "meta":
            return found
        if name in _COPIES and not self._path:
            return self._copying(found)
        if callable(found):
            return _refusing(self._vendor.service, path)
        return Face(found, self._vendor, self._terms, self._drive, path)

    def __repr__(self) -> str:
        return f"<governed {self._vendor.service} client>"

    def __enter__(self) -> Self:
        self._target.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._target.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        await self._target.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._target.__aexit__(kind, error, trace)

    def _copying(self, copy: Callable[..., Any]) -> Callable[..., Any]:
        def copied(**options: Any) -> Face:
            return Face(copy(**{**options, "max_retries": 0}), self._vendor, self._terms, self._drive)

        return copied


def _refusing(service: str, path: str) -> Callable[..., Any]:
    def refused(*_args: Any, **_kwargs: Any) -> Any:
        raise UnknownPrice(f"{service}: {path} is not governed, so nobody can say beforehand what it may cost")

    return refused


class Translated:
    """Inside an admission: says what a vendor's error means for the bill, keeping the error as the cause."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, ServiceError) and _is_vendors(error):
            raise meaning(self._service, error) from error


class Untranslated:
    """Outside an admission: gives the caller the vendor's own error back."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ServiceError) and error.__cause__ is not None and _is_vendors(error.__cause__):
            cause, cause.__suppress_context__ = error.__cause__, True
            raise cause


def _is_vendors(error: BaseException) -> bool:
    modules = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    return bool(modules & VENDOR_MODULES) or isinstance(error, OSError) or hasattr(error, "status_code")


def meaning(service: str, error: Exception) -> ServiceError:
    """What a vendor's error means: a 4xx was refused before any work; after anything else nobody knows."""
    answer = getattr(error, "response", None)
    status = getattr(error, "status_code", None)
    if status is None and isinstance(answer, Mapping):
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if not isinstance(status, int):
        return ServiceError(service, f"no answer ({type(error).__name__})", retryable=True)
    billed = Billed.NO if 400 <= status < 500 else Billed.UNKNOWN
    passing = status in (408, 409, 425, 429) or status >= 500
    return ServiceError(service, f"answered {status}", retryable=passing, billed=billed, status=status)


def shrink(governor: Any, reservation: Reservation, fold: Fold) -> None:
    """Hold only what a stream can still come to, where it has said so. What cannot be true changes nothing."""
    rest = getattr(fold, "rest", None)
    if rest is not None:
        fold.rest = None  # type: ignore[attr-defined]  # it was just read from there
        with suppress(BadInput, UnknownPrice):
            governor.shrink(reservation, rest)


def settle(reservation: Reservation, used: Usage | None, tier: str = "") -> None:
    """Settle by what the vendor said; what it did not say, or what cannot be true, counts at the worst case."""
    if used is None:
        return
    try:
        reservation.settle(used, tier=tier)
    except BadInput:
        return
