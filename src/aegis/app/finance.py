"""Forecasts for every budget that stands, from the hours that the store keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from aegis.core.budgets import MONEY, Amounts, Balance, Budget
from aegis.core.errors import BadInput
from aegis.core.forecasts import Forecast
from aegis.core.money import format_usd
from aegis.core.windows import window_at
from aegis.core.wording import rfc3339
from aegis.finance.forecasting import AHEAD_MAX, HISTORY_DAYS, Asked, History, forecast
from aegis.stores.spend_hours import COLUMNS, SpendHours

FORECASTS_MAX: Final = 200
"""Lines in one answer, the fullest first: some ten milliseconds each."""


async def forecasts(
    hours: SpendHours, budgets: Sequence[Budget], balances: Sequence[Balance], now: datetime, *, budget: str = ""
) -> Sequence[Forecast]:
    """One forecast for every line that stands (of one budget, if named), the fullest first. Budgets on a meter, or by
    incident, are forecast at the pace of their own window. Raises `BadInput` for a budget that there is not, and
    `StoreError`.
    """
    known = {one.name: one for one in budgets}
    if budget and budget not in known:
        raise BadInput(f"there is no budget {budget[:64]}; the budgets are {', '.join(known)}", code="no_such_budget")
    lines = [line for line in balances if line.budget in known and budget in ("", line.budget)]
    lines = [line for line in lines if budget or line.unit == MONEY or line.settled]  # meters nobody uses say nothing
    lines.sort(
        key=lambda line: (-(line.settled * 1_000_000 // max(1, line.limit)), line.budget, line.part, line.window)
    )
    histories: dict[str, Mapping[str, Mapping[int, int]]] = {}
    made = []
    for line in lines[:FORECASTS_MAX]:
        one = known[line.budget]
        if one.name not in histories:
            histories[one.name] = await _hours(hours, one, now)
        policy = next(amounts for amounts in one.windows if amounts.window.kind == line.window)
        found = histories[one.name].get(line.part, {})
        made.append(forecast(_asked(line, policy), History(found or _evenly(line, policy, now), now)))
    return made


async def total_forecast(hours: SpendHours, now: datetime, days: int) -> Forecast:
    """What all calls together come to in the next days (at most `AHEAD_MAX`). Raises `StoreError`."""
    found = await hours.by_hour(now - timedelta(days=HISTORY_DAYS + 1), {})
    asked = Asked(
        budget="all calls",
        part="",
        window="days",
        window_key=f"next {days} days",
        unit=MONEY,
        ends_at=now + timedelta(days=min(days, AHEAD_MAX)),
        spent=0,
        limit=None,
    )
    return forecast(asked, History(found.get((), {}), now))


async def _hours(hours: SpendHours, budget: Budget, now: datetime) -> Mapping[str, Mapping[int, int]]:
    """Cost by the hour of every part of a budget; nothing for what the hours are not kept by."""
    if budget.unit != MONEY or any(name not in COLUMNS for name in budget.scope):
        return {}
    found = await hours.by_hour(now - timedelta(days=HISTORY_DAYS + 1), budget.scope)
    return {"/".join(values): by_hour for values, by_hour in found.items()}


def _evenly(line: Balance, amounts: Amounts, now: datetime) -> Mapping[int, int]:
    """What a window holds, as if it had come in evenly: all that is known of a budget on a meter."""
    if line.window == "rolling":
        began = now - timedelta(milliseconds=amounts.window.span_ms)
    else:
        began = window_at(amounts.window, now).starts_at
    first, last = (int(at.timestamp()) // 3_600 for at in (began, now))
    each, rest = divmod(line.settled, last - first + 1)
    return {hour * 3_600_000: each + (hour == last) * rest for hour in range(first, last + 1)} if line.settled else {}


def _asked(line: Balance, amounts: Amounts) -> Asked:
    rolling = amounts.window.span_ms if line.window == "rolling" else 0
    return Asked(
        budget=line.budget,
        part=line.part,
        window=line.window,
        window_key=line.window_key,
        unit=line.unit,
        ends_at=line.resets_at,
        spent=line.settled,
        limit=line.limit,
        span_ms=rolling,
    )


def forecast_row(made: Forecast) -> dict[str, Any]:
    """A forecast as JSON values: money as decimal text under names that end in `_usd`, meters as whole numbers."""
    money = made.unit == MONEY
    end = "_usd" if money else ""

    def amount(value: int | None) -> Any:
        return format_usd(value) if money and value is not None else value

    some = made.confidence != "none"
    return {
        "budget": made.budget,
        "part": made.part,
        "window": made.window,
        "window_key": made.window_key,
        "unit": made.unit,
        "ends_at": _stamp(made.ends_at),
        f"spent{end}": amount(made.spent),
        f"limit{end}": amount(made.limit),
        "confidence": made.confidence,
        "history_days": made.history_days,
        f"forecast{end}": amount(made.usual.middle) if some else None,
        "band": {"percent": 80, f"low{end}": amount(made.usual.low), f"high{end}": amount(made.usual.high)}
        if some
        else None,
        f"last_24h{end}": amount(made.last_day),
        f"at_24h_pace{end}": amount(made.at_pace),
        "exhausted_at": _stamp(made.exhausted_at),
        "exhausted_at_24h_pace": _stamp(made.exhausted_at_pace),
        "back_test": {"mean_error_percent": made.error.percent, "trials": made.error.trials}
        if made.error.trials
        else None,
    }


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at, whole=True)
