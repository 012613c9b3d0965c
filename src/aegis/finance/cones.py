"""The band around a forecast: what else could come of the same history, drawn again in blocks of three days.

Each path takes residuals (what a day was beside what was expected) from the history, three neighbouring days at a
time, on a level that is itself uncertain and wanders. Drawn with a generator of fixed seed: one history, one band.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import Final

from aegis.finance.levels import HALF_LIFE, Shape, deseasoned

PATHS: Final = 200
BLOCK: Final = 3
"""Days drawn together: an outbreak lasts days."""
WALK: Final = 0.035
"""The level wanders by this share per square root of a day, as people change what they do."""
LOW, HIGH = 0.10, 0.90
"""An 80 % band."""
RESIDUAL_DAYS: Final = 45
LITTLE: Final = 7
"""With fewer days there are no residuals to speak of: the band is `WIDE`."""
WIDE: Final = 3
"""From a third to three times: what the total of a service in its first days was found to be off by."""
UNEVEN_WIDER: Final = 1.3
"""Days that are uneven leave out of so short a history what is rare: measured, the band held 65 of 100 without."""
SEED: Final = 7


def cone(
    days: Sequence[float], weekday: int, shape: Shape, expected: Sequence[float], first: float
) -> tuple[float, float]:
    """The low and high end of the sum of the expected days, of which the first counts only by this share."""
    middle = sum(expected) - (1 - first) * (expected[0] if expected else 0.0)
    if len(days) < LITTLE or middle <= 0:
        return middle / WIDE, middle * WIDE
    plain = deseasoned(days, weekday, shape.profile)[-RESIDUAL_DAYS:]
    usual = fmean(plain)
    if usual <= 0:
        return 0.0, middle * WIDE
    residuals = [day / usual for day in plain]
    weighted = min(len(plain), 2 * shape.half_life / math.log(2))
    doubt = pstdev(residuals) / math.sqrt(weighted)
    chance = random.Random(SEED)
    totals = sorted(_path(residuals, expected, first, doubt, chance) for _ in range(PATHS))
    wider = UNEVEN_WIDER if shape.half_life > HALF_LIFE else 1.0
    low = middle - wider * (middle - totals[int(PATHS * LOW)])
    high = middle + wider * (totals[int(PATHS * HIGH) - 1] - middle)
    return max(0.0, min(low, middle)), max(high, middle)


def _path(
    residuals: Sequence[float], expected: Sequence[float], first: float, doubt: float, chance: random.Random
) -> float:
    level, total, at = max(0.0, 1 + chance.gauss(0, doubt)), 0.0, 0
    walk = 0.0
    for ahead, day in enumerate(expected):
        if ahead % BLOCK == 0:
            at = chance.randrange(len(residuals))
        walk += chance.gauss(0, WALK)
        share = first if ahead == 0 else 1.0
        total += share * day * residuals[(at + ahead % BLOCK) % len(residuals)] * level * math.exp(walk)
    return total
