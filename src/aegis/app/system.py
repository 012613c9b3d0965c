"""The time and randomness of the machine that Aegis runs on, as the ports want them."""

from __future__ import annotations

import secrets
import time
from collections import deque
from datetime import UTC, datetime

import anyio

from aegis.core.ids import RANDOM_BITS, identifier
from aegis.core.ports import Clock, NewId

RANDOM_AT_ONCE = 256
"""Identifiers whose random bits are asked for together: the system's call costs as much as the identifier."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_ms(self, milliseconds: int) -> None:
        await anyio.sleep(milliseconds / 1_000)


def random_ids(clock: Clock) -> NewId:
    """Identifiers that sort by time and cannot be guessed."""
    drawn: deque[int] = deque()
    size = RANDOM_BITS // 8

    def bits() -> int:
        while True:
            try:
                return drawn.pop()  # each once, whichever thread asks
            except IndexError:
                some = secrets.token_bytes(RANDOM_AT_ONCE * size)
                drawn.extend(int.from_bytes(some[at : at + size]) for at in range(0, len(some), size))

    def new_id(prefix: str) -> str:
        time_ms = int(clock.now().timestamp() * 1_000)
        return identifier(prefix, time_ms=time_ms, random_bits=bits())

    return new_id
