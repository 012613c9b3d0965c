"""Where calls wait that a gate told to come back later: bounded, by priority, each until its own deadline.

The first in line tries for all; the others stand still until it is their turn, so a thousand waiting calls cost one
timer. Waiting raises a call's priority step by step, never to CRITICAL: that stays for what is critical.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import anyio

from aegis.core.calls import Call, Priority
from aegis.core.errors import DeadlinePassed, QueueFull, Refused
from aegis.core.ports import Clock

MILLISECOND_NS: Final = 1_000_000
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Ticket:
    """One waiting call."""

    priority: Priority
    since_ns: int
    deadline_ns: int
    turn: anyio.Event = field(default_factory=anyio.Event)
    standing: bool = False
    shed: bool = False


class WaitingRoom:
    """The queue of one service."""

    def __init__(self, service: str, clock: Clock, *, waiting_max: int, age_ms: int) -> None:
        self._service, self._clock = service, clock
        self._waiting_max, self._age_ns = waiting_max, age_ms * MILLISECOND_NS
        self._tickets: list[_Ticket] = []

    def __len__(self) -> int:
        return len(self._tickets)

    async def enter(self, call: Call, attempt: Callable[[Call], Awaitable[T]]) -> T:
        """Try at once if nobody with the same right waits, else wait for a turn. Raises what `attempt` refuses, and
        `QueueFull` or `DeadlinePassed`.
        """
        if not self._tickets or call.priority > max(self._rank(t) for t in self._tickets):
            try:
                return await attempt(call)
            except Refused as refusal:
                if not call.wait_ms or refusal.retry_after_ms is None or refusal.retry_after_ms > call.wait_ms:
                    raise
                first_pause_ms = refusal.retry_after_ms
        elif not call.wait_ms:
            raise QueueFull(f"{self._service}: {len(self)} calls wait already, and this one must not wait")
        else:
            first_pause_ms = 0
        ticket = self._sit_down(call)
        try:
            return await self._wait(ticket, call, attempt, first_pause_ms)
        finally:
            self._leave(ticket)

    async def _wait(self, ticket: _Ticket, call: Call, attempt: Callable[[Call], Awaitable[T]], pause_ms: int) -> T:
        while True:
            first = self._first()
            if first is not ticket:
                if first is not None and first.standing:
                    first.turn.set()  # waiting may have raised it above this one, and nobody told it
                ticket.standing = True
                await self._rest(ticket, self._left_ms(ticket))
                ticket.standing, pause_ms = False, 0
                if self._left_ms(ticket) <= 0:
                    raise DeadlinePassed(f"{self._service}: others were first until the deadline")
                continue
            await self._rest(ticket, pause_ms)
            if self._first() is not ticket:
                continue
            try:
                return await attempt(call)
            except Refused as refusal:
                if refusal.retry_after_ms is None:
                    raise
                if refusal.retry_after_ms > self._left_ms(ticket):
                    raise DeadlinePassed(f"{self._service}: waited in vain; {refusal}") from refusal
                pause_ms = max(1, refusal.retry_after_ms)

    def _sit_down(self, call: Call) -> _Ticket:
        now_ns = self._clock.monotonic_ns()
        if len(self._tickets) >= self._waiting_max:
            last = min(self._tickets, key=lambda t: (self._rank(t), -t.since_ns))
            if self._rank(last) >= call.priority:
                raise QueueFull(f"{self._service}: {self._waiting_max} calls of the same right wait already")
            last.shed = True
            last.turn.set()
            self._tickets.remove(last)
        ticket = _Ticket(call.priority, now_ns, now_ns + call.wait_ms * MILLISECOND_NS)
        self._tickets.append(ticket)
        return ticket

    async def _rest(self, ticket: _Ticket, pause_ms: int) -> None:
        """For so long, or until it is this ticket's turn. Raises `QueueFull` when it was shed."""
        if pause_ms > 0:
            async with anyio.create_task_group() as group:

                async def watch() -> None:
                    await self._clock.sleep_ms(pause_ms)
                    group.cancel_scope.cancel()

                group.start_soon(watch)
                await ticket.turn.wait()
                group.cancel_scope.cancel()
        if ticket.shed:
            raise QueueFull(f"{self._service}: a call of higher priority took the place of this one")
        ticket.turn = anyio.Event()

    def _left_ms(self, ticket: _Ticket) -> int:
        return (ticket.deadline_ns - self._clock.monotonic_ns()) // MILLISECOND_NS

    def _leave(self, ticket: _Ticket) -> None:
        if ticket in self._tickets:
            self._tickets.remove(ticket)
        first = self._first()
        if first is not None:
            first.turn.set()

    def _first(self) -> _Ticket | None:
        return max(self._tickets, key=lambda t: (self._rank(t), -t.since_ns), default=None)

    def _rank(self, ticket: _Ticket) -> int:
        """The priority, raised by one for every `age_ms` waited, up to HIGH."""
        gained = (self._clock.monotonic_ns() - ticket.since_ns) // self._age_ns
        return max(ticket.priority, min(ticket.priority + gained, Priority.HIGH))
