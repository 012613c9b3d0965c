"""The time and randomness of the machine that Aegis runs on, as the ports want them."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

import anyio

from aegis.core.ids import RANDOM_BITS, identifier
from aegis.core.ports import Clock, NewId


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

    def new_id(prefix: str) -> str:
        time_ms = int(clock.now().timestamp() * 1_000)
        return identifier(prefix, time_ms=time_ms, random_bits=secrets.randbits(RANDOM_BITS))

    return new_id
