"""What may happen in a history: the deeds, the scales of its budgets, and time that passes only when told to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

HOUR_MS = 3_600_000
ROLLING_MS = 2 * HOUR_MS
PASSES = (1, 30, 3_000, 8_000, 20_000, 36_000, HOUR_MS, 26 * HOUR_MS)
"""Milliseconds: a moment, a report, idle allowance, across midnight, a lease renewed, a lease lost, an hour, a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How tight the budgets of a history are, what may happen in it, and when it begins."""

    limit: int
    need_max: int
    start: datetime
    excess: bool = False
    relimits: bool = False


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDNIGHT_SOON = datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC)
SCALES = (
    Scale(limit=8, need_max=4, start=NOON),
    Scale(limit=8, need_max=4, start=MIDNIGHT_SOON),
    Scale(limit=64, need_max=12, start=NOON),
    Scale(limit=400, need_max=150, start=NOON),
    Scale(limit=400, need_max=150, start=MIDNIGHT_SOON, excess=True),
    Scale(limit=64, need_max=30, start=NOON, excess=True),
    Scale(limit=64, need_max=30, start=NOON, relimits=True),
    Scale(limit=8, need_max=4, start=NOON, excess=True, relimits=True),
)


class Deed(NamedTuple):
    """One step: what is done, by or to which process or call, how much of it, and in which way."""

    name: str
    which: int
    part: int
    way: int


_NAMES = (
    *("admit",) * 7,
    *("together",) * 4,
    *("settle",) * 5,
    *("shrink",) * 2,
    *("tick",) * 3,
    *("flush",) * 2,
    *("meanwhile",) * 2,
    *("crash",) * 2,
    *("fail",) * 3,
    *("wait",) * 5,
    *("sweep", "leave", "relimit"),
    *("give_up",) * 2,
    *("excess",) * 2,
)
_WHICH, _PARTS, _WAYS = 6, 101, 8
DEEDS = len(_NAMES) * _WHICH * _PARTS * _WAYS


def deed(number: int) -> Deed:
    """Every number below `DEEDS` is one deed."""
    number, way = divmod(number, _WAYS)
    number, part = divmod(number, _PARTS)
    name, which = divmod(number, _WHICH)
    return Deed(_NAMES[name], which, part, way)


class Clock:
    """Sleeping takes no time here; whoever else is polite does its housekeeping meanwhile."""

    def __init__(self, start: datetime) -> None:
        self.wall, self.mono_ns = start, 10**9
        self.meanwhile: Any = None

    def now(self) -> datetime:
        return self.wall

    def now_ms(self) -> int:
        return int(self.wall.timestamp() * 1_000)

    def monotonic_ns(self) -> int:
        return self.mono_ns

    async def sleep_ms(self, milliseconds: int) -> None:
        await asyncio.sleep(0)
        if self.meanwhile is not None:
            await self.meanwhile()

    def pass_ms(self, milliseconds: int) -> None:
        self.wall += timedelta(milliseconds=milliseconds)
        self.mono_ns += milliseconds * 1_000_000
