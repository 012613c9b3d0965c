"""Who is on call: rotations that hand over every day or week at a time of the wall, with overrides.

Policy: it is computed, never stored: the same question has the same answer before and after a restart. Handing over at
a time that the clocks skip happens at the change; at one that comes twice, the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from aegis.core.schedules import instant

Every = Literal["day", "week"]
DAYS_OF: dict[Every, int] = {"day": 1, "week": 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Somebody stands in from `starts_at` to `ends_at` (UTC)."""

    contact: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCall:
    """Who is on call, who is next to be asked (empty: nobody else), and until when that holds at least."""

    primary: str
    secondary: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """`contacts` in turn, the first from `begins` on; each for a day or a week, from `at` minutes after midnight in
    `zone` (a weekly one on the weekday of `begins`). The secondary is whoever comes next.
    """

    name: str
    contacts: tuple[str, ...]
    begins: date
    every: Every = "week"
    at: int = 9 * 60
    zone: str = "UTC"
    overrides: tuple[Override, ...] = ()

    def on_call(self, now: datetime) -> OnCall:
        """Who is on call at `now` (any aware time)."""
        turn = self._turn(now)
        number = len(self.contacts)
        primary, secondary = self.contacts[turn % number], self.contacts[(turn + 1) % number]
        stands_in = next((one for one in self.overrides if one.starts_at <= now < one.ends_at), None)
        if stands_in is not None:
            # Whoever is stood in for is not asked as second either: they are away.
            after = [self.contacts[(turn + step) % number] for step in range(1, number)]
            rest = [one for one in after if one not in (stands_in.contact, primary)]
            primary, secondary = stands_in.contact, rest[0] if rest else ""
        return OnCall(
            primary=primary, secondary="" if secondary == primary else secondary, until=self._until(now, turn)
        )

    def shifts(self, since: datetime, *, most: int) -> Iterator[tuple[datetime, OnCall]]:
        """At most `most` stretches from `since` on, each with its start."""
        for _ in range(most):
            there = self.on_call(since)
            yield since, there
            since = there.until

    def _turn(self, now: datetime) -> int:
        """How many times it was handed over since `begins`; negative before."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        turn = (today - self.begins).days // DAYS_OF[self.every] + 1
        while now < self._handed_over(turn):  # at most a few times: the day is known, only its hour is not
            turn -= 1
        return turn

    def _handed_over(self, turn: int) -> datetime:
        return instant(self.begins + timedelta(days=turn * DAYS_OF[self.every]), self.at, self.zone)

    def _until(self, now: datetime, turn: int) -> datetime:
        ends = [self._handed_over(turn + 1)]
        ends += [moment for one in self.overrides for moment in (one.starts_at, one.ends_at) if moment > now]
        return min(ends)
