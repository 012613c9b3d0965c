"""What a forecast says: an amount with its band, the error such forecasts had, and when a budget is used up.

Amounts are whole numbers of the budget's unit (nano-dollars for money). No amount is given without a band.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

DAY_MS = 24 * 3_600_000

Confidence = Literal["none", "low", "usual"]
"""`none`: nothing was spent yet to go by; `low`: fewer than seven days of history; `usual`: more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """An amount, and the limits between which it is expected to come out in four cases of five."""

    low: int
    middle: int
    high: int

    def __post_init__(self) -> None:
        assert 0 <= self.low <= self.middle <= self.high, "a band has its middle inside and is never negative"

    def plus(self, amount: int) -> Band:
        """The same band on top of what is certain."""
        return Band(low=self.low + amount, middle=self.middle + amount, high=self.high + amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """How far such forecasts were off on the same history, in percent of what came (mean of the absolute errors), and
    in how many trials; `trials` 0: there was too little history to try.
    """

    percent: int
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How one window of one budget (or a number of days ahead) is expected to end.

    `usual` holds if usage keeps its present pattern; `at_pace` is the plain amount at the pace of the last 24 hours.
    `exhausted_at` and `exhausted_at_pace` say when the limit is reached by either; None: not within the window.
    """

    budget: str
    part: str
    window: str
    window_key: str
    unit: str
    ends_at: datetime
    spent: int
    limit: int | None
    usual: Band
    at_pace: int
    last_day: int
    history_days: int
    confidence: Confidence
    error: Error
    exhausted_at: datetime | None = None
    exhausted_at_pace: datetime | None = None


def reached_at(limit: int, spent: int, steps: tuple[tuple[datetime, int], ...], begins: datetime) -> datetime | None:
    """When spending reaches the limit: `steps` are moments and what is spent up to each from the one before (the first
    from `begins`), evenly. None: it does not.
    """
    if spent >= limit:
        return begins
    since, total = begins, spent
    for until, amount in steps:
        if amount > 0 and total + amount >= limit:
            part = (until - since) // timedelta(milliseconds=1) * (limit - total) // amount
            return since + timedelta(milliseconds=part)
        since, total = until, total + amount
    return None


def at_pace(last_day: int, span_ms: int) -> int:
    """What a span comes to at the pace of the last 24 hours."""
    return last_day * max(0, span_ms) // DAY_MS
