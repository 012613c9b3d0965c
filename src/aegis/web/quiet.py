"""The API of silences, contacts and on-call: `/api/silences`, `/api/contacts`, `/api/oncall`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aegis.app import App
from aegis.app.silencing import moment, silence_of
from aegis.core.errors import BadInput
from aegis.core.escalations import Roster
from aegis.core.roles import Person
from aegis.core.silences import MATCHERS_MAX, Silence
from aegis.web.access import PERSON
from aegis.web.problems import problem
from aegis.web.views import stamp

LISTED_MAX = 500


class Wanted(BaseModel):
    """A silence as it is asked for: `for` a duration, or `until` a time."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    matchers: list[str] = Field(min_length=1, max_length=MATCHERS_MAX)
    owner: str = Field(min_length=1, max_length=300)
    reason: str = Field(min_length=1, max_length=300)
    length: str = Field(default="", alias="for", max_length=32)
    until: str = Field(default="", max_length=40)
    begins: str = Field(default="", alias="from", max_length=40)
    every: str = Field(default="", max_length=120)
    except_critical: bool = False


def silence_row(silence: Silence, now: datetime) -> dict[str, Any]:
    """A silence as JSON values."""
    return {
        "id": silence.id,
        "matchers": [one.text() for one in silence.matchers],
        "owner": silence.owner,
        "reason": silence.reason,
        "state": silence.state(now),
        "created_at": stamp(silence.created_at),
        "starts_at": stamp(silence.starts_at),
        "ends_at": stamp(silence.over_at),
        "every": silence.schedule.text() if silence.schedule else None,
        "except_critical": silence.critical_passes,
        "messages_held": silence.held,
    }


def contact_rows(roster: Roster, now: datetime) -> list[dict[str, Any]]:
    """Every contact: channels that can be used, and whether they are left in peace now."""
    on_call = {name: there for name, rotation in roster.rotations.items() if (there := rotation.on_call(now))}
    return [
        {
            "name": one.name,
            "title": one.title,
            "tier": one.tier,
            "roles": sorted(one.roles),
            "teams": sorted(one.teams),
            "channels": [channel for channel in one.addresses if channel in roster.usable],
            "unusable": [channel for channel in one.addresses if channel not in roster.usable],
            "quiet": any(window.at(now) for window in one.quiet),
            "stand_in": one.stand_in,
            "on_call": [name for name, there in on_call.items() if there.primary == one.name],
        }
        for one in roster.contacts.values()
    ]


def oncall_rows(roster: Roster, now: datetime, *, shifts: int) -> list[dict[str, Any]]:
    """Every rotation: who is on call from when to when."""
    return [
        {
            "rotation": rotation.name,
            "since": stamp(since),
            "until": stamp(there.until),
            "primary": there.primary,
            "secondary": there.secondary,
        }
        for rotation in roster.rotations.values()
        for since, there in rotation.shifts(now, most=shifts)
    ]


def router(app: App) -> APIRouter:
    """The routes, bound to one running Aegis."""
    routes = APIRouter(prefix="/api")
    _silences(routes, app)
    _people(routes, app)
    return routes


def _silences(routes: APIRouter, app: App) -> None:
    @routes.get("/silences")
    async def silences(over: bool = False) -> Response:
        """Silences in force and planned; with `over` also those that are over, newest first."""
        now = app.clock.now()
        found = await app.silences.newest(LISTED_MAX) if over else await app.silences.in_force(now)
        return _json({"schema": "aegis.silences/1", "silences": [silence_row(one, now) for one in found]})

    @routes.post("/silences", status_code=201)
    async def add(request: Request, wanted: Annotated[Wanted, Body()]) -> Response:
        """Hold back what all matchers fit."""
        now = app.clock.now()
        words = wanted.model_dump(exclude={"except_critical"})
        made = silence_of(app.new_id("sil"), now=now, critical_passes=wanted.except_critical, **words)
        await app.silences.add(made, now=now)
        facts = {"silence": made.id, "reason": made.reason, "what": " ".join(one.text() for one in made.matchers)}
        await app.audit.note(_who(request), "silence.added", facts | {"owner": made.owner})
        return _json({"schema": "aegis.silence/1", **silence_row(made, now)}, status=201)

    @routes.delete("/silences/{silence_id}", status_code=204)
    async def end(request: Request, silence_id: str) -> Response:
        """End a silence now."""
        if not await app.silences.end(silence_id, now=app.clock.now()):
            return problem(404, "no_such_silence", f"There is no silence {silence_id[:64]!r} in force")
        await app.audit.note(_who(request), "silence.ended", {"silence": silence_id})
        return Response(status_code=204)


def _who(request: Request) -> str:
    """Who asks, for the audit log."""
    person: Person = request.scope[PERSON]
    return person.name


def _people(routes: APIRouter, app: App) -> None:
    @routes.get("/contacts")
    async def contacts() -> Response:
        """Who can be told alone; addresses stay in the configuration."""
        rows = contact_rows(app.telling.roster, app.clock.now())
        return _json({"schema": "aegis.contacts/1", "contacts": rows})

    @routes.post("/contacts/{name}/test")
    async def test(request: Request, name: str, by: Annotated[str, Query(max_length=16)] = "") -> Response:
        """Send one contact a marked test message by every channel, or one."""
        from aegis.app.people import tell_test

        return _json({"schema": "aegis.contact-test/1", "sent": await tell_test(app, name, by=by, who=_who(request))})

    @routes.get("/oncall")
    async def oncall(
        at: Annotated[str, Query(max_length=40)] = "", shifts: Annotated[int, Query(ge=1, le=100)] = 1
    ) -> Response:
        """Who is on call."""
        try:
            now = moment(at) if at else app.clock.now()
        except ValueError as error:
            raise BadInput(f"The query {error}", code="bad_time") from None
        rows = oncall_rows(app.telling.roster, now, shifts=shifts)
        return _json({"schema": "aegis.oncall/1", "oncall": rows})


def _json(document: Mapping[str, Any], *, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
