"""Stop and recover: what is stopped, a plan with its exact targets, applying exactly it, and the way back with its ramp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from aegis.app.approving import STOP_RETURN, return_of
from aegis.app.emergency import EFFECTS, Emergency
from aegis.app.returns import agree, ask, break_off
from aegis.config import scalars
from aegis.config.sections.budgets import SCOPES
from aegis.core.charts import steps
from aegis.core.errors import BadInput
from aegis.core.money import show_usd
from aegis.core.ramps import SHARES
from aegis.core.stops import PLAN_MS, Grade, Stop
from aegis.emergency.planning import Order
from aegis.governor.switch import scope_text
from aegis.web.dashboard.forms import read_form, refuse_unless, status_of, words
from aegis.web.dashboard.frame import Frame, after, picture, who
from aegis.web.dashboard.rows import EPOCH, in_time, switch_row

STOPS_SHOWN: Final = 20
TARGETS_SHOWN: Final = 100
SAID_SHOWN: Final = 50
GRADES: Final = {
    "0": "G0 · slow down",
    "1": "G1 · admit no more calls",
    "2": "G2 · and hold keys",
    "3": "G3 · and disable credentials at providers",
    "4": "G4 · and stop registered programs",
}
TONES: Final = {"planned": "low", "stopping": "high", "stopped": "critical", "returning": "medium", "returned": "good"}
ALL: Final = "all"


def add(routes: APIRouter, frame: Frame) -> None:
    """The pages below `/stop`."""

    @routes.get("/stop")
    async def stop(request: Request) -> Response:
        return await _page(frame, request)

    @routes.post("/stop")
    async def plan(request: Request) -> Response:
        """Make a plan and keep it for ten minutes; nothing is touched."""
        form: Mapping[str, str] = {}
        try:
            form = await read_form(request)
            orders = _emergency(frame).orders
            made = await orders.plan(_order(frame, form, who(request)))
            await orders.keep(made)
        except BadInput as refused:
            return await _page(frame, request, status=status_of(refused), problem=str(refused), form=form)
        return after(f"/stop/{made.id}", "")

    @routes.get("/stop/{stop_id}")
    async def one(request: Request, stop_id: str) -> Response:
        return await _one(frame, request, stop_id)

    _acts(routes, frame)
    _break_off(routes, frame)


def _acts(routes: APIRouter, frame: Frame) -> None:
    @routes.post("/stop/{stop_id}/apply")
    async def apply(request: Request, stop_id: str) -> Response:
        """Do exactly what the plan says; its scope has to be written out."""
        try:
            form = await read_form(request)
            found = await frame.shown.stops.get(stop_id)
            wanted = confirmation(found)
            written = form.get("confirm", "").casefold() == wanted.casefold()
            refuse_unless(written, f"Write {wanted!r} to confirm what is stopped", "not_confirmed")
            await _emergency(frame).orders.apply(stop_id, by=who(request))
        except BadInput as refused:
            return await _one(frame, request, stop_id, status=status_of(refused), problem=str(refused))
        return after(f"/stop/{stop_id}", "applied")

    @routes.post("/stop/{stop_id}/recover")
    async def recover(request: Request, stop_id: str) -> Response:
        """Ask for the return; beyond G2 a second person has to agree."""
        try:
            form, app = await read_form(request), frame.app
            found, cause = await frame.shown.stops.get(stop_id), words(form, "root_cause", 1_000)
            kept, orders, now = app.accounts.kept, _emergency(frame).orders, app.clock.now()
            waits = await ask(kept, orders, found, by=who(request), root_cause=cause, new_id=app.new_id, now=now)
        except BadInput as refused:
            return await _one(frame, request, stop_id, status=status_of(refused), problem=str(refused))
        return after(f"/stop/{stop_id}", "asked" if waits else "returning")

    @routes.post("/stop/{stop_id}/agree/{approval_id}")
    async def second(request: Request, stop_id: str, approval_id: str) -> Response:
        """The second person agrees to a return."""
        try:
            await read_form(request)
            app = frame.app
            found = await app.accounts.kept.approval(approval_id)
            waits = found is not None and found.what == STOP_RETURN and return_of(found)[0] == stop_id
            refuse_unless(waits, "Nothing of that name waits here", "no_such_approval")
            assert found is not None, "it waits"
            await agree(app.accounts.kept, _emergency(frame).orders, found, by=who(request), now=app.clock.now())
        except BadInput as refused:
            return await _one(frame, request, stop_id, status=status_of(refused), problem=str(refused))
        return after(f"/stop/{stop_id}", "returning")


def _break_off(routes: APIRouter, frame: Frame) -> None:
    @routes.post("/stop/{stop_id}/abort")
    async def abort(request: Request, stop_id: str) -> Response:
        """Break a return off."""
        try:
            await read_form(request)
            await break_off(_emergency(frame).parts, stop_id, by=who(request))
        except BadInput as refused:
            return await _one(frame, request, stop_id, status=status_of(refused), problem=str(refused))
        return after(f"/stop/{stop_id}", "aborted")


async def _page(
    frame: Frame, request: Request, *, status: int = 200, problem: str = "", form: Mapping[str, str] | None = None
) -> Response:
    switches = [switch_row(one) for one in frame.app.governor.stopped()]
    newest = await frame.shown.stops.newest(STOPS_SHOWN)
    return frame.page(
        request,
        "stop.html",
        status=status,
        problem=problem,
        form=form or {},
        switches=switches,
        standing=[_row(one) for one in newest if one.state not in ("planned", "returned")],
        stops=[_row(one) for one in newest],
        turns=[switch_row(one) for one in await frame.shown.turns()],
        scopes=SCOPES,
        grades=GRADES,
    )


async def _one(frame: Frame, request: Request, stop_id: str, *, status: int = 200, problem: str = "") -> Response:
    try:
        found = await frame.shown.stops.get(stop_id)
    except BadInput:
        return frame.page(request, "missing.html", status=404, what=f"stop {stop_id[:64]}", back="/stop")
    waiting = [
        {
            "id": one.id,
            "by": one.asked_by,
            "mine": one.asked_by == who(request),
            "until": f"{one.expires_at:%d %b %H:%M}",
        }
        for one in await frame.app.accounts.kept.waiting(frame.app.clock.now())
        if one.what == STOP_RETURN and return_of(one)[0] == found.id
    ]
    return frame.page(
        request, "stop_one.html", status=status, problem=problem, stop=_whole(found, frame), waiting=waiting
    )


def confirmation(stop: Stop) -> str:
    """What has to be written to apply a plan: its scope, in words."""
    return scope_text(stop.plan.scope) if stop.plan.scope else ALL


def _emergency(frame: Frame) -> Emergency:
    assert frame.app.emergency is not None, "an opened Aegis can stop and return"
    return frame.app.emergency


def _order(frame: Frame, form: Mapping[str, str], by: str) -> Order:
    """What the form asks for. Raises `BadInput`."""
    reason, name, value = words(form, "reason", 200), form.get("name", ""), words(form, "value", 200)
    if not reason:
        raise BadInput("A stop needs a reason: everybody whose call is refused is told", code="no_reason")
    if name not in (ALL, *SCOPES):
        raise BadInput("Say which calls: all, or those with a name", code="bad_scope")
    if (name != ALL) is not bool(value):
        raise BadInput("A name needs a value, all calls need none", code="bad_scope")
    grade = form.get("grade", "")
    if grade not in GRADES:
        raise BadInput("Say how far: G0 to G4", code="bad_grade")
    try:
        span = scalars.duration(form["for"]) if form.get("for") else 0
        pool = scalars.amount(form["pool"]) if form.get("pool") else 0
    except ValueError as error:
        raise BadInput(f"The time or the amount {error}", code="bad_value") from None
    return Order(
        grade=Grade(int(grade)),
        scope={} if name == ALL else {name: value},
        reason=reason,
        by=by,
        expires_ms=_emergency(frame).parts.now_ms() + int(span) if span else 0,
        pool=int(pool),
    )


def _row(stop: Stop) -> Mapping[str, Any]:
    plan = stop.plan
    return {
        "id": stop.id,
        "state": stop.state,
        "tone": TONES[stop.state],
        "grade": plan.grade.name,
        "scope": scope_text(plan.scope),
        "reason": plan.reason,
        "by": plan.by,
        "time": f"{EPOCH + timedelta(milliseconds=plan.at_ms):%d %b %H:%M}",
        "ramp": picture(_ramp(stop)) if stop.state == "returning" else "",
    }


def _ramp(stop: Stop) -> str:
    at = stop.ramp.step + 1 if stop.ramp is not None else 0
    title = f"The return of {stop.id}: {stop.ramp.share if stop.ramp else 0} % of the calls are admitted"
    return steps(["checks", *(f"{share} % of calls" for share in SHARES)], at, title=title)


def _whole(stop: Stop, frame: Frame) -> Mapping[str, Any]:
    """A stop with its plan, its checks and its history."""
    plan, now = stop.plan, frame.app.clock.now()
    second = {target.key for target in plan.second_person}
    planned_at = EPOCH + timedelta(milliseconds=plan.at_ms)
    runs_out = planned_at + timedelta(milliseconds=PLAN_MS)
    targets: Sequence[Mapping[str, Any]] = [
        {
            "kind": target.kind,
            "name": target.name,
            "second": target.key in second,
            "failed": stop.failed.get(f"target {target.key}", ""),
            "done": f"target {target.key}" in stop.done,
        }
        for target in plan.targets[:TARGETS_SHOWN]
    ]
    return {
        **_row(stop),
        "effect": EFFECTS[plan.grade],
        "hash": stop.hashed[:16],
        "confirm": confirmation(stop),
        "left": in_time(runs_out - now) if runs_out > now else "",
        "until": f"{EPOCH + timedelta(milliseconds=plan.expires_ms):%d %b %H:%M}" if plan.expires_ms else "",
        "pool": show_usd(plan.pool) if plan.pool else "",
        "burn": show_usd(plan.burn),
        "targets": targets,
        "more_targets": max(0, len(plan.targets) - TARGETS_SHOWN),
        "needs_second": bool(second),
        "unseen": plan.unseen,
        "incident": stop.incident,
        "applied_by": stop.applied_by,
        "approver": stop.approver,
        "root_cause": stop.root_cause,
        "checks": [{"name": c.name, "good": c.good, "text": c.text, "blocking": c.blocking} for c in stop.checks],
        "share": stop.ramp.share if stop.ramp else None,
        "why": stop.ramp.why if stop.ramp else "",
        "beyond": plan.grade > Grade.G2,
        "said": [
            {"time": f"{EPOCH + timedelta(milliseconds=at_ms):%d %b %H:%M:%S}", "text": text}
            for at_ms, text in reversed(stop.said[-SAID_SHOWN:])
        ],
    }
