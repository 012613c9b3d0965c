"""Now: whether calls are admitted, four numbers, what is open, which services need attention, and what happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from aegis.stores.incident_list import UNRESOLVED, Wanted
from aegis.web import views
from aegis.web.dashboard import money
from aegis.web.dashboard.frame import Frame
from aegis.web.dashboard.rows import listed_row, standing

SHOWN: Final = 12
"""As many open incidents as are seen without scrolling; the list has the rest."""
BUDGETS_SHOWN: Final = 6


def add(routes: APIRouter, frame: Frame) -> None:
    """The page `/`."""

    @routes.get("/")
    async def now(request: Request) -> Response:
        return frame.page(request, "now.html", **await shown(frame))


async def shown(frame: Frame) -> Mapping[str, Any]:
    """Everything that the page says; `aegis status` reads the same."""
    app, at = frame.app, frame.app.clock.now()
    balances = await app.governor.balances()
    listing = await frame.shown.lists()
    tight = money.tightest(balances)
    made = None
    if tight is not None:
        forecasts = await frame.shown.forecasts(balances)
        made = next((one for one in forecasts if money.line_key(one) == money.line_key(tight)), None)
    services = [views.service_row(one) for one in await app.services()]
    return {
        "standing": standing(await listing.counts()),
        "incidents": [
            listed_row(one, at) for one in await listing.page(Wanted(status=UNRESOLVED, worst_first=True), SHOWN)
        ],
        "numbers": money.four_numbers(tight, made),
        "about": f"{money.name_of(tight)}, this {tight.window}" if tight else "",
        "exhausted": f"{made.exhausted_at:%d %b %H:%M}" if made and made.exhausted_at else "",
        "budgets": [money.budget_row(line) for line in _fullest(balances)],
        "more_budgets": max(0, len(balances) - BUDGETS_SHOWN),
        "services": services,
        "troubled": [one for one in services if one["tone"] == "high"],
        "feed": views.feed_rows(frame.feed.lines),
    }


def _fullest(balances: Sequence[Any]) -> Sequence[Any]:
    """Money first, then meters that are used, the fullest first."""
    used = [line for line in balances if line.unit == "usd" or line.settled]
    order = sorted(used, key=lambda line: (line.unit != "usd", -line.settled * 1_000 // max(1, line.limit)))
    return order[:BUDGETS_SHOWN]
