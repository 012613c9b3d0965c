"""What a day usually costs: a level, the shape of a week, and a trend where there is one.

This is float mathematics (medians of ratios, exponential weights, logarithms) over figures that were whole numbers of
nano-dollars; it estimates and never books, and what leaves the package is rounded to whole numbers again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import Final

WEEK: Final = 7
PROFILE_DAYS: Final = 28
"""Four of each weekday: as long as a habit lasts."""
SHRINK: Final = 2
"""A weekday's own mean counts as its number of days, the plain mean of 1 as two more."""
SHRINK_MAX: Final = 1_000.0
WINSOR: Final = 2.5
"""No day weighs more than so many times what is usual: in the profile the median of its weekday, in the level the mean."""
HALF_LIFE, HALF_LIFE_UNEVEN, HALF_LIFE_SPARSE = 7, 14, 45
"""Days after which a day counts half: the more uneven the days, the more of them a mean needs."""
UNEVEN: Final = 0.5
"""Days are uneven whose standard deviation is more than half their mean,"""
SPARSE: Final = 0.2
"""and sparse when more than a fifth of them are empty,"""
REST_DAYS: Final = 3
"""on more than three weekdays."""
DAMPING: Final = 0.97
"""A trend weakens to this every day: growth seldom goes on for a month."""
TREND_DAYS: Final = 28
TREND_Z: Final = 2.4
"""Mann-Kendall: beyond this a trend is no accident (one in sixty series without one)."""
TREND_MAX: Final = 0.03
"""Growth of three percent a day (a fifth a week) is the most that is carried on."""
PROFILE_FROM: Final = 14
"""Days of history from which weekdays are told apart: two of each."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a series is like at its end. `profile` has Monday first and a mean of 1; `growth` is per day (0.01 is one
    percent); `half_life` in days.
    """

    level: float
    profile: tuple[float, ...]
    growth: float
    half_life: int

    def expected(self, weekday: int, days: int) -> list[float]:
        """The next days, of which the first is this weekday (0 is Monday)."""
        found, gone = [], 0.0
        for ahead in range(days):
            gone = gone * DAMPING + DAMPING if self.growth else 0.0
            found.append(self.level * self.profile[(weekday + ahead) % WEEK] * math.exp(self.growth * gone))
        return found


def shape_of(days: Sequence[float], weekday: int) -> Shape:
    """The shape of daily figures (none negative, at least one), of which the first is this weekday."""
    profile = _profile(days, weekday)
    plain = deseasoned(days, weekday, profile)
    shares = [profile[(weekday + number) % WEEK] for number in range(len(days))]
    half_life = _half_life(plain)
    growth = _growth(plain)
    return Shape(_level(days, shares, half_life, growth), profile, growth, half_life)


def deseasoned(days: Sequence[float], weekday: int, profile: Sequence[float]) -> list[float]:
    """Each day as it would be without its weekday."""
    return [day / profile[(weekday + number) % WEEK] for number, day in enumerate(days)]


def _profile(days: Sequence[float], weekday: int) -> tuple[float, ...]:
    recent = days[-PROFILE_DAYS:]
    first = weekday + len(days) - len(recent)
    mean = fmean(recent)
    if len(recent) < PROFILE_FROM or mean <= 0 or _sparse(recent):
        return (1.0,) * WEEK
    groups = [[day for at, day in enumerate(recent) if (first + at) % WEEK == one] for one in range(WEEK)]
    groups = [[min(day, WINSOR * usual) if (usual := median(same)) > 0 else day for day in same] for same in groups]
    shrink = _shrinking(groups)
    found = [(sum(same) / mean + shrink) / (len(same) + shrink) for same in groups]
    return tuple(ratio / fmean(found) for ratio in found)


def _shrinking(groups: Sequence[Sequence[float]]) -> float:
    """How many days of a plain mean a weekday's own days are mixed with: `SHRINK`, and more the less of what differs
    between weekdays is more than the chance of so few days (all of it chance: `SHRINK_MAX`).
    """
    means = [fmean(same) for same in groups]
    within = fmean(
        [
            sum((day - mean) ** 2 for day in same) / max(1, len(same) - 1)
            for same, mean in zip(groups, means, strict=True)
        ]
    )
    between = sum((mean - fmean(means)) ** 2 for mean in means) / (WEEK - 1)
    real = between - within * fmean([1 / len(same) for same in groups])
    return SHRINK_MAX if real <= 0 else min(SHRINK_MAX, max(SHRINK, within / real))


def _sparse(days: Sequence[float]) -> bool:
    """Whether so many days are empty that neither weekdays nor weeks can be told apart; resting at weekends is none."""
    empty = [number % WEEK for number, day in enumerate(days) if day <= 0]
    return len(empty) > SPARSE * len(days) and len(set(empty)) > REST_DAYS


def _half_life(plain: Sequence[float]) -> int:
    recent = plain[-PROFILE_DAYS:]
    if _sparse(recent):
        return HALF_LIFE_SPARSE
    return HALF_LIFE_UNEVEN if pstdev(recent) > UNEVEN * fmean(recent) else HALF_LIFE


def _level(days: Sequence[float], shares: Sequence[float], half_life: int, growth: float) -> float:
    """The mean with exponential weights (of the mean, not the median: that one forgets bursts), each day carried to
    the end of the series by the growth. Days are set against their weekdays' shares as sums: a quotient of each would
    make little of a week whose weekend is empty.
    """
    most = WINSOR * fmean(days)
    total = weights = 0.0
    for age, (day, share) in enumerate(zip(reversed(days), reversed(shares), strict=True)):
        weight = 0.5 ** (age / half_life)
        total += weight * min(day, most * max(1.0, share)) * math.exp(growth * min(age, TREND_DAYS))
        weights += weight * share
    return total / weights


def _growth(plain: Sequence[float]) -> float:
    """The median slope (Theil-Sen) of the logarithms of the last four weeks; 0 unless Mann-Kendall finds a trend."""
    recent = plain[-TREND_DAYS:]
    if len(recent) < 2 * WEEK or any(day <= 0 for day in recent):
        return 0.0
    logs = [math.log(day) for day in recent]
    count = len(logs)
    slopes = [(logs[late] - logs[early]) / (late - early) for early in range(count) for late in range(early + 1, count)]
    score = sum((slope > 0) - (slope < 0) for slope in slopes)
    spread = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    if abs(score) < TREND_Z * spread:
        return 0.0
    return max(-TREND_MAX, min(TREND_MAX, median(slopes)))
