"""Incidents: the list with its filter in the address, one incident with everything that was done about it, and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from aegis.app.silencing import silence_of
from aegis.core.errors import BadInput
from aegis.core.incidents import Incident, Severity, Status
from aegis.core.lifecycle import TEXT_CHARS, Verb
from aegis.core.notifications import Delivery
from aegis.core.roles import Person
from aegis.core.techniques import TECHNIQUES
from aegis.incidents.report import markdown
from aegis.stores.calls import CallLine
from aegis.stores.incident_list import UNRESOLVED, Wanted
from aegis.stores.times import to_us
from aegis.web import views
from aegis.web.access import PERSON
from aegis.web.dashboard.forms import read_form, refuse_unless, status_of, words
from aegis.web.dashboard.frame import Frame, after, who
from aegis.web.dashboard.rows import call_row, in_time, listed_row, small_usd, standing

ROWS: Final = 50
"""Incidents on one page."""
CALLS_MAX: Final = 50
SILENCE_FOR: Final = ("1h", "4h", "24h", "7d")
DELIVERY_TONES: Final = {"done": "good", "dead": "critical", "ready": "low", "leased": "low", "superseded": "soft"}
DELIVERY_WORDS: Final = {
    "done": "sent",
    "dead": "not delivered",
    "ready": "waits",
    "leased": "being sent",
    "superseded": "overtaken",
}
VERBS: Final[Mapping[str, tuple[Verb, str]]] = {
    "acknowledge": ("acknowledge", "acknowledged"),
    "resolve": ("resolve", "resolved"),
    "reopen": ("reopen", "reopened"),
    "note": ("note", "noted"),
    "assign": ("assign", "assigned"),
}


def add(routes: APIRouter, frame: Frame) -> None:
    """The pages below `/incidents`."""

    @routes.get("/incidents")
    async def incidents(request: Request) -> Response:
        asked = {name: value[:200] for name, value in request.query_params.items()}
        wanted = _wanted(asked)
        listing, at = await frame.shown.lists(), frame.app.clock.now()
        found = await listing.page(wanted, ROWS + 1)
        here = found[:ROWS]
        older = ""
        if len(found) > ROWS:
            older = urlencode({**asked, "before": f"{to_us(here[-1].opened_at)}.{here[-1].id}"})
        return frame.page(
            request,
            "incidents.html",
            standing=standing(await listing.counts()),
            incidents=[listed_row(one, at) for one in here],
            asked=asked,
            filtered=any(value for name, value in asked.items() if name not in ("before", "done")),
            older=older,
        )

    @routes.get("/incidents/{incident_id}")
    async def incident(request: Request, incident_id: str) -> Response:
        return await _page(frame, request, incident_id)

    @routes.get("/incidents/{incident_id}/report")
    async def report(request: Request, incident_id: str) -> Response:
        found = await frame.app.incidents.get(incident_id)
        if found is None:
            return _missing(frame, request, incident_id)
        text = markdown(found, deliveries=await frame.app.outbox.of_incident(found.id))
        headers = {"Content-Disposition": f'attachment; filename="{found.id}.md"'}
        return Response(text, media_type="text/markdown; charset=utf-8", headers=headers)

    _words(routes, frame)


def _words(routes: APIRouter, frame: Frame) -> None:
    @routes.post("/incidents/{incident_id}/silence")
    async def silence(request: Request, incident_id: str) -> Response:
        """Hold back what is told about this incident for a while."""
        form: Mapping[str, str] = {}
        try:
            form = await read_form(request)
            now, by = frame.app.clock.now(), who(request)
            made = silence_of(
                frame.app.new_id("sil"),
                now=now,
                matchers=[f"id={incident_id.lower()}"],
                owner=by,
                reason=words(form, "reason", 300),
                length=form.get("for", ""),
            )
            await frame.app.silences.add(made, now=now)
            facts = {"silence": made.id, "reason": made.reason, "what": f"id={incident_id}", "owner": by}
            await frame.app.audit.note(by, "silence.added", facts)
        except BadInput as refused:
            return await _page(frame, request, incident_id, status=status_of(refused), problem=str(refused), form=form)
        return after(f"/incidents/{incident_id}", "silenced")

    @routes.post("/incidents/{incident_id}/{verb}")
    async def say(request: Request, incident_id: str, verb: str) -> Response:
        """Acknowledge, resolve, reopen, note or assign."""
        form: Mapping[str, str] = {}
        try:
            form = await read_form(request)
            refuse_unless(verb in VERBS, "There is no such word about an incident", "no_such_change")
            word, done = VERBS[verb]
            text = form.get("text", "")[:TEXT_CHARS]
            person: Person = request.scope[PERSON]
            by = person.name if person.account else words(form, "by", 80) or "dashboard"
            await frame.app.desk.say(incident_id, word, by=by, via="dashboard", text=text)
        except BadInput as refused:
            return await _page(frame, request, incident_id, status=status_of(refused), problem=str(refused), form=form)
        return after(f"/incidents/{incident_id}", done)


async def _page(
    frame: Frame,
    request: Request,
    incident_id: str,
    *,
    status: int = 200,
    problem: str = "",
    form: Mapping[str, str] | None = None,
) -> Response:
    app, now = frame.app, frame.app.clock.now()
    found = await app.incidents.get(incident_id)
    if found is None:
        return _missing(frame, request, incident_id)
    shown = views.incident_page(found)
    calls = await frame.shown.calls_of_incident(found.id, found.opened_at - timedelta(minutes=1), CALLS_MAX)
    return frame.page(
        request,
        "incident.html",
        status=status,
        problem=problem,
        form=form or {},
        **{name: value for name, value in shown.items() if name not in ("findings", "techniques")},
        techniques=_techniques(found),
        told=_told(await app.outbox.of_incident(found.id)),
        findings=[one for one in shown["findings"] if not one["about"].startswith("technique ")],
        calls=[call_row(line, now) for line in calls],
        calls_cost=small_usd(sum(line.cost for line in calls)),
        steps=_cost_steps(calls),
        escalation=_escalation(found, frame),
        held=found.held,
        assignee=found.assignee,
        by=found.status_by,
        via=found.status_via,
        silence_for=SILENCE_FOR,
        is_open=found.status is Status.OPEN,
        is_resolved=found.status is Status.RESOLVED,
    )


def _missing(frame: Frame, request: Request, incident_id: str) -> Response:
    return frame.page(request, "missing.html", status=404, what=f"incident {incident_id[:64]}", back="/incidents")


def _wanted(asked: Mapping[str, str]) -> Wanted:
    """The filter of the address; words that mean nothing are passed over."""
    status = asked.get("status", "")
    known = {UNRESOLVED, *(one.value for one in Status)}
    wanted = Wanted(
        status=status if status in known else "",
        severity=Severity.__members__.get(asked.get("severity", "").upper()),
        kind=asked.get("kind", ""),
        technique=asked.get("technique", ""),
        held=asked.get("held", ""),
        text=asked.get("q", "").strip(),
    )
    at, _, last = asked.get("before", "").partition(".")
    return replace(wanted, before=(int(at), last)) if at.isascii() and at.isdigit() and len(at) < 18 else wanted


def _techniques(incident: Incident) -> Sequence[Mapping[str, str]]:
    return [{"id": one, "name": TECHNIQUES[one].name if one in TECHNIQUES else ""} for one in incident.techniques]


def _told(deliveries: Sequence[Delivery]) -> Sequence[Mapping[str, Any]]:
    """Who was told: one row a service, with what it was told and how the newest message fared."""
    by_service: dict[str, list[Delivery]] = {}
    for one in deliveries:
        by_service.setdefault(one.service, []).append(one)
    return [_service(service, told) for service, told in sorted(by_service.items())]


def _service(service: str, told: Sequence[Delivery]) -> Mapping[str, Any]:
    newest = next((one for one in reversed(told) if one.state.value != "superseded"), told[-1])
    said = Counter(one.notification.change for one in told if one.state.value != "superseded")
    state = newest.state.value
    return {
        "service": service,
        "said": ", ".join(f"{change} {count}×" if count > 1 else change for change, count in said.items()),
        "state": DELIVERY_WORDS[state],
        "tone": DELIVERY_TONES[state],
        "attempts": newest.attempts,
        "error": newest.last_error if state != "done" else "",
        "dead": newest.id if state == "dead" else "",
        "remote": newest.remote_id,
    }


def _cost_steps(calls: Sequence[CallLine]) -> Sequence[Mapping[str, Any]]:
    """What the incident cost, by service."""
    sums: dict[str, tuple[int, int, int]] = {}
    for line in calls:
        made, cached, cost = sums.get(line.service, (0, 0, 0))
        cached += line.state == "cached"
        sums[line.service] = made + 1, cached, cost + line.cost
    return [
        {"service": service, "calls": made, "cached": cached, "cost": small_usd(cost)}
        for service, (made, cached, cost) in sorted(sums.items(), key=lambda item: -item[1][2])
    ]


def _escalation(incident: Incident, frame: Frame) -> Mapping[str, str] | None:
    """The escalation clock: whom it told last, and when the next step follows."""
    state = incident.escalation
    if state is None:
        return None
    told = ", ".join(f"{one.contact} by {one.channel}" for one in state.told) or "nobody could be told"
    now = frame.app.clock.now()
    if state.running and state.next_at is not None:
        ahead = (
            f"next step in {in_time(state.next_at - now)}, at {state.next_at:%H:%M:%S}, unless somebody acknowledges"
        )
    else:
        ahead = f"it goes no further: {state.halted or 'that was the last step'}"
    return {"chain": state.chain, "step": str(state.step), "told": told, "ahead": ahead}
