"""Time and ids under a test's control."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

import anyio
import anyio.lowlevel

from aegis.core.ids import identifier

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When a fake clock begins, unless told otherwise."""


_TURNS = 50
"""Turns of the loop given to others before asking whether they all wait: asking too early costs a tenth of a second."""


async def settle() -> None:
    """Let everybody else run until they all wait for something."""
    for _ in range(_TURNS):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


class FakeClock:
    """The port `Clock`, standing still until the test moves it. Sleepers wake when their time has come."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._monotonic_ns = 0
        self._sleepers: list[tuple[int, int, anyio.Event]] = []
        self._turn = 0

    def now(self) -> datetime:
        return self._now

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    @property
    def sleeping(self) -> int:
        """How many wait for their time."""
        return len(self._sleepers)

    async def sleep_ms(self, milliseconds: int) -> None:
        if milliseconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        self._turn += 1
        sleeper = (self._monotonic_ns + milliseconds * 1_000_000, self._turn, anyio.Event())
        heappush(self._sleepers, sleeper)
        try:
            await sleeper[2].wait()
        finally:
            if sleeper in self._sleepers:  # cancelled in its sleep
                self._sleepers.remove(sleeper)
                self._sleepers.sort()

    async def advance(self, milliseconds: int) -> None:
        """Move time on. Whoever wakes on the way does so at its own moment and works until it waits again, so that
        a chain of sleeps inside the span is lived through as in real time.
        """
        end_ns = self._monotonic_ns + milliseconds * 1_000_000
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            self._move_to(self._sleepers[0][0])
            while self._sleepers and self._sleepers[0][0] <= self._monotonic_ns:
                heappop(self._sleepers)[2].set()
            await settle()
        self._move_to(end_ns)

    def pass_ms(self, milliseconds: int) -> None:
        """Move time on without letting anybody run: for code that never sleeps."""
        self._move_to(self._monotonic_ns + milliseconds * 1_000_000)

    def jump(self, by: timedelta) -> None:
        """Set the wall clock, as an operator or a time server would: `monotonic_ns` does not follow."""
        self._now += by

    def _move_to(self, monotonic_ns: int) -> None:
        passed = max(0, monotonic_ns - self._monotonic_ns)
        self._now += timedelta(microseconds=passed // 1_000)
        self._monotonic_ns += passed


class FixedIds:
    """The port `NewId`: the same ids in the same order in every run."""

    def __init__(self) -> None:
        self._given = 0

    def __call__(self, prefix: str) -> str:
        self._given += 1
        return identifier(prefix, time_ms=0, random_bits=self._given)
