"""The API of forecasts and anomalies: `/api/forecast`, `/api/anomalies`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response

from aegis.app import App
from aegis.app.finance import forecast_row, forecasts, total_forecast
from aegis.app.spendwatch import episode_row
from aegis.web.problems import problem

LISTED_MAX = 500


def router(app: App) -> APIRouter:
    """The routes, bound to one running Aegis."""
    routes = APIRouter(prefix="/api")
    watch = app.spendwatch
    assert watch is not None, "an opened Aegis has its watch over spending"

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

    return routes


def _json(document: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
