"""What people need to know of a crossed budget level: what it came to, which amount was reached, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from aegis.core.budgets import MONEY, Amounts, Budget
from aegis.core.money import show_usd
from aegis.core.telemetry import LevelCrossed
from aegis.core.windows import window_at
from aegis.core.wording import when


def facts_of(crossed: LevelCrossed, budgets: Sequence[Budget], now: datetime) -> Mapping[str, str]:
    """The facts of a crossing, by the names that the incident path knows: `budget`, `window` and `level` make it one and
    the same; `spent`, `threshold`, `limit`, `crossed_at` and `resets_at` are for people.
    """
    found = _found(crossed, budgets)
    unit = found[0].unit if found else MONEY
    facts = {
        "budget": crossed.budget,
        "window": crossed.window,
        "level": crossed.level,
        "spent": shown(crossed.spent, unit, decimals=4),
        "limit": shown(crossed.limit, unit),
        "crossed_at": when(crossed.at),
    }
    if found:
        budget, amounts = found
        amount = dict(amounts.levels()).get(crossed.level, crossed.limit)
        facts["threshold"] = shown(amount, budget.unit)
        if amounts.window.kind != "rolling":
            facts["resets_at"] = when(window_at(amounts.window, now).ends_at)
    return facts


def _found(crossed: LevelCrossed, budgets: Sequence[Budget]) -> tuple[Budget, Amounts] | None:
    """The budget of a crossing (`keys`, or `keys [red]` for one part of it) and the amounts of its window."""
    kind = crossed.window.partition(" ")[0]
    for budget in budgets:
        if crossed.budget == budget.name or crossed.budget.startswith(f"{budget.name} ["):
            for amounts in budget.windows:
                if amounts.window.kind == kind:
                    return budget, amounts
    return None


def shown(amount: int, unit: str, *, decimals: int = 2) -> str:
    """An amount of a unit as people read it."""
    return show_usd(amount, decimals=decimals) if unit == MONEY else f"{amount:,} {unit.replace('_', ' ')}"
