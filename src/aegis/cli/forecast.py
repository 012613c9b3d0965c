"""`aegis forecast`: what every budget will come to by the end of its window, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aegis.cli.books import books
from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, session, show, show_json

if TYPE_CHECKING:
    from datetime import datetime

    from aegis.core.forecasts import Forecast

PAGES_MAX = 50
"""A command reads at most a million attempts that a running Aegis has not rolled up."""


@click.command(
    cls=Speaking, examples=("aegis forecast", "aegis forecast --budget everything --json", "aegis forecast --days 30")
)
@click.option("--budget", metavar="NAME", default="", help="Only this budget.")
@click.option("--days", type=click.IntRange(1, 366), help="Also what all calls come to in the next days.")
@json_option
def command(budget: str, days: int | None, as_json: bool) -> None:
    """What each budget comes to by the end of its window: an 80 % band, the amount at the pace of the last 24 hours, when
    the limit is reached, and how far such forecasts were off before.
    """
    import anyio

    from aegis.app.finance import forecast_row

    made = anyio.run(_made, session(), budget, days)
    if as_json:
        show_json("forecast", forecasts=[forecast_row(one) for one in made])
        return
    for number, one in enumerate(made):
        show("\n".join([""] * bool(number) + _told(one)))
    if not made:
        show("no budget is configured; try `aegis forecast --days 30`")


async def _made(run: Session, budget: str, days: int | None) -> Sequence[Forecast]:
    from aegis.app.finance import forecasts, total_forecast
    from aegis.app.system import SystemClock
    from aegis.stores.spend_hours import SpendHours

    now = SystemClock().now()
    async with books(run) as here:
        hours = SpendHours(here.database)
        await hours.catch_up(now, pages=PAGES_MAX)
        balances = await here.account.balances()
        made = list(await forecasts(hours, here.book.budgets, balances, now, budget=budget))
        return [*made, await total_forecast(hours, now, days)] if days else made


def _told(one: Forecast) -> list[str]:
    """A forecast in a few lines."""
    from aegis.app.crossings import shown

    def amount(value: int) -> str:
        return shown(value, one.unit)

    part = f" [{one.part}]" if one.part else ""
    limit = f" of {amount(one.limit)}" if one.limit is not None else ""
    lines = [f"{one.budget}{part}, {one.window} {one.window_key}: {amount(one.spent)}{limit} spent"]
    if one.confidence == "none":
        return [*lines, "  nothing was spent yet to go by: no forecast"]
    low, middle, high = amount(one.usual.low), amount(one.usual.middle), amount(one.usual.high)
    sure = f"  (low confidence: {one.history_days} whole days of history)" if one.confidence == "low" else ""
    lines.append(f"  if usage keeps its present pattern  {middle}, in 4 of 5 cases {low} to {high}{sure}")
    lines.append(f"  at the pace of the last 24 hours    {amount(one.at_pace)}")
    if one.limit is not None:
        lines.append(f"  limit reached                       {_moments(one.exhausted_at, one.exhausted_at_pace)}")
    if one.error.trials:
        tried = f"{one.error.percent} % on average, tried {one.error.trials} times on this history"
        lines.append(f"  such forecasts were off by          {tried}")
    else:
        lines.append("  such forecasts were off by          not known yet: too little history to try")
    return lines


def _moments(usual: datetime | None, pace: datetime | None) -> str:
    from aegis.core.wording import when

    if usual is None and pace is None:
        return "not in this window"
    by_pattern = when(usual) if usual else "not in this window"
    return f"{by_pattern} by the pattern, {when(pace) if pace else 'not in this window'} at the pace"
