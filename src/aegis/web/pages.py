"""The dashboard's pages, put together: they read the same views and counts as the API, so no two totals can differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import APIRouter

from aegis.app import App
from aegis.sandbox.records import Tally
from aegis.web.dashboard import attack, drills, guardrails, incidents, now, records, sandbox, silences, spend, stops
from aegis.web.dashboard.frame import Frame, render
from aegis.web.feed import Feed
from aegis.web.latency import Latencies

__all__ = ["render", "router"]

Received = Callable[[], Mapping[str, Tally]]


def router(
    app: App, feed: Feed, *, latencies: Latencies, banner: str = "", received: Received | None = None
) -> APIRouter:
    """The pages, bound to one running Aegis."""
    routes = APIRouter(include_in_schema=False)
    frame = Frame(app, feed, latencies, banner, received)
    for page in (now, incidents, spend, guardrails, attack, silences, stops, drills, records, sandbox):
        page.add(routes, frame)
    return routes
