"""What people and programs work at: the API and the dashboard's pages, as one FastAPI application."""

from __future__ import annotations

from fastapi import FastAPI

from aegis import __version__
from aegis.app import App
from aegis.app.reloading import Reloading
from aegis.core.errors import AegisError
from aegis.web import acts, config, finance, pages, quiet
from aegis.web.api import router
from aegis.web.feed import Feed
from aegis.web.latency import Latencies
from aegis.web.problems import on_error


def desk(
    app: App,
    feed: Feed,
    *,
    banner: str = "",
    latencies: Latencies | None = None,
    received: pages.Received | None = None,
    reloading: Reloading | None = None,
) -> FastAPI:
    """The API under `/api` and the pages, bound to one running Aegis."""
    made = FastAPI(title="Aegis", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    made.add_exception_handler(AegisError, on_error)
    made.include_router(router(app, feed))
    made.include_router(quiet.router(app))
    made.include_router(finance.router(app))
    made.include_router(config.router(reloading))
    made.include_router(pages.router(app, feed, latencies=latencies or Latencies(), banner=banner, received=received))
    made.include_router(acts.router(app, banner=banner))
    return made
