"""Times of the week in a zone: `mon-fri 09:00-17:00 Europe/Berlin`, for silences, routes and quiet hours.

A window lasts from one time of the wall to another, over midnight where it ends at or before its start. When clocks go
back it covers the hour that comes twice, both times; a time that is skipped is the moment of the change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
_MINUTE = timedelta(minutes=1)
_TEXT = re.compile(r"([a-z,\s-]+?)\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})(?:\s+([A-Za-z0-9_+/-]{1,64}))?")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time in UTC, [starts_at, ends_at)."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """A window that opens on some days of each week. `days` count from Monday (0, ISO 8601); `start` and `end` are
    minutes after midnight (end up to 1,440); an end at or before the start is on the day after.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str = "UTC"

    def at(self, now: datetime) -> Span | None:
        """The window that is open at `now` (any aware time), or None."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        # A window reaches at most into the day after its own, and a change of clocks moves it by less than a day.
        around = (today + timedelta(days=shift) for shift in (-2, -1, 0, 1))
        open_now = [span for day in around if (span := self._on(day)) and span.starts_at <= now < span.ends_at]
        return Span(open_now[0].starts_at, max(span.ends_at for span in open_now)) if open_now else None

    def next_after(self, now: datetime) -> Span:
        """The first window that opens after `now`."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        # Nine days hold every weekday once after today, and once more should one of them be swallowed by the clocks.
        spans = (self._on(today + timedelta(days=shift)) for shift in range(-1, 16))
        return min(span for span in spans if span is not None and span.starts_at > now)

    def _on(self, day: date) -> Span | None:
        """The window that opens on this day; None when none does, or the clocks swallow it."""
        if day.weekday() not in self.days:
            return None
        starts = instant(day, self.start, self.zone)
        over = self.end if self.end > self.start else self.end + DAY_MINUTES
        ends = instant(day, over, self.zone, last=True)
        return Span(starts, ends) if ends > starts else None

    def text(self) -> str:
        """As people write it."""
        days = ",".join(DAYS[day] for day in sorted(self.days)) if len(self.days) < len(DAYS) else "daily"
        return f"{days} {_clock(self.start)}-{_clock(self.end)} {self.zone}"


def instant(day: date, minutes: int, zone: str, *, last: bool = False) -> datetime:
    """The moment, in UTC, at which a wall in `zone` shows this many minutes after the midnight that opens `day`. Of a
    time that comes twice it is the first, or with `last` the second; for one that is skipped, the change itself.
    """
    return _instant(day + timedelta(days=minutes // DAY_MINUTES), minutes % DAY_MINUTES, zone, last)


@lru_cache(maxsize=1024)
def _instant(day: date, minutes: int, zone: str, last: bool) -> datetime:
    wall = datetime.combine(day, time(minutes // 60, minutes % 60), ZoneInfo(zone))
    early, late = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    if late >= early:  # once, or twice an hour apart
        return late if last else early
    # Skipped (PEP 495: with fold=0 it is read with the offset before the gap, so the change lies in between).
    after = wall.replace(fold=1).utcoffset()
    moment = late
    while moment.astimezone(ZoneInfo(zone)).utcoffset() != after:
        moment += _MINUTE
    return moment


def parse(text: str, *, zone: str = "UTC") -> Weekly:
    """Read `sat,sun 22:00-06:00 Europe/Berlin`, `mon-fri 09:00-17:00`, `daily 22:00-07:00`; without a zone of its own it
    is in `zone`. Raises `ValueError` that says what it must be.
    """
    found = _TEXT.fullmatch(text.strip())
    wrong = ValueError(
        "must be days, times and zone, such as `mon-fri 09:00-17:00 Europe/Berlin` or `daily 22:00-07:00`"
    )
    if found is None:
        raise wrong
    start, end = (int(hour) * 60 + int(minute) for hour, minute in ((found[2], found[3]), (found[4], found[5])))
    if int(found[3]) > 59 or int(found[5]) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise wrong
    return Weekly(days=_days(found[1]), start=start, end=end, zone=check_zone(found[6] or zone))


def check_zone(name: str) -> str:
    """The name of a time zone that is known here. Raises `ValueError`."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name[:64]} is no IANA time zone such as Europe/Berlin") from None
    return name


def _days(text: str) -> frozenset[int]:
    if text.strip() == "daily":
        return frozenset(range(len(DAYS)))
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"must name days by {', '.join(DAYS)}, or `daily`")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days |= {day % len(DAYS) for day in range(begin, (end if end >= begin else end + len(DAYS)) + 1)}
    return frozenset(days)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
