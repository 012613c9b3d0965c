"""Slowing down near a quota: the fuller a budget, the longer the space between calls, low priorities first.

Steps and delays are those of the throttling configuration that `aegis.cost_optimization` documents: light from 60 %,
moderate from 75 %, heavy from 85 %, block from 95 %; 1, 3 and 10 seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from aegis.core.calls import Priority


class ThrottleStep(IntEnum):
    """How hard calls are held back."""

    NONE = 0
    LIGHT = 1
    MODERATE = 2
    HEAVY = 3
    BLOCK = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleCurve:
    """Thresholds in percent of the limit, and the space between two calls at each step."""

    light: int = 60
    moderate: int = 75
    heavy: int = 85
    block: int = 95
    light_ms: int = 1_000
    moderate_ms: int = 3_000
    heavy_ms: int = 10_000

    def step(self, used: int, limit: int) -> ThrottleStep:
        """The step for `used` of `limit` (same unit)."""
        filled = used * 100
        for step, percent in (
            (ThrottleStep.BLOCK, self.block),
            (ThrottleStep.HEAVY, self.heavy),
            (ThrottleStep.MODERATE, self.moderate),
            (ThrottleStep.LIGHT, self.light),
        ):
            if filled >= percent * limit:
                return step
        return ThrottleStep.NONE

    def space_ms(self, step: ThrottleStep) -> int | None:
        """The space between two calls at a step; None where calls are blocked."""
        return {
            ThrottleStep.NONE: 0,
            ThrottleStep.LIGHT: self.light_ms,
            ThrottleStep.MODERATE: self.moderate_ms,
            ThrottleStep.HEAVY: self.heavy_ms,
        }.get(step)


def felt(step: ThrottleStep, priority: Priority) -> ThrottleStep:
    """The step as a priority feels it: CRITICAL is never held back here (its budget still is the limit), HIGH feels
    one step less, LOW one step more.
    """
    if step is ThrottleStep.NONE or priority is Priority.CRITICAL:
        return ThrottleStep.NONE
    shift = {Priority.HIGH: -1, Priority.LOW: 1}.get(priority, 0)
    return ThrottleStep(min(step + shift, ThrottleStep.BLOCK))
