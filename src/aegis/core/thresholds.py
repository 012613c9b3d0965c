"""Budgets as a JSON document writes them: `budget_thresholds` per period, and `actions` per level, as they stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from aegis.core.budgets import LEVELS, Amounts, Budget, Level
from aegis.core.errors import ConfigError
from aegis.core.money import MoneyError, usd
from aegis.core.windows import WindowKind, WindowPolicy

PERIODS: Mapping[str, WindowKind] = {"daily": "day", "weekly": "week", "monthly": "month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """One budget over everything, and what crossing each level sets off."""

    budget: Budget
    actions: Mapping[Level, tuple[str, ...]]


def read_thresholds(text: str, *, name: str = "everything", zone: str = "UTC") -> Thresholds:
    """Read `{"budget_thresholds": {"daily": {"warning": 5.00, ...}}, "actions": {"warning": ["log"]}}`.

    Amounts are dollars, read as decimals. Raises `ConfigError` naming every field that is wrong.
    """
    try:
        document = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise ConfigError(f"budget thresholds: not JSON ({error})") from error
    problems: list[str] = []
    thresholds = _mapping(document, "budget_thresholds", problems)
    actions = _mapping(document, "actions", problems, required=False)
    windows = [_amounts(period, values, zone, problems) for period, values in thresholds.items()]
    chosen = {level: _words(f"actions.{level}", actions[level], problems) for level in LEVELS if level in actions}
    problems += [f"actions.{level}: the levels are {', '.join(LEVELS)}" for level in actions if level not in LEVELS]
    if not windows and not problems:
        problems.append("budget_thresholds: at least one of daily, weekly, monthly")
    if problems:
        raise ConfigError(*problems)
    budget = Budget(name=name, windows=tuple(window for window in windows if window))
    return Thresholds(budget=budget, actions=chosen)


def check_order(amounts: Amounts) -> str:
    """What is wrong with the order of the levels, or nothing."""
    set_levels = amounts.levels()
    for (lower, below), (higher, above) in pairwise(set_levels):
        if below > above:
            return f"{lower} must not be above {higher}"
    return "" if amounts.emergency >= 0 else "emergency must not be negative"


def _mapping(document: Any, field: str, problems: list[str], *, required: bool = True) -> Mapping[str, Any]:
    found = document.get(field) if isinstance(document, dict) else None
    if isinstance(found, dict):
        return found
    if required or found is not None:
        problems.append(f"{field}: a JSON object is needed")
    return {}


def _amounts(period: str, values: Any, zone: str, problems: list[str]) -> Amounts | None:
    where = f"budget_thresholds.{period}"
    if period not in PERIODS:
        problems.append(f"{where}: the periods are {', '.join(PERIODS)}")
        return None
    if not isinstance(values, dict) or "emergency" not in values:
        problems.append(f"{where}: needs at least an emergency amount, the hard limit")
        return None
    levels: dict[str, int] = {}
    for level, amount in values.items():
        if level not in LEVELS:
            problems.append(f"{where}.{level}: the levels are {', '.join(LEVELS)}")
            continue
        try:
            levels[level] = usd(amount)
        except MoneyError as error:
            problems.append(f"{where}.{level}: {error}")
            return None
    window = WindowPolicy(kind=PERIODS[period], zone=zone)
    amounts = Amounts(window=window, **levels)
    if wrong := check_order(amounts):
        problems.append(f"{where}: {wrong}")
    return amounts


def _words(where: str, words: Any, problems: list[str]) -> tuple[str, ...]:
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return tuple(words)
    problems.append(f"{where}: a list of action names is needed")
    return ()
