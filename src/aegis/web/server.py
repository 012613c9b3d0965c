"""The ASGI application of one Aegis: health, metrics and sign-in at once, API and dashboard when they are first asked
for, all behind one guard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from aegis.app import App
from aegis.app.reloading import Reloading
from aegis.core.incidents import Status
from aegis.sandbox.records import Tally
from aegis.web.access import Access, Guard
from aegis.web.feed import Feed
from aegis.web.gateway import Gateway
from aegis.web.gateway.looks import TURN_MS
from aegis.web.latency import Latencies
from aegis.web.login import sign_in_routes
from aegis.web.metrics import Metrics
from aegis.web.problems import problem

WARM_AFTER_SECONDS = 2
"""Long enough for the first probes, shorter than it takes a person to open the page."""
GATEWAYS = ("/v1", "/model/")
STATIC = {"aegis.css": "text/css", "aegis.js": "text/javascript", "aegis.svg": "image/svg+xml"}


class Later:
    """An application that is made, in a thread, when it is first asked for: FastAPI and Jinja2 take half a second to
    import, and a prober must not wait for them.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make, self._made = make, anyio.Lock()
        self._app: ASGIApp | None = None

    async def load(self) -> ASGIApp:
        """The application, made if need be."""
        async with self._made:
            if self._app is None:
                self._app = await anyio.to_thread.run_sync(self._make)
            return self._app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._app or await self.load())(scope, receive, send)


class Face:
    """The whole HTTP face. `warm` makes the parts that are made later, for whoever has the time now; `gateway` is what
    connections may hand its requests to without coming by here.
    """

    def __init__(self, app: ASGIApp, later: Later, gateway: Gateway | None) -> None:
        self._app, self._later, self.gateway = app, later, gateway

    async def warm(self) -> None:
        """Wait until the start has calmed down, then make them: importing holds up whoever answers meanwhile."""
        await anyio.sleep(WARM_AFTER_SECONDS)
        await self._later.load()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.gateway is not None and scope["type"] == "http" and scope["path"].startswith(GATEWAYS):
            await self.gateway(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def create(
    app: App,
    *,
    access: Access,
    hosts: frozenset[str] = frozenset(),
    banner: str = "",
    received: Callable[[], Mapping[str, Tally]] | None = None,
    reloading: Reloading | None = None,
) -> Face:
    """The whole HTTP face of `app`. `hosts` are the names it may be called by beside loopback; `banner` is a line on
    every page (the demo says that nothing left this machine); `received` is what a sandbox behind it got; `reloading` reads the
    configuration again, where that can be asked for.
    """
    feed, metrics, latencies = Feed(), Metrics(), Latencies()
    app.hub.add(latencies)
    access.accounts, access.settings = app.accounts, app.config.accounts
    app.hub.add(feed)
    app.hub.add(metrics)

    def desk() -> ASGIApp:
        from aegis.web.desk import desk as made

        return made(app, feed, banner=banner, latencies=latencies, received=received, reloading=reloading)

    def inbound() -> ASGIApp:
        from aegis.web.inbound.routes import inbound as made

        return made(app)

    later = Later(desk)
    mounts = [Mount("/inbound", Later(inbound)), Mount("/", later)]
    routes = [*_health(app), _metrics(app, metrics), *sign_in_routes(app, access), _static(), *mounts]
    outer = Starlette(routes=routes, exception_handlers={HTTPException: _not_served})
    return Face(Guard(outer, access=access, hosts=hosts), later, _gateway(app))


async def _not_served(_: Request, error: Exception) -> Response:
    """What fits no route here, as any other refusal is told: a mount takes every path but one with a line feed in it."""
    assert isinstance(error, HTTPException)
    code = "no_such_path" if error.status_code == 404 else "refused"
    return problem(error.status_code, code, str(error.detail), headers=error.headers)


def _gateway(app: App) -> Gateway | None:
    """The gateway, where an upstream is configured. It has its own keys: no session of the dashboard counts there."""
    if app.gateway is None or not app.gateway.upstreams:
        return None
    gateway = Gateway(app.gateway, app.governor, clock=app.clock, new_id=app.new_id)
    app.chores = (*app.chores, gateway.look)
    app.background = (*app.background, ("batches", TURN_MS, gateway.looks.turn))
    return gateway


def _health(app: App) -> tuple[Route, Route]:
    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        """503 names what fails; a budget that is used up is no failure."""
        failing = await app.failing()
        if failing:
            return PlainTextResponse("".join(f"{name}: {why}\n" for name, why in failing.items()), 503)
        return PlainTextResponse("ok\n")

    return Route("/livez", alive), Route("/readyz", ready)


def _metrics(app: App, metrics: Metrics) -> Route:
    async def scrape(request: Request) -> Response:
        counts = await app.outbox.counts()
        waiting = [(service, states.get("ready", 0) + states.get("leased", 0)) for service, states in counts.items()]
        unresolved = [i for i in await app.incidents.unresolved() if i.status is not Status.RESOLVED]
        metrics.gauge(incidents=unresolved, waiting=waiting)
        metrics.standing.budgets(await app.governor.balances())
        metrics.standing.gates(app.governor.services(), app.governor.stopped())
        metrics.count_cache(*app.governor.cached())
        body, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return Route("/metrics", scrape)


def _static() -> Route:
    folder = files("aegis.web") / "static"
    held = {name: (folder / name).read_bytes() for name in STATIC}

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in held:
            return problem(404, "no_such_file", "There is no such file")
        return Response(held[name], media_type=STATIC[name])

    return Route("/static/{name}", static)
