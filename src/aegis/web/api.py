"""Aegis' own API under `/api`: events in; incidents, budgets, services and the live feed out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast, get_args

import orjson
from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from aegis.app import App
from aegis.core.errors import BadInput
from aegis.core.lifecycle import Verb
from aegis.core.roles import Person
from aegis.web import views
from aegis.web.access import PERSON
from aegis.web.feed import Feed
from aegis.web.problems import problem

BODY_BYTES_MAX = 8 * 1024 * 1024
"""One request's events: thousands of ordinary records, and little enough to hold in memory."""
LISTED_MAX = 500
"""Incidents in one answer."""


VERBS = get_args(Verb)
"""What can be said about an incident."""


class Said(BaseModel):
    """What stands beside a word about an incident."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field(default="api", max_length=80)
    via: str = Field(default="api", pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    text: str = Field(default="", max_length=4_000)
    """The note, the name, or the reason."""


def router(app: App, feed: Feed) -> APIRouter:
    """The routes, bound to one running Aegis."""
    routes = APIRouter(prefix="/api")
    _intake(routes, app)
    _incidents(routes, app)
    _standing(routes, app, feed)
    return routes


def _intake(routes: APIRouter, app: App) -> None:
    @routes.post("/events", status_code=202)
    async def take_events(
        request: Request,
        source: Annotated[str, Query(max_length=64)] = "http",
        idempotency_key: Annotated[str, Header(max_length=255)] = "",
    ) -> Response:
        """Take one event or many (a JSON object, an array, or JSON lines). Stored before this answers."""
        body = await _body(request)
        taken = await app.take(body, source=source, idempotency_key=idempotency_key)
        return _json(views.taken(taken), status=202)


def _incidents(routes: APIRouter, app: App) -> None:
    @routes.get("/incidents")
    async def incidents(limit: Annotated[int, Query(ge=1, le=LISTED_MAX)] = 100) -> Response:
        """The newest incidents, newest first."""
        found = await app.incidents.recent(limit)
        return _json({"schema": "aegis.incidents/1", "incidents": [views.incident_row(i) for i in found]})

    @routes.get("/incidents/{incident_id}")
    async def incident(incident_id: str) -> Response:
        """One incident, whole."""
        found = await app.incidents.get(incident_id)
        if found is None:
            return problem(404, "no_such_incident", f"There is no incident {incident_id[:64]!r}")
        return _json(views.incident_document(found))

    @routes.post("/incidents/{incident_id}/{verb}")
    async def say(
        request: Request, incident_id: str, verb: str, said: Annotated[Said | None, Body()] = None
    ) -> Response:
        """Acknowledge, resolve, reopen, note or assign an incident; who and why may stand in the body."""
        if verb not in VERBS:
            return problem(404, "no_such_change", f"What can be said is {', '.join(VERBS)}, not {verb[:32]!r}")
        if await app.incidents.get(incident_id) is None:
            return problem(404, "no_such_incident", f"There is no incident {incident_id[:64]!r}")
        word = said or Said()
        person: Person = request.scope[PERSON]
        by, via = (person.name, "api") if person.account else (word.by, word.via)  # an account speaks for itself
        changed = await app.desk.say(incident_id, cast("Verb", verb), by=by, via=via, text=word.text)
        return _json(views.incident_document(changed))


def _standing(routes: APIRouter, app: App, feed: Feed) -> None:
    @routes.get("/budgets")
    async def budgets() -> Response:
        """Every budget line: limit, settled, held, free, levels crossed, when it resets."""
        lines = await app.governor.balances()
        return _json({"schema": "aegis.budgets/1", "budgets": [views.balance_row(line) for line in lines]})

    @routes.get("/services")
    async def services() -> Response:
        """Every service: state, deliveries, calls, refusals and cost; and how the gates of each stand."""
        rows = [views.service_row(service) for service in await app.services()]
        gates = [views.gate_row(status) for status in app.governor.services()]
        return _json({"schema": "aegis.services/1", "services": rows, "gates": gates})

    @routes.get("/feed")
    async def live() -> Response:
        """What happens, as server-sent events."""
        if feed.full:
            return problem(429, "too_many_readers", "Too many pages are open; close one and try again")
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(feed.read(), media_type="text/event-stream", headers=headers)


async def _body(request: Request) -> bytes:
    """The whole body, refused by name when it is larger than `BODY_BYTES_MAX`."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            most = BODY_BYTES_MAX // (1024 * 1024)
            raise BadInput(f"The body is larger than {most} MiB; send it in parts", code="too_large")
        parts.append(part)
    return b"".join(parts)


def _json(document: Mapping[str, Any], *, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
