"""`/act/TOKEN`: the page behind a signed link. Looking changes nothing (link scanners look); only its button does.

It works without a sign-in: the token is the permission, for one act on one incident, once, until it ends.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from aegis.app import App
from aegis.core.errors import BadInput
from aegis.core.plaintext import fit, one_line
from aegis.incidents.act_links import LABELS, LinkedAct
from aegis.web import views
from aegis.web.pages import render

PREFIX = "/act/"
FORM_BYTES_MAX = 4_096
"""A name of eighty characters, however it is written."""
NAME_CHARS = 80
STATUSES = {"link_ended": 410, "link_used": 410, "bad_link": 404, "no_such_incident": 404, "resolved": 409}
"""Of refusals that are not the reader's fault: the rest is 400."""


def router(app: App, *, banner: str) -> APIRouter:
    """The page, bound to one running Aegis."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(f"{PREFIX}{{token}}")
    async def ask(token: str) -> Response:
        try:
            act = _read(app, token)
        except BadInput as refused:
            return _refusal(refused, banner)
        incident = await app.desk.get(act.incident_id)
        if incident is None:
            return _refusal(BadInput("The incident is gone", code="no_such_incident"), banner)
        return _page(banner, ask=LABELS[act.verb], contact=act.contact, incident=views.incident_row(incident))

    @routes.post(f"{PREFIX}{{token}}")
    async def do(token: str, request: Request) -> Response:
        try:
            act = _read(app, token)
            by = act.contact or await _name(request) or "somebody with the link"
            assert app.inbound is not None, "links are read, so there is a way in"
            changed = await app.inbound.inbox.follow(act, by=by)
        except BadInput as refused:
            return _refusal(refused, banner)
        return _page(banner, done=f"The incident is {changed.status.value} now.", incident=views.incident_row(changed))

    return routes


def _read(app: App, token: str) -> LinkedAct:
    links = app.inbound.links if app.inbound else None
    if links is None:
        raise BadInput("This Aegis sends no links", code="bad_link")
    return links.read(token, now=app.clock.now())


async def _name(request: Request) -> str:
    """The name that the reader wrote, if any: plain text, as every name."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES_MAX:
            raise BadInput("The form is too large", code="too_large")
    try:
        written = parse_qs(body.decode(), max_num_fields=4).get("by", [""])[0]
    except ValueError:
        raise BadInput("The form cannot be read", code="not_form") from None
    return fit(one_line(written), NAME_CHARS)


def _refusal(refused: BadInput, banner: str) -> Response:
    return _page(banner, status=STATUSES.get(refused.code, 400), refused=str(refused))


def _page(banner: str, *, status: int = 200, **values: object) -> Response:
    answer = render("act.html", status=status, banner=banner, **values)
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer
