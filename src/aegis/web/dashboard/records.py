"""Keys and audit: virtual keys, what waits for a second person, accounts, the configuration in force, who did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from aegis.app.approving import BUDGET_SET, agree, asked_for, set_agreed
from aegis.config import scalars
from aegis.core.budgets import Amounts
from aegis.core.errors import BadInput
from aegis.core.money import show_usd
from aegis.core.roles import Person
from aegis.core.virtualkeys import VirtualKey
from aegis.core.windows import WindowPolicy
from aegis.stores.accounts import Approval
from aegis.stores.times import from_us
from aegis.web.access import PERSON
from aegis.web.dashboard.forms import read_form, refuse_unless, status_of, words
from aegis.web.dashboard.frame import Frame, after, who
from aegis.web.gateway.routes import NAMES

KEYS_SHOWN: Final = 200
ENTRIES: Final = 50
WINDOWS: Final = (("daily", "day"), ("monthly", "month"))


def add(routes: APIRouter, frame: Frame) -> None:
    """The page `/keys`."""

    @routes.get("/keys")
    async def keys(request: Request) -> Response:
        return await _page(frame, request)

    @routes.post("/keys")
    async def create(request: Request) -> Response:
        """Make a key; this answer is the only one that shows it."""
        form: Mapping[str, str] = {}
        try:
            form = await read_form(request)
            made = await frame.shown.keydesk(who(request), NAMES).create(form.get("name", ""), **_rights(form, frame))
        except BadInput as refused:
            return await _page(frame, request, status=status_of(refused), problem=str(refused), form=form)
        return await _page(frame, request, status=201, made={"name": made.key.name, "secret": made.secret.reveal()})

    @routes.post("/keys/{name}/revoke")
    async def revoke(request: Request, name: str) -> Response:
        """End a key now."""
        try:
            await read_form(request)
            await frame.shown.keydesk(who(request), NAMES).revoke(name)
        except BadInput as refused:
            return await _page(frame, request, status=status_of(refused), problem=str(refused))
        return after("/keys", "revoked")

    @routes.post("/approvals/{approval_id}")
    async def approve(request: Request, approval_id: str) -> Response:
        """Agree, as the second person, to a budget that somebody raised."""
        app = frame.app
        try:
            await read_form(request)
            kept, lookups, now = app.accounts.kept, app.lookups, app.clock.now()
            found = await asked_for(kept, approval_id)
            refuse_unless(found.what == BUDGET_SET, "That is agreed to under Stop and recover", "no_such_approval")
            await agree(kept, found, by=who(request), now=now)
            facts = {"approval": found.id, "asked_by": found.asked_by}
            await app.audit.note(who(request), "budget.approving", facts)
            word, _ = await set_agreed(lookups, app.config.budgets, found, by=who(request), now=now)
            facts |= {"budget": word.budget, "window": word.window, "level": word.level}
            await app.audit.note(who(request), "budget.approved", facts)
        except BadInput as refused:
            return await _page(frame, request, status=status_of(refused), problem=str(refused))
        return after("/keys", "approved")


async def _page(
    frame: Frame,
    request: Request,
    *,
    status: int = 200,
    problem: str = "",
    form: Mapping[str, str] | None = None,
    made: Mapping[str, str] | None = None,
) -> Response:
    app, now = frame.app, frame.app.clock.now()
    person: Person = request.scope[PERSON]
    asked = request.query_params
    keys = await frame.shown.keys()
    verified = await app.audit.verify() if asked.get("verify") else None
    number, hashed = await app.audit.head()
    return frame.page(
        request,
        "keys.html",
        status=status,
        problem=problem,
        form=form or {},
        made=made,
        keys=[_key(one, now) for one in keys[:KEYS_SHOWN]],
        more_keys=max(0, len(keys) - KEYS_SHOWN),
        waiting=[_approval(one, who(request)) for one in await app.accounts.kept.waiting(now)],
        accounts=[
            {"name": one.name, "role": one.role, "state": "disabled" if one.disabled_at else "active"}
            for one in (await app.accounts.kept.all() if person.may("admin") else ())
        ],
        entries=[
            {
                "seq": one.seq,
                "time": f"{from_us(one.at_us):%d %b %H:%M:%S}",
                "who": one.who,
                "what": one.what,
                "facts": ", ".join(f"{name} {value}" for name, value in one.facts.items() if name != "hash"),
            }
            for one in await app.audit.entries(limit=ENTRIES)
        ],
        head=number,
        head_hash=hashed[:16],
        verified=verified,
        files=[str(file) for file in app.config.files],
    )


def _rights(form: Mapping[str, str], frame: Frame) -> dict[str, Any]:
    """What a key made here may be held to; the command line has the rest. Raises `BadInput`."""
    rights: dict[str, Any] = {}
    if form.get("team"):
        rights["team"] = words(form, "team", 64)
    if form.get("models"):
        rights["models"] = tuple(one.strip() for one in form["models"].split(",") if one.strip())
    windows = []
    try:
        for name, kind in WINDOWS:
            if form.get(name):
                amount = int(scalars.amount(form[name]))
                windows.append(Amounts(window=WindowPolicy(kind=kind), emergency=amount))  # type: ignore[arg-type]
        if form.get("expires"):
            rights["expires_at"] = frame.app.clock.now() + timedelta(milliseconds=scalars.duration(form["expires"]))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"The amount or time {error}", code="bad_value") from None
    if windows:
        rights["windows"] = tuple(windows)
    return rights


def _key(one: VirtualKey, now: datetime) -> Mapping[str, Any]:
    if one.revoked_at is not None:
        state, tone = "revoked", "soft"
    elif not one.standing(now):
        state, tone = "expired", "soft"
    else:
        state, tone = (f"held by {one.held}", "high") if one.held else ("usable", "good")
    budgets: Sequence[str] = [f"{show_usd(part.emergency)} a {part.window.kind}" for part in one.windows]
    return {
        "id": one.id,
        "name": one.name,
        "team": one.team,
        "state": state,
        "tone": tone,
        "live": one.standing(now),
        "held": one.held,
        "models": ", ".join(one.models) or "all models",
        "budget": ", ".join(budgets),
        "expires": f"{one.expires_at:%d %b %Y}" if one.expires_at else "",
        "created": f"{one.created_at:%d %b %Y}",
    }


def _approval(one: Approval, person: str) -> Mapping[str, Any]:
    return {
        "id": one.id,
        "what": "a higher budget" if one.what == BUDGET_SET else "a return",
        "body": one.body,
        "by": one.asked_by,
        "until": f"{one.expires_at:%d %b %H:%M}",
        "mine": one.asked_by == person,
        "budget": one.what == BUDGET_SET,
    }
