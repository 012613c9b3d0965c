"""The dashboard: server-rendered pages that read the same views as the API, so no two totals can differ."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Response
from jinja2 import Environment, FunctionLoader, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse

from aegis import __version__
from aegis.app import App
from aegis.core.pictures import budget_bar
from aegis.core.ports import Incidents
from aegis.web import views
from aegis.web.feed import Feed

INCIDENTS_SHOWN = 50
"""As many rows as a person scrolls through; the API has the rest."""


def router(app: App, feed: Feed, *, banner: str) -> APIRouter:
    """The pages, bound to one running Aegis."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def now() -> Response:
        balances = await app.governor.balances()
        unresolved = await app.incidents.unresolved()
        services = [views.service_row(service) for service in await app.services()]
        return render(
            "now.html",
            banner=banner,
            figures=views.figures(balances, unresolved, services),
            incidents=[views.incident_row(incident) for incident in await _newest(app.incidents)],
            budgets=[_budget(views.balance_row(line)) for line in balances],
            services=services,
            feed=views.feed_rows(feed.lines),
        )

    @routes.get("/incidents/{incident_id}")
    async def incident(incident_id: str) -> Response:
        found = await app.incidents.get(incident_id)
        if found is None:
            return render("missing.html", status=404, banner=banner, what=f"incident {incident_id[:64]}")
        return render("incident.html", banner=banner, **views.incident_page(found))

    return routes


async def _newest(incidents: Incidents) -> Any:
    return await incidents.recent(INCIDENTS_SHOWN)


def _budget(row: dict[str, Any]) -> dict[str, Any]:
    """A budget's row with its picture."""
    picture = budget_bar(
        settled=row["settled_units"],
        held=row["held_units"],
        limit=row["limit_units"],
        levels=row["level_units"],
        spoken=f"{row['name']}, {row['window']}: {row['settled']} of {row['limit']}",
    )
    return {**row, "picture": Markup(picture)}  # noqa: S704 - our own SVG, its only text is escaped


def render(name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A template as an answer; everything that goes in is escaped."""
    page = _environment().get_template(name)
    return HTMLResponse(page.render(version=__version__, **values), status)


@cache
def _environment() -> Environment:
    folder = files("aegis.web") / "templates"

    def source(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    return Environment(loader=FunctionLoader(source), autoescape=select_autoescape(default=True))
