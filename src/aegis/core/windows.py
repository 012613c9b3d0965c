"""When a budget starts anew: day, week and month in an IANA zone, and rolling spans; and how far a clock is believed.

Calendar windows are half-open spans of UTC instants: a day is 23 or 25 hours long when the clocks change. A window
opens once: nothing here ever makes an earlier one current again, so no clock can mint a second allowance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

WindowKind = Literal["day", "week", "month", "rolling"]

SLOTS = 48
"""A rolling window is counted in this many slots; a slot leaves only when it lies wholly outside (the strict side)."""

FOREVER = datetime.max.replace(tzinfo=UTC)

JUMP_MS = 5 * 60 * 1000
"""A wall clock that gains more than this on the monotonic clock has jumped (a correction by NTP is far smaller)."""
BELIEVE_AFTER_MS = 15 * 60 * 1000
"""A jumped clock that then runs steadily this long is believed: the machine slept, or was set right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPolicy:
    """Which windows a line has. `week_start` is 0 for Monday (ISO 8601); `span_ms` is the length if rolling."""

    kind: WindowKind
    zone: str = "UTC"
    week_start: int = 0
    span_ms: int = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Window:
    """One window: its key (`2026-11-21`, `2026-W47`, `2026-11`, `rolling`) and its span [starts_at, ends_at)."""

    key: str
    starts_at: datetime
    ends_at: datetime


def window_at(policy: WindowPolicy, now: datetime) -> Window:
    """The window that `now` (any aware time) falls into; a rolling one has neither start nor end of its own."""
    if policy.kind == "rolling":
        return Window("rolling", now, FOREVER)
    return _calendar_window(policy, now.astimezone(ZoneInfo(policy.zone)).date())


@lru_cache(maxsize=256)
def _calendar_window(policy: WindowPolicy, day: date) -> Window:
    if policy.kind == "day":
        first, after, key = day, day + timedelta(days=1), day.isoformat()
    elif policy.kind == "week":
        first = day - timedelta(days=(day.weekday() - policy.week_start) % 7)
        after = first + timedelta(days=7)
        year, week, _ = first.isocalendar()
        key = f"{year}-W{week:02d}" if policy.week_start == 0 else f"week-{first.isoformat()}"
    else:
        first = day.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
        key = f"{first:%Y-%m}"
    return Window(key, _midnight(first, policy.zone), _midnight(after, policy.zone))


def _midnight(day: date, zone: str) -> datetime:
    # Where clocks go forward at midnight, 00:00 does not exist: fold=0 reads it with the offset before the change,
    # which is the very instant of the change. Where 00:00 comes twice, fold=0 is the first.
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def slot_of(policy: WindowPolicy, now_ms: int) -> int:
    """The start, in milliseconds, of the rolling slot that `now_ms` falls into."""
    width = max(1, policy.span_ms // SLOTS)
    return now_ms - now_ms % width


def slots_gone_before(policy: WindowPolicy, now_ms: int) -> int:
    """Slots that start before this lie wholly outside the rolling span."""
    return slot_of(policy, now_ms - policy.span_ms)


@dataclass(slots=True)
class ClockGuard:
    """Time that may open windows: the wall clock, but not one that has just leapt forward.

    `reading` returns milliseconds since the epoch. While a forward jump is in doubt it goes on from the last believed
    time at the pace of the monotonic clock. A clock set back is believed: windows already opened stay the newest.
    """

    doubted: bool = False
    _wall_ms: int | None = None
    _mono_ms: int = 0
    _doubted_at_ms: int = 0
    _leap_ms: int = 0

    def reading(self, wall_ms: int, mono_ms: int) -> int:
        if self._wall_ms is None:
            self._wall_ms, self._mono_ms = wall_ms, mono_ms
            return wall_ms
        expected = self._wall_ms + (mono_ms - self._mono_ms)
        leap = wall_ms - expected
        if leap <= JUMP_MS:
            self.doubted = False
        elif not self.doubted or abs(leap - self._leap_ms) > JUMP_MS:
            self.doubted, self._doubted_at_ms, self._leap_ms = True, mono_ms, leap
        if self.doubted and mono_ms - self._doubted_at_ms < BELIEVE_AFTER_MS:
            return expected
        self.doubted = False
        self._wall_ms, self._mono_ms = wall_ms, mono_ms
        return wall_ms
