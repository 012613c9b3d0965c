"""The governor for programs without an event loop: the same one, behind one portal, from any thread or any loop.

Policy: no rule stands here. Every method hands over to the governor's own loop and waits for its answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from aegis.core.budgets import Balance
from aegis.core.calls import Call, Usage
from aegis.core.ports import Clock
from aegis.core.telemetry import Observer
from aegis.governor.account import Spend
from aegis.governor.gates import ServiceStatus
from aegis.governor.policies import ServicePolicy
from aegis.governor.records import Explanation
from aegis.governor.reservation import Reservation
from aegis.library import opening
from aegis.library.opening import Budgets, Parts, Prices

T = TypeVar("T")
Args = TypeVarTuple("Args")

__all__ = ["SyncGovernor", "open_governor"]


class SyncGovernor:
    """`aegis.Governor` for plain threads. Its methods do and raise what the governor's do; they block meanwhile."""

    def __init__(self, parts: Parts, portal: BlockingPortal) -> None:
        self.parts, self._portal = parts, portal
        self._governor = parts.governor

    @contextmanager
    def admit(self, call: Call) -> Iterator[Reservation]:
        """Admit a call for the length of the block, or raise `Refused`: see `Governor.admit`."""
        with self._portal.wrap_async_context_manager(self._governor.admit(call)) as reservation:
            yield reservation

    @asynccontextmanager
    async def admit_async(self, call: Call) -> AsyncIterator[Reservation]:
        """The same from an event loop of the caller's own, without blocking it."""
        admission = self._governor.admit(call)
        reservation = await self._portal.call_async(admission.__aenter__)
        try:
            yield reservation
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await self._portal.call_async(admission.__aexit__, type(error), error, error.__traceback__)
            raise
        with anyio.CancelScope(shield=True):
            await self._portal.call_async(admission.__aexit__, None, None, None)

    def shrink(self, reservation: Reservation, worst: Usage) -> None:
        """A stream proceeded and uses at most `worst` in all: see `Governor.shrink`."""
        self._portal.call(self._governor.shrink, reservation, worst)

    def balances(self) -> Sequence[Balance]:
        """How every budget stands in its current window."""
        return self._portal.call(self._governor.balances)

    def spent(self, since: date | None = None) -> Sequence[Spend]:
        """What each service came to since a day, or in all."""
        return self._portal.call(self._governor.spent, since)

    def explain(self, call_id: str) -> Sequence[Explanation]:
        """Every attempt of a call: which gate, which line, need, free, resets at."""
        return self._portal.call(self._governor.explain, call_id)

    def stop(self, scope: Mapping[str, str], reason: str) -> None:
        """Take no more calls of a scope."""
        self._portal.call(self._governor.stop, scope, reason)

    def resume(self, scope: Mapping[str, str], reason: str = "") -> None:
        """Take calls of a scope again."""
        self._portal.call(self._governor.resume, scope, reason)

    def services(self) -> Sequence[ServiceStatus]:
        """How the gates of each service stand."""
        return self._portal.call(self._governor.services)

    def run(self, work: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """Run a coroutine function on the governor's loop and wait for it."""
        return self._portal.call(work, *args)

    async def run_async(self, work: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """The same from an event loop of the caller's own. Cancelling the caller cancels the work, and waits for it."""
        return await self._portal.call_async(work, *args)


@contextmanager
def open_governor(
    path: str | Path | None = None,
    *,
    budgets: Budgets = (),
    prices: Prices | None = None,
    services: Mapping[str, ServicePolicy] | None = None,
    observers: Sequence[Observer] = (),
    clock: Clock | None = None,
    holder: str = "",
) -> Iterator[SyncGovernor]:
    """`aegis.open_governor` without an event loop; the same arguments and errors. Observers run on another thread."""
    opened = opening.open_parts(
        path, budgets=budgets, prices=prices, services=services, observers=observers, clock=clock, holder=holder
    )
    with start_blocking_portal(name="aegis-governor") as portal, portal.wrap_async_context_manager(opened) as parts:
        yield SyncGovernor(parts, portal)
