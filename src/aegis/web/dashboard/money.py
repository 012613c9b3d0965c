"""Budgets as pages show them: bars, the four numbers, burn-ups with what is expected. Now and Spend read these alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from aegis.core.budgets import MONEY, Balance, Budget
from aegis.core.charts import BurnUp, burn_up
from aegis.core.forecasts import Forecast
from aegis.core.pictures import budget_bar
from aegis.core.windows import window_at
from aegis.web.dashboard.frame import picture
from aegis.web.views import amount, balance_row, stamp

TICKS: Final = 5
"""Times below a burn-up: as many as fit on a phone."""


def tightest(balances: Sequence[Balance]) -> Balance | None:
    """The money budget that is nearest to its limit: what the four numbers are about."""
    money = [line for line in balances if line.unit == MONEY]
    return max(money, key=lambda line: (line.settled + line.held) * 1_000_000 // max(line.limit, 1), default=None)


def line_key(line: Balance | Forecast) -> tuple[str, str, str]:
    return line.budget, line.part, line.window


def href(line: Balance) -> str:
    """The page of a budget line."""
    return f"/spend?budget={quote(line.budget)}&part={quote(line.part)}&window={quote(line.window)}"


def name_of(line: Balance) -> str:
    return f"{line.budget} [{line.part}]" if line.part else line.budget


def budget_row(line: Balance) -> Mapping[str, Any]:
    """A budget line with its bar."""
    row = balance_row(line)
    spoken = f"{name_of(line)}, {line.window}: {row['settled']} spent, {amount(line.held, line.unit)} reserved, of {row['limit']}"
    bar = budget_bar(
        settled=line.settled, held=line.held, limit=line.limit, levels=list(line.levels.values()), spoken=spoken
    )
    return {
        **row,
        "name": name_of(line),
        "held": amount(line.held, line.unit),
        "free": amount(max(0, line.limit - line.settled - line.held), line.unit),
        "picture": picture(bar),
        "href": href(line),
        "refused": line.refused,
        "observe": line.observe,
    }


def four_numbers(line: Balance | None, made: Forecast | None) -> Sequence[Mapping[str, str]]:
    """Spent, reserved, left, forecast: of one budget line."""
    if line is None:
        return ()
    about, to = f"{name_of(line)}, {line.window}", href(line)
    left = max(0, line.limit - line.settled - line.held)
    full = line.settled >= line.limit
    numbers = [
        {"label": "spent", "value": amount(line.settled, line.unit), "under": f"of {amount(line.limit, line.unit)}"},
        {"label": "reserved", "value": amount(line.held, line.unit), "under": "by calls under way"},
        {
            "label": "left",
            "value": amount(left, line.unit),
            "under": f"until {line.resets_at:%d %b %H:%M}",
            "tone": "critical" if full else "",
        },
        {"label": "forecast", **_expected(made)},
    ]
    return [{"tone": "", "href": to, "about": about, **number} for number in numbers]


def _expected(made: Forecast | None) -> Mapping[str, str]:
    if made is None or made.confidence == "none":
        return {"value": "–", "under": "nothing spent to go by yet"}
    over = made.limit is not None and made.usual.middle > made.limit
    band = f"{amount(made.usual.low, made.unit)} to {amount(made.usual.high, made.unit)}"
    return {"value": amount(made.usual.middle, made.unit), "under": band, "tone": "high" if over else ""}


def burn_picture(line: Balance, budget: Budget, made: Forecast | None, hours: Mapping[int, int], now: datetime) -> str:
    """The burn-up of one budget line from its hours (milliseconds of the hour to what was spent in it)."""
    policy = next(one.window for one in budget.windows if one.window.kind == line.window)
    if line.window == "rolling":
        starts, ends = now - timedelta(milliseconds=policy.span_ms), now
    else:
        starts, ends = window_at(policy, now).starts_at, line.resets_at
    start_ms, now_ms = _ms(starts), _ms(now)
    points, total = [(start_ms, 0)], 0
    for hour in sorted(hour for hour in hours if start_ms - 3_600_000 < hour <= now_ms):
        total += hours[hour]
        points.append((min(now_ms, hour + 3_600_000), min(total, line.settled)))
    points.append((now_ms, line.settled))
    expected = made if made is not None and made.confidence != "none" and line.window != "rolling" else None
    row = balance_row(line)
    words = f"{row['settled']} spent of {row['limit']}"
    if expected is not None:
        words += f"; expected at the end {amount(expected.usual.middle, line.unit)}, in four cases of five between "
        words += f"{amount(expected.usual.low, line.unit)} and {amount(expected.usual.high, line.unit)}"
    shown = BurnUp(
        starts_ms=start_ms,
        ends_ms=_ms(ends),
        now_ms=now_ms,
        points=points,
        marks={"limit": line.limit, **{name: units for name, units in line.levels.items() if name != "emergency"}},
        band=(expected.usual.low, expected.usual.middle, expected.usual.high) if expected else None,
        pace=expected.at_pace if expected else None,
    )
    said = {"limit": amount(line.limit, line.unit)} | {n: amount(u, line.unit) for n, u in line.levels.items()}
    title = f"Spending of {name_of(line)} in this {line.window}"
    return burn_up(shown, title=title, spoken=words, ticks=_ticks(starts, ends), said=said)


def _ticks(starts: datetime, ends: datetime) -> Sequence[tuple[int, str]]:
    step = (ends - starts) / TICKS
    form = "%H:%M" if ends - starts <= timedelta(days=1) else "%d %b"
    return [(_ms(starts + step * number), f"{starts + step * number:{form}}") for number in range(TICKS)]


def forecast_words(made: Forecast) -> Mapping[str, Any]:
    """What a forecast says, in rows of a list."""
    some = made.confidence != "none"
    return {
        "some": some,
        "middle": amount(made.usual.middle, made.unit),
        "low": amount(made.usual.low, made.unit),
        "high": amount(made.usual.high, made.unit),
        "last_day": amount(made.last_day, made.unit),
        "at_pace": amount(made.at_pace, made.unit),
        "days": made.history_days,
        "error": f"off by {made.error.percent} % on average in {made.error.trials} tries" if made.error.trials else "",
        "exhausted": f"{made.exhausted_at:%d %b %H:%M}" if made.exhausted_at else "",
        "exhausted_at": stamp(made.exhausted_at) if made.exhausted_at else "",
        "exhausted_pace": f"{made.exhausted_at_pace:%d %b %H:%M}" if made.exhausted_at_pace else "",
    }


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
