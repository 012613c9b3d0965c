"""Cost reports from a store: the same for the command, the API, the dashboard and the weekly mail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from aegis.core.costs import Baseline, CostReport
from aegis.core.prices import PriceBook
from aegis.finance.costs import NAMES, cost_report
from aegis.stores.costs import recorded
from aegis.stores.database import Database

DAYS_MAX: Final = 366
"""A year and its leap day: what a yearly review asks for."""


async def costs_of(
    database: Database,
    prices: PriceBook,
    now: datetime,
    days: int,
    *,
    names: Sequence[str] = NAMES,
    baseline: Baseline = "per-detection",
    until_yesterday: bool = False,
) -> CostReport:
    """The report of the last days: today included, or whole days only with `until_yesterday`. `names` is what it is broken
    down by (see `aegis spend --by`). Raises `StoreError`.
    """
    last = now.date() - timedelta(days=1) if until_yesterday else now.date()
    first = last - timedelta(days=min(days, DAYS_MAX) - 1)
    found = await recorded(database, first, last, names)
    return cost_report(found, prices, first=first, last=last, now=now, baseline=baseline)
