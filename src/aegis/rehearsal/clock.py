"""A clock that moves only when it is told to: a story runs on it in seconds, and the same way every time."""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

import anyio
import anyio.lowlevel

_EPOCH_NS = 1_000_000_000
"""Where monotonic time starts: not at zero, which would hide a forgotten start."""


class StoryClock:
    """The `Clock` port for rehearsals. Whoever sleeps wakes when the story's time passes its end."""

    def __init__(self, starts: datetime) -> None:
        self._starts = self._now = starts
        self._order = count()
        self._sleepers: list[tuple[datetime, int, anyio.Event]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic_ns(self) -> int:
        passed = self._now - self._starts
        return _EPOCH_NS + (passed // timedelta(microseconds=1)) * 1_000

    async def sleep_ms(self, milliseconds: int) -> None:
        if milliseconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        woken = anyio.Event()
        wakes = self._now + timedelta(milliseconds=milliseconds)
        heappush(self._sleepers, (wakes, next(self._order), woken))
        await woken.wait()

    def next_waking(self) -> datetime | None:
        """When the next sleeper wakes; None when nobody sleeps."""
        return self._sleepers[0][0] if self._sleepers else None

    def move_to(self, at: datetime) -> None:
        """Let time pass until `at` (never backwards) and wake everyone whose sleep ended."""
        self._now = max(self._now, at)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heappop(self._sleepers)[2].set()
