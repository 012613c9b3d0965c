"""What people and programs work at: the API and the dashboard's pages, as one FastAPI application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from aegis import __version__
from aegis.app import App
from aegis.app.reloading import Reloading
from aegis.core.errors import AegisError
from aegis.web import acts, config, finance, pages, quiet, reconcile, standing
from aegis.web.api import router
from aegis.web.feed import Feed
from aegis.web.latency import Latencies
from aegis.web.problems import on_error, problem

_TEXT: Final = {"type": "string"}
_PROBLEM: Final[Mapping[str, Any]] = {
    "description": "Why not: a problem document (RFC 9457)",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "code"],
                "properties": dict.fromkeys(("type", "title", "detail", "code"), _TEXT)
                | {"status": {"type": "integer"}},
                "additionalProperties": False,
            }
        }
    },
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {name: dict(_PROBLEM) for name in ("4XX", 422, "5XX")}
"""What every operation may answer beside its own; FastAPI has a shape of its own for 422, which is said as ours."""


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
    made = FastAPI(
        title="Aegis",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses=RESPONSES,
    )
    made.add_exception_handler(AegisError, on_error)
    made.add_exception_handler(RequestValidationError, _not_as_described)
    made.add_exception_handler(HTTPException, _not_served)
    made.include_router(router(app, feed))
    made.include_router(quiet.router(app))
    made.include_router(finance.router(app))
    made.include_router(reconcile.router(app))
    made.include_router(standing.router(app))
    made.include_router(config.router(reloading))
    made.include_router(pages.router(app, feed, latencies=latencies or Latencies(), banner=banner, received=received))
    made.include_router(acts.router(app, banner=banner))
    return made


async def _not_as_described(_: Request, error: Exception) -> Response:
    """What FastAPI found wrong with a request, the first thing by its place; the value itself is not repeated."""
    assert isinstance(error, RequestValidationError)
    first: Mapping[str, Any] = next(iter(error.errors()), {})
    place = ".".join(str(part) for part in first.get("loc", ()))[:200]
    return problem(422, "not_as_described", f"{place}: {first.get('msg', 'is wrong')}"[:500])


async def _not_served(request: Request, error: Exception) -> Response:
    """A path or a method that is none, or a body that cannot be read; of a path it is told which methods it has."""
    assert isinstance(error, HTTPException)
    if error.status_code != 405:
        code = {404: "no_such_path", 400: "bad_input"}.get(error.status_code, "refused")
        return problem(error.status_code, code, str(error.detail))
    described: Mapping[str, Mapping[str, Any]] = request.app.openapi()["paths"]
    here = [verbs for path, verbs in described.items() if compile_path(path)[0].match(request.url.path)]
    methods = ", ".join(sorted({verb.upper() for verbs in here for verb in verbs})) or "GET"
    return problem(405, "method_not_allowed", f"This path has {methods}", headers={"Allow": methods})
