"""The time and randomness of the machine that Aegis runs on, as the ports want them."""

from __future__ import annotations

import secrets
import time
from collections import deque
from datetime import UTC, datetime

import anyio

from aegis.core.ids import ALPHABET, RANDOM_CHARACTERS, TIME_CHARACTERS, letters
from aegis.core.ports import Clock, NewId

RANDOM_AT_ONCE = 256
"""Identifiers whose random bits are asked for together: the system's call costs as much as the identifier."""

_LETTERS = (ALPHABET * 8).encode()
"""The character of every byte: 32 divides 256, so each is as likely as any other."""


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
    drawn: deque[str] = deque()
    last = (0, letters(0, TIME_CHARACTERS))

    def random() -> str:
        """Characters of five random bits each, drawn for many identifiers together, and each given out once."""
        while True:
            try:
                return drawn.pop()
            except IndexError:
                some = secrets.token_bytes(RANDOM_AT_ONCE * RANDOM_CHARACTERS).translate(_LETTERS).decode()
                starts = range(0, len(some), RANDOM_CHARACTERS)
                drawn.extend(some[start : start + RANDOM_CHARACTERS] for start in starts)

    def new_id(prefix: str) -> str:
        nonlocal last
        time_ms = int(clock.now().timestamp() * 1_000)
        if time_ms != (known := last)[0]:
            known = last = time_ms, letters(time_ms, TIME_CHARACTERS)
        return f"{prefix}_{known[1]}{random()}"

    return new_id
