"""The week in figures, as a mail: one sentence that says how it went, the budgets that need a look, then the whole report.

Policy: it is due once a week at a wall clock's hour; a service that was away then sends it late, and once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from aegis.core.budgets import MONEY
from aegis.core.costs import WeekInCosts
from aegis.core.forecasts import Forecast
from aegis.core.markdown import plain, table
from aegis.core.outlets import Written
from aegis.core.schedules import instant
from aegis.core.wording import when
from aegis.finance.cost_page import page, table_of
from aegis.finance.cost_words import markdown, money, span

BUDGETS_MAX: Final = 20
"""Budgets that a mail shows: those that will be fullest."""
HEADS: Final = ("Budget", "Spent", "Limit", "Comes to", "Reached")


def last_due(now: datetime, *, weekday: int, minute: int, zone: str) -> datetime:
    """The newest moment, in UTC, at which it was `minute` after midnight of that weekday (Monday 0) in `zone`."""
    today = now.astimezone(ZoneInfo(zone)).date()
    day = today - timedelta(days=(today.weekday() - weekday) % 7)
    at = instant(day, minute, zone)
    return at if at <= now else instant(day - timedelta(days=7), minute, zone)


def written(found: WeekInCosts, key: str) -> Written:
    """The mail. The same `key` makes the same mail: handed in twice, it is one."""
    title = f"Aegis, the week of {found.week.first}: {money(found.week.total.cost)}"
    rows = [forecast_row(one) for one in found.forecasts[:BUDGETS_MAX]]
    sentence = in_a_sentence(found)
    text = [sentence]
    if rows:
        text += ["## Budgets", table(HEADS, rows)]
    text.append(markdown(found.week).replace("# What it cost", "## What it cost", 1))
    budgets = f"<h2>Budgets</h2>{table_of(HEADS, rows)}" if rows else ""
    return Written(
        key=hashlib.sha256(key.encode()).hexdigest()[:40],
        title=title,
        at=found.week.generated_at,
        text="\n\n".join(text),
        html=page(found.week, above=f"<p>{escape(sentence)}</p>{budgets}"),
    )


def in_a_sentence(found: WeekInCosts) -> str:
    """How the week went, in one or two sentences."""
    cost = found.week.total.cost
    if not found.before:
        beside = "nothing was spent in the week before"
    else:
        change = (cost - found.before) * 100 // found.before
        word = "more" if change > 0 else "less"
        beside = (
            f"{abs(change)} % {word} than the week before ({money(found.before)})" if change else "as the week before"
        )
    said = f"{span(found.week)}: {money(cost)}, {beside}; {found.week.incidents.total:,} incidents."
    late = [one for one in found.forecasts if one.exhausted_at]
    if late:
        first = min(late, key=lambda one: one.exhausted_at or one.ends_at)
        said += f" Budget {plain(first.budget, 80)} reaches its limit {when(first.exhausted_at or first.ends_at)} if usage stays as it is."
    return said


def forecast_row(one: Forecast) -> tuple[str, ...]:
    """One budget: name, spent, limit, where it will stand when its window ends, and when it is used up."""

    def amount(value: int | None) -> str:
        if value is None:
            return "none"
        return money(value) if one.unit == MONEY else f"{value:,} {one.unit}"

    name = f"{one.budget} [{one.part}]" if one.part else one.budget
    comes_to = amount(one.usual.middle) if one.confidence != "none" else "not known yet"
    reached = when(one.exhausted_at) if one.exhausted_at else "not in this window"
    return f"{name}, {one.window}", amount(one.spent), amount(one.limit), comes_to, reached
