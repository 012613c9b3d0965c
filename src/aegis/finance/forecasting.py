"""Puts a forecast together: what a window of a budget comes to, how wrong such forecasts were, when it is used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import fmean
from typing import Final

from aegis.core.forecasts import DAY_MS, Band, Confidence, Error, Forecast, at_pace, reached_at
from aegis.finance.cones import LITTLE, cone
from aegis.finance.levels import Shape, shape_of

HOUR_MS: Final = 3_600_000
HISTORY_DAYS: Final = 63
"""Nine weeks: four for the profile, and as many before to try the method on."""
TRIALS_MAX: Final = 8
TRIAL_DAYS_MAX: Final = 14
"""Days ahead that are tried: further ones would leave too few trials in nine weeks."""
AHEAD_MAX: Final = 366
"""Days ahead that are forecast: the longest window is a month, `--days` a year."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be forecast. `limit` None: there is no budget, only what it comes to. `span_ms` is the length of a
    rolling window, 0 for one that ends.
    """

    budget: str
    part: str
    window: str
    window_key: str
    unit: str
    ends_at: datetime
    spent: int
    limit: int | None
    span_ms: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """Cost by the hour (milliseconds of its start), the hour under way included, up to `now`."""

    hours: Mapping[int, int]
    now: datetime

    @property
    def today(self) -> datetime:
        """The beginning of the day under way (UTC)."""
        return EPOCH + (self.now - EPOCH) // DAY * DAY

    def days(self) -> list[int]:
        """Whole days up to yesterday, from the first with any spending on, at most `HISTORY_DAYS`."""
        last = _ms(self.today) // DAY_MS
        found = [0] * HISTORY_DAYS
        for hour, cost in self.hours.items():
            back = last - hour // DAY_MS
            if 1 <= back <= HISTORY_DAYS:
                found[-back] += max(0, cost)
        return found[next((at for at, cost in enumerate(found) if cost), len(found)) :]

    def last_day(self) -> int:
        """What the last 24 hours came to: the hour under way and the 23 before it, and of the one before those the
        share that lies within.
        """
        now = _ms(self.now)
        this = now - now % HOUR_MS
        whole = sum(max(0, self.hours.get(this - back * HOUR_MS, 0)) for back in range(24))
        return whole + max(0, self.hours.get(this - 24 * HOUR_MS, 0)) * (HOUR_MS - now % HOUR_MS) // HOUR_MS


def forecast(asked: Asked, history: History) -> Forecast:
    """How the window ends. Costs a few milliseconds."""
    days, last_day = history.days(), history.last_day()
    until = history.now + timedelta(milliseconds=asked.span_ms) if asked.span_ms else asked.ends_at
    until = max(history.now, min(until, history.now + AHEAD_MAX * DAY))
    steps, band, shape = _ahead(days, history, until)
    pace = at_pace(last_day, _ms(until) - _ms(history.now))
    spent = 0 if asked.span_ms else asked.spent
    error = (
        _tried(days, (history.today.weekday() - len(days)) % 7, round((until - history.now) / DAY)) if shape else None
    )
    return Forecast(
        budget=asked.budget,
        part=asked.part,
        window=asked.window,
        window_key=asked.window_key,
        unit=asked.unit,
        ends_at=until,
        spent=asked.spent,
        limit=asked.limit,
        usual=band.plus(spent),
        at_pace=spent + pace,
        last_day=last_day,
        history_days=len(days),
        confidence=_confidence(days, band, asked.spent, last_day),
        error=error or Error(percent=0, trials=0),
        exhausted_at=_reached(asked, history, steps),
        exhausted_at_pace=_reached(asked, history, ((until, pace),)),
    )


def _confidence(days: Sequence[int], band: Band, spent: int, last_day: int) -> Confidence:
    if not (band.high or spent or last_day):
        return "none"
    return "usual" if len(days) >= LITTLE else "low"


def _ahead(
    days: Sequence[int], history: History, until: datetime
) -> tuple[tuple[tuple[datetime, int], ...], Band, Shape | None]:
    """What is still to come: each day's end and amount, the band of their sum, and the shape if there is one."""
    cuts = [history.now]
    while cuts[-1] < until:
        cuts.append(min(until, history.today + len(cuts) * DAY))
    shares = [(late - early) / DAY for early, late in pairwise(cuts)]
    if len(days) < LITTLE:
        amounts, low, high, shape = _run_rate(history, shares)
    else:
        weekday = (history.today.weekday() - len(days)) % 7
        shape = shape_of(days, weekday)
        expected = shape.expected(history.today.weekday(), len(shares))
        amounts = [day * share for day, share in zip(expected, shares, strict=True)]
        low, high = cone(days, weekday, shape, amounts, 1.0) if amounts else (0.0, 0.0)
    middle = round(sum(amounts))
    band = Band(low=max(0, min(round(low), middle)), middle=middle, high=max(round(high), middle))
    return tuple((cut, round(amount)) for cut, amount in zip(cuts[1:], amounts, strict=True)), band, shape


def _run_rate(history: History, shares: Sequence[float]) -> tuple[list[float], float, float, None]:
    """With less than a week: everything so far by the time it took (an hour at least), and a wide band."""
    first = min((hour for hour, cost in history.hours.items() if cost > 0), default=None)
    if first is None or not shares:
        return [0.0] * len(shares), 0.0, 0.0, None
    since = max(first, _ms(history.today) - LITTLE * DAY_MS)
    total = sum(max(0, cost) for hour, cost in history.hours.items() if hour >= since)
    rate = total * DAY_MS / max(HOUR_MS, _ms(history.now) - since)
    amounts = [rate * share for share in shares]
    low, high = cone((), 0, shape_of([1.0], 0), amounts, 1.0)
    return amounts, low, high, None


def _tried(days: Sequence[int], weekday: int, ahead: int) -> Error:
    """The method on the same history: forecast from some days of the past, compared with what came."""
    ahead = max(1, min(ahead, TRIAL_DAYS_MAX, len(days) // 3))
    origins = range(len(days) - ahead, max(LITTLE, 2 * ahead) - 1, -max(1, (len(days) - 3 * ahead) // TRIALS_MAX + 1))
    errors = []
    for at in list(origins)[:TRIALS_MAX]:
        came = sum(days[at : at + ahead])
        said = sum(shape_of(days[:at], weekday).expected((weekday + at) % 7, ahead))
        if came > 0:
            errors.append(100 * abs(said - came) / came)
    return Error(percent=round(fmean(errors)) if errors else 0, trials=len(errors))


def _reached(asked: Asked, history: History, steps: tuple[tuple[datetime, int], ...]) -> datetime | None:
    if asked.limit is None:
        return None
    if not asked.span_ms or asked.spent >= asked.limit:
        return reached_at(asked.limit, asked.spent, steps, history.now)
    return reached_at(asked.limit, asked.spent, _rolled(asked, history, steps), history.now)


def _rolled(
    asked: Asked, history: History, steps: tuple[tuple[datetime, int], ...]
) -> tuple[tuple[datetime, int], ...]:
    """A rolling window hour by hour: what comes in, less what leaves at its other end."""
    found, since = [], history.now
    for until, amount in steps:
        hours = max(1, round((until - since) / timedelta(hours=1)))
        for _ in range(hours):
            since += timedelta(hours=1)
            gone = _ms(since) - asked.span_ms
            found.append((since, amount // hours - max(0, history.hours.get(gone - gone % HOUR_MS, 0))))
    return tuple(found)


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
