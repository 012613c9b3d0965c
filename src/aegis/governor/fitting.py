"""The fitted bound: what calls to a model really used of their worst case, so that holds strand less of a budget.

Policy: off unless a service says so, since it trades the cap for availability: a call that uses more than was held
goes over, by at most the difference to its worst case, and is counted. Until enough calls have ended, and after a call
went over, the strict bound holds.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from aegis.core.money import Nanos

WHOLE: Final = 1_000
"""Shares of the worst case are counted in thousandths."""
REMEMBERED: Final = 500
LEAST: Final = 50
"""Calls that have to end before anything is said about the next."""
PERCENTILE: Final = 99
MARGIN_PERCENT: Final = 125
"""The share that is held: the 99th percentile of the last calls, and a quarter more."""


class Fit:
    """One model's shares. `over` counts the calls that used more than was held for them."""

    __slots__ = ("_seen", "_share", "over")

    def __init__(self) -> None:
        self._seen: deque[int] = deque(maxlen=REMEMBERED)
        self._share, self.over = WHOLE, 0

    @property
    def share(self) -> int:
        """How much of a worst case is held, in thousandths."""
        return self._share

    def held(self, need: int) -> int:
        """What is held of a need, rounded up."""
        return -(-need * self._share // WHOLE)

    def learn(self, *, cost: Nanos, strict: Nanos, held: Nanos) -> None:
        """A call ended with this cost; `strict` was its worst case."""
        if strict <= 0:
            return
        self._seen.append(min(WHOLE, -(-cost * WHOLE // strict)))
        if cost > held:
            # What was believed about this model is wrong: begin anew, strictly.
            self.over += 1
            self._seen.clear()
            self._share = WHOLE
        elif len(self._seen) >= LEAST:
            usual = sorted(self._seen)[-(-len(self._seen) * PERCENTILE // 100) - 1]
            self._share = max(1, min(WHOLE, usual * MARGIN_PERCENT // 100))
