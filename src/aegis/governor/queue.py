"""Where calls wait that a gate told to come back later: bounded, by priority, each until its own deadline.

Among calls of one priority the sources take turns, so that whoever asks a thousand times does not stand before whoever
asks once (start-time fair queueing, Goyal et al. 1996); and who is shed from a full room is of the source that fills it.

The first in line tries for all; the others stand still until it is their turn, so a thousand waiting calls cost one
timer. Waiting raises a call's priority step by step, never to CRITICAL: that stays for what is critical.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import anyio

from aegis.core.calls import Call, Priority
from aegis.core.errors import DeadlinePassed, QueueFull, Refused
from aegis.core.ports import Clock

MILLISECOND_NS: Final = 1_000_000
BYTES_MAX: Final = 64 * 1024 * 1024
TICKET_BYTES: Final = 1_024
"""What a waiting call takes besides the bytes that wait with it."""
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Ticket:
    """One waiting call."""

    priority: Priority
    since_ns: int
    deadline_ns: int
    turn: anyio.Event = field(default_factory=anyio.Event)
    source: str = ""
    tag: int = 0
    weight: int = 0
    standing: bool = False
    shed: bool = False


class WaitingRoom:
    """The queue of one service."""

    def __init__(
        self, service: str, clock: Clock, *, waiting_max: int, age_ms: int, bytes_max: int = BYTES_MAX
    ) -> None:
        self._service, self._clock = service, clock
        self._waiting_max, self._bytes_max, self._age_ns = waiting_max, bytes_max, age_ms * MILLISECOND_NS
        self._tickets: list[_Ticket] = []
        self._bytes = self._turn = 0

    def __len__(self) -> int:
        return len(self._tickets)

    def depths(self) -> Mapping[Priority, int]:
        """How many calls of each priority wait."""
        return Counter(ticket.priority for ticket in self._tickets)

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
        now_ns, source, weight = self._clock.monotonic_ns(), source_of(call), TICKET_BYTES + call.weight
        if weight > self._bytes_max:
            raise QueueFull(f"{self._service}: {call.weight:,} bytes are more than may wait here")
        while len(self._tickets) >= self._waiting_max or self._bytes + weight > self._bytes_max:
            self._shed(call.priority, source)
        last = max((t.tag for t in self._tickets if t.source == source), default=0)
        ticket = _Ticket(call.priority, now_ns, now_ns + call.wait_ms * MILLISECOND_NS)
        ticket.source, ticket.weight, ticket.tag = source, weight, max(last, self._turn) + 1
        self._tickets.append(ticket)
        self._bytes += weight
        return ticket

    def _shed(self, priority: Priority, source: str) -> None:
        """Send the least urgent away; among equals the newest of the source that waits most often. Raises `QueueFull`
        when that is the call that wants to come in.
        """
        lowest = min(map(self._rank, self._tickets))
        share = Counter(t.source for t in self._tickets)
        last = max((t for t in self._tickets if self._rank(t) == lowest), key=lambda t: (share[t.source], t.since_ns))
        if lowest > priority or (lowest == priority and share[last.source] <= share[source] + 1):
            raise QueueFull(f"{self._service}: {len(self)} calls of the same right wait already")
        last.shed = True
        last.turn.set()
        self._drop(last)

    def _drop(self, ticket: _Ticket) -> None:
        self._tickets.remove(ticket)
        self._bytes -= ticket.weight
        if not self._tickets:
            self._turn = 0

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
            self._turn = max(self._turn, ticket.tag if ticket is self._first() else 0)
            self._drop(ticket)
        first = self._first()
        if first is not None:
            first.turn.set()

    def _first(self) -> _Ticket | None:
        return max(self._tickets, key=lambda t: (self._rank(t), -t.tag, -t.since_ns), default=None)

    def _rank(self, ticket: _Ticket) -> int:
        """The priority, raised by one for every `age_ms` waited, up to HIGH."""
        gained = (self._clock.monotonic_ns() - ticket.since_ns) // self._age_ns
        return max(ticket.priority, min(ticket.priority + gained, Priority.HIGH))


def source_of(call: Call) -> str:
    """Whose call it is, for taking turns: its source, else its key, user or team."""
    scope = call.scope
    return scope.get("source") or scope.get("key") or scope.get("user") or scope.get("team") or ""
