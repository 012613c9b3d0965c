"""`/api/status`: how everything stands on one screen, for `aegis status` and `aegis top`. The page Now reads the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Response

from aegis import __version__
from aegis.app import App
from aegis.core.money import format_usd
from aegis.governor.switch import scope_text
from aegis.stores.incident_list import UNRESOLVED, Wanted
from aegis.web import views
from aegis.web.dashboard.rows import standing

INCIDENTS = 10
"""Open incidents, the worst first: as many as a terminal shows beside the rest."""


def router(app: App) -> APIRouter:
    """The route, bound to one running Aegis."""
    routes = APIRouter(prefix="/api")

    @routes.get("/status")
    async def status() -> Response:
        """Health, what is stopped, budgets, services with their gates, open incidents."""
        return Response(orjson.dumps(await status_of(app)), media_type="application/json")

    return routes


async def status_of(app: App) -> Mapping[str, Any]:
    """How everything stands, as `aegis.status/1`. Raises `StoreError`."""
    assert app.shown is not None, "an opened Aegis has what it shows"
    listing = await app.shown.lists()
    gates = {one.service: views.gate_row(one) for one in app.governor.services()}
    counted = standing(await listing.counts())
    failing = await app.failing()
    return {
        "schema": "aegis.status/1",
        "version": __version__,
        "at": views.stamp(app.clock.now()),
        "running": True,
        "health": "ready" if not failing else "failing",
        "failing": dict(failing),
        "stopped": [
            {"scope": scope_text(one.scope), "reason": one.reason, "grade": f"G{one.grade}", "percent": one.percent}
            for one in app.governor.stopped()
            if one.stopped
        ],
        "budgets": [views.balance_row(line) for line in await app.governor.balances()],
        "services": [views.service_row(one) | {"gates": gates.get(one.name)} for one in await app.services()],
        "queue": sum(one["waiting"] for one in gates.values()),
        "deliveries_waiting": await app.outbox.undelivered(),
        "incidents_open": counted["unresolved"],
        "incidents_urgent": counted["urgent"],
        "incidents": [
            {
                "id": one.id,
                "severity": one.severity.name,
                "status": one.status.value,
                "title": one.title,
                "about": one.about,
                "count": one.count,
                "cost_usd": format_usd(one.cost),
                "opened_at": views.stamp(one.opened_at),
            }
            for one in await listing.page(Wanted(status=UNRESOLVED, worst_first=True), INCIDENTS)
        ],
    }
