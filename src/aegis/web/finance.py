"""The API of the bill: `/api/spend`, `/api/costs`, `/api/forecast`, `/api/anomalies`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response

from aegis.app import App
from aegis.app.costs import costs_of
from aegis.app.finance import forecast_row, forecasts, total_forecast
from aegis.app.spendwatch import Watching, episode_row
from aegis.core.costs import NAMES
from aegis.core.money import format_usd
from aegis.finance.cost_document import document
from aegis.stores.spending import spent_on
from aegis.web.problems import problem

LISTED_MAX = 500


def router(app: App) -> APIRouter:
    """The routes, bound to one running Aegis."""
    routes = APIRouter(prefix="/api")
    watch = app.spendwatch
    assert watch is not None, "an opened Aegis has its watch over spending"

    @routes.get("/spend")
    async def spend(
        by: Annotated[str, Query(max_length=200)] = "service",
        days: Annotated[int, Query(ge=1, le=3_650)] = 1,
    ) -> Response:
        """What the last days (UTC, today included) came to, by names with commas between them: service, model, key, ..."""
        names = tuple(dict.fromkeys(word.strip() for word in by.split(",") if word.strip()))
        if unknown := [name for name in names if name not in NAMES]:
            return problem(400, "no_such_name", f"There is no {unknown[0][:64]!r}; known are {', '.join(NAMES)}")
        today = app.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        found = await spent_on(watch.hours.database, names, today - timedelta(days=days - 1))
        rows = [
            {
                **dict(zip(names, group.values, strict=True)),
                "calls": group.calls,
                "cached": group.cached,
                "refused": group.refused,
                "cost_usd": format_usd(group.cost),
            }
            for group in found
        ]
        total = format_usd(sum(group.cost for group in found))
        return _json({"schema": "aegis.spend/1", "total_usd": total, "by": list(names), "rows": rows})

    @routes.get("/costs")
    async def costs(days: Annotated[int, Query(ge=1, le=366)] = 7) -> Response:
        """The cost report of the last days (UTC, today included), as `aegis report cost --format json` writes it."""
        report = await costs_of(watch.hours.database, app.governor.prices, app.clock.now(), days)
        return _json(document(report))

    _ahead(routes, app, watch)
    return routes


def _ahead(routes: APIRouter, app: App, watch: Watching) -> None:
    """What comes, and what came otherwise than expected."""

    @routes.get("/forecast")
    async def forecast(
        budget: Annotated[str, Query(max_length=200)] = "",
        days: Annotated[int, Query(ge=0, le=366)] = 0,
    ) -> Response:
        """What every budget comes to by the end of its window; with `days` also all calls in the next days."""
        now = app.clock.now()
        lines = await app.governor.balances()
        made = list(await forecasts(watch.hours, app.governor.budgets, lines, now, budget=budget))
        if days:
            made.append(await total_forecast(watch.hours, now, days))
        return _json({"schema": "aegis.forecast/1", "forecasts": [forecast_row(one) for one in made]})

    @routes.get("/anomalies")
    async def anomalies(limit: Annotated[int, Query(ge=1, le=LISTED_MAX)] = 100) -> Response:
        """The newest anomalies in spending, newest first."""
        found = await watch.anomalies.newest(limit)
        return _json({"schema": "aegis.anomalies/1", "anomalies": [episode_row(one) for one in found]})

    @routes.get("/anomalies/{anomaly_id}")
    async def anomaly(anomaly_id: str) -> Response:
        """One anomaly: every alarm, with what drove it."""
        found = await watch.anomalies.get(anomaly_id)
        if found is None:
            return problem(404, "no_such_anomaly", f"There is no anomaly {anomaly_id[:64]!r}")
        return _json({"schema": "aegis.anomaly/1", **episode_row(found)})


def _json(document: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
