"""The ASGI application of one Aegis: API, dashboard, metrics and health behind one guard."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI, Request, Response
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp

from aegis import __version__
from aegis.app import App
from aegis.core.errors import AegisError
from aegis.core.incidents import Status
from aegis.web import pages
from aegis.web.access import COOKIE, Access, Guard
from aegis.web.api import router
from aegis.web.feed import Feed
from aegis.web.metrics import Metrics
from aegis.web.problems import on_error, problem

STATIC = {"aegis.css": "text/css", "aegis.js": "text/javascript", "aegis.svg": "image/svg+xml"}


def create(app: App, *, access: Access, hosts: frozenset[str] = frozenset(), banner: str = "") -> ASGIApp:
    """The whole HTTP face of `app`. `hosts` are the names it may be called by beside loopback; `banner` is a line on
    every page (the demo says that nothing left this machine).
    """
    feed, metrics = Feed(), Metrics()
    app.hub.add(feed)
    app.hub.add(metrics)
    face = FastAPI(title="Aegis", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    face.add_exception_handler(AegisError, on_error)
    face.include_router(router(app, feed))
    face.include_router(pages.router(app, feed, banner=banner))
    _health(face, app)
    _metrics(face, app, metrics)
    _sign_in(face, access)
    _static(face)
    return Guard(face, access=access, hosts=hosts)


def _health(face: FastAPI, app: App) -> None:
    @face.get("/livez", include_in_schema=False)
    async def alive() -> Response:
        return PlainTextResponse("ok\n")

    @face.get("/readyz", include_in_schema=False)
    async def ready() -> Response:
        """503 names what fails; a budget that is used up is no failure."""
        failing = await app.failing()
        if failing:
            return PlainTextResponse("".join(f"{name}: {why}\n" for name, why in failing.items()), 503)
        return PlainTextResponse("ok\n")


def _metrics(face: FastAPI, app: App, metrics: Metrics) -> None:
    @face.get("/metrics", include_in_schema=False)
    async def scrape(request: Request) -> Response:
        counts = await app.outbox.counts()
        waiting = [(service, states.get("ready", 0) + states.get("leased", 0)) for service, states in counts.items()]
        unresolved = [i for i in await app.incidents.unresolved() if i.status is not Status.RESOLVED]
        metrics.gauge(incidents=unresolved, waiting=waiting)
        metrics.gauge_budgets(await app.governor.balances())
        body, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})


def _sign_in(face: FastAPI, access: Access) -> None:
    @face.get("/sign-in", include_in_schema=False)
    async def sign_in(request: Request, code: str = "") -> Response:
        session = access.redeem(code)
        if session is None:
            return problem(
                403, "code_used", "This sign-in address was used already or is wrong; start Aegis again for a new one"
            )
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer


def _static(face: FastAPI) -> None:
    folder = files("aegis.web") / "static"
    held = {name: (folder / name).read_bytes() for name in STATIC}

    @face.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in held:
            return problem(404, "no_such_file", "There is no such file")
        return Response(held[name], media_type=STATIC[name])
