"""Three small detectors over spending by the hour: MAD (a jump), CUSUM (a leak or a creep), burn rate (a budget going).

Float mathematics on logarithms, as in `levels`. Each looks at whole hours and at the hour under way as it is: that
one can only grow, so what it shows already is true at its end. The figures are those of docs/forecast.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from aegis.core.money import Nanos

WEEK_HOURS: Final = 168
WEEKS: Final = 4
"""The same hour of the week, and the ones beside it, in the last four weeks."""
SAMPLES_MIN: Final = 6
"""Two weeks of three hours each: with fewer there is no usual, and only the burn rate watches."""
MAD_Z: Final = 5.0
MAD_FACTOR: Final = 1.8
MAD_HOURS: Final = 2
"""In a row: the second hour takes the false alarms away."""
SPREAD_MIN: Final = 0.10
"""Spending that is the same to the cent has still this much spread (a tenth)."""
CUSUM_SLACK: Final = 0.75
CUSUM_LIMIT: Final = 6.0
CUSUM_Z_MAX: Final = 4.0
"""One wild hour is MAD's affair: it counts as four spreads at most."""
CUSUM_HOURS: Final = 72
"""How far back sums begin: three days are enough to see a creep of 4 % an hour."""
BURN_SHORT, BURN_LONG = 6.0, 2.5
"""Times the budget's even pace, over one hour and over six."""
BURN_HOURS: Final = 6
NORMAL: Final = 1.4826
"""The median absolute deviation times this is the standard deviation of normal figures."""


@dataclass(frozen=True, slots=True)
class Found:
    """Hours from the first to the last (numbers since the epoch, both included), what they came to and usually do."""

    first: int
    last: int
    cost: Nanos
    usual: Nanos
    reason: str


@dataclass(frozen=True, slots=True)
class _Usual:
    middle: float
    spread: float


class Hours:
    """Spending by the hour (numbers since the epoch), and what is usual for one; `floor` keeps logarithms of nothing
    and of cents apart from noise.
    """

    def __init__(self, cost: Mapping[int, Nanos], floor: Nanos) -> None:
        self._cost, self._floor = cost, max(1, floor)
        self.first = min((hour for hour, spent in cost.items() if spent > 0), default=None)

    def cost(self, hour: int) -> Nanos:
        return max(0, self._cost.get(hour, 0))

    def log(self, hour: int) -> float:
        return math.log(self.cost(hour) + self._floor)

    def usual(self, hour: int) -> _Usual | None:
        """The median and spread of the same hour of the week, one more or less, over four weeks; None: too few."""
        if self.first is None:
            return None
        hours = [hour - week * WEEK_HOURS + beside for week in range(1, WEEKS + 1) for beside in (-1, 0, 1)]
        logs = [self.log(one) for one in hours if one >= self.first]
        if len(logs) < SAMPLES_MIN:
            return None
        middle = median(logs)
        return _Usual(middle, max(SPREAD_MIN, NORMAL * median([abs(log - middle) for log in logs])))

    def usual_cost(self, hour: int) -> Nanos:
        found = self.usual(hour)
        return 0 if found is None else max(0, round(math.exp(found.middle)) - self._floor)

    def z(self, hour: int) -> float | None:
        found = self.usual(hour)
        return None if found is None else (self.log(hour) - found.middle) / found.spread


def jumped(hours: Hours, now: int, least: Nanos) -> Found | None:
    """MAD: two hours in a row far above what is usual, by spread and by factor. `now` is the hour under way."""
    for last in (now, now - 1):
        run = range(last - MAD_HOURS + 1, last + 1)
        if all(_far(hours, hour, least) for hour in run):
            cost, usual = sum(map(hours.cost, run)), sum(map(hours.usual_cost, run))
            times = f"{cost / usual:.1f} times what is usual" if usual else "where nothing is usual"
            return Found(run[0], last, cost, usual, f"two hours in a row far above the usual, {times}")
    return None


def _far(hours: Hours, hour: int, least: Nanos) -> bool:
    z, usual = hours.z(hour), hours.usual_cost(hour)
    cost = hours.cost(hour)
    return z is not None and z > MAD_Z and cost > MAD_FACTOR * usual and cost - usual >= least


def drifted(hours: Hours, now: int, least: Nanos) -> Found | None:
    """CUSUM: what is above the usual hour after hour adds up, though no single hour stands out. Whole hours only."""
    total, since = 0.0, now
    for hour in range(now - CUSUM_HOURS, now):
        z = hours.z(hour)
        step = 0.0 if z is None else min(z, CUSUM_Z_MAX) - CUSUM_SLACK
        if total + step <= 0:
            total, since = 0.0, hour + 1
        else:
            total += step
    run = range(since, now)
    cost, usual = sum(map(hours.cost, run)), sum(map(hours.usual_cost, run))
    if total <= CUSUM_LIMIT or not run or cost - usual < least * len(run) or (hours.z(now - 1) or 0.0) < CUSUM_SLACK:
        return None
    return Found(since, now - 1, cost, usual, f"above the usual for {len(run)} hours, which adds up")


def burning(hours: Hours, now: int, per_hour: float, least: Nanos) -> Found | None:
    """Burn rate: the last hour and the last six far above the pace (nano-dollars an hour) that would just use the budget
    up. Needs no history.
    """
    run = range(now - BURN_HOURS + 1, now + 1)
    short, long = max(hours.cost(now), hours.cost(now - 1)), sum(map(hours.cost, run))
    if short <= BURN_SHORT * per_hour or long <= BURN_LONG * per_hour * BURN_HOURS or short < least:
        return None
    usual = round(per_hour * BURN_HOURS)
    reason = f"an hour at {short / per_hour:.1f} times and six hours at {long / max(1, usual):.1f} times its even pace"
    return Found(run[0], now, long, usual, reason)


def usual_of(value: Mapping[int, Nanos], hours: Sequence[int]) -> Nanos:
    """What one value of a name usually comes to in these hours: the mean of the same hours of the last four weeks."""
    return sum(value.get(hour - week * WEEK_HOURS, 0) for hour in hours for week in range(1, WEEKS + 1)) // WEEKS
