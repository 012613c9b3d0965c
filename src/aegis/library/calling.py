"""Governs a program's own functions: as a decorator, or as a block around any piece of work.

Policy: one `governed(...)` serves both worlds; which one is decided by the governor that it is given.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

from aegis.app.system import SystemClock, random_ids
from aegis.core.calls import Call, Priority, Usage
from aegis.core.errors import ConfigError
from aegis.core.ports import NewId
from aegis.governor.reservation import Reservation

F = TypeVar("F", bound=Callable[..., Any])


class AsyncGoverns(Protocol):
    """`aegis.Governor`."""

    def admit(self, call: Call) -> AbstractAsyncContextManager[Reservation]: ...


class SyncGoverns(Protocol):
    """`aegis.sync.SyncGovernor`."""

    def admit(self, call: Call) -> AbstractContextManager[Reservation]: ...


AnyGovernor = AsyncGoverns | SyncGoverns


@dataclass(kw_only=True)
class governed:  # noqa: N801 - used as a decorator, so it reads like one
    """`@governed(...)` over a function, `async with governed(...)` (or `with`) over a block.

    `worst` bounds what one call may use: a usage, or a function of the call's arguments that returns one. `usage` reads
    the true usage from the result; without it a function counts at `worst`, and a block settles the reservation that it
    gets. Entering raises `Refused`: the function was not called and nothing was spent.
    """

    governor: AnyGovernor
    service: str
    operation: str = ""
    worst: Usage | Callable[..., Usage] = field(default_factory=dict)
    usage: Callable[[Any], Usage] | None = None
    models: tuple[str, ...] = ()
    scope: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = Priority.MEDIUM
    wait_ms: int = 0
    new_id: NewId = field(default_factory=lambda: random_ids(SystemClock()))
    _entered: list[Any] = field(default_factory=list, init=False, repr=False)

    def __call__(self, function: F) -> F:
        """The function, governed. Raises `ConfigError` for a function that does not fit the governor."""
        if inspect.iscoroutinefunction(function) != _is_async(self.governor):
            raise ConfigError(
                f"{function.__qualname__}: coroutine functions are governed by aegis.open_governor, plain ones by "
                "aegis.sync.open_governor"
            )
        operation = self.operation or function.__name__

        @functools.wraps(function)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            async with cast("AsyncGoverns", self.governor).admit(self._call(operation, args, kwargs)) as reservation:
                return self._settled(reservation, await function(*args, **kwargs))

        @functools.wraps(function)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            with cast("SyncGoverns", self.governor).admit(self._call(operation, args, kwargs)) as reservation:
                return self._settled(reservation, function(*args, **kwargs))

        return cast("F", waiting if inspect.iscoroutinefunction(function) else blocking)

    async def __aenter__(self) -> Reservation:
        admission = cast("AsyncGoverns", self.governor).admit(self._call(self.operation or "block", (), {}))
        reservation = await admission.__aenter__()
        self._entered.append(admission)
        return reservation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._entered.pop().__aexit__(kind, error, trace)

    def __enter__(self) -> Reservation:
        admission = cast("SyncGoverns", self.governor).admit(self._call(self.operation or "block", (), {}))
        reservation = admission.__enter__()
        self._entered.append(admission)
        return reservation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, trace)

    def _call(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        return Call(
            id=self.new_id("call"),
            service=self.service,
            operation=operation,
            worst=self.worst(*args, **kwargs) if callable(self.worst) else self.worst,
            models=self.models,
            scope=self.scope,
            priority=self.priority,
            wait_ms=self.wait_ms,
        )

    def _settled(self, reservation: Reservation, result: Any) -> Any:
        if self.usage is not None:
            reservation.settle(self.usage(result))
        return result


def _is_async(governor: AnyGovernor) -> bool:
    """Whether a governor is for event loops: the plain one says that it stands on a portal."""
    return not hasattr(governor, "admit_async")
