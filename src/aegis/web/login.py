"""Signing in and out: by the one-time address while there are no accounts, else by name and password.

Policy: the form carries a token that its cookie repeats, so that no other site can sign a browser in; the session's cookie
is HttpOnly and SameSite=Lax, and Secure where people reach Aegis by https.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from aegis.app import App
from aegis.core.errors import BadInput, RateLimited, ServiceError
from aegis.core.secret import Secret
from aegis.web.access import COOKIE, Access
from aegis.web.dashboard.forms import read_form
from aegis.web.problems import on_error, problem

FORM_COOKIE: Final = "aegis_form"
STATE_COOKIE: Final = "aegis_oidc"
BACK: Final = "/sign-in/oidc/done"
"""Where the issuer sends people back to: to be registered there."""
FORM_BYTES_MAX: Final = 8_192
"""A name, a password and a token: a thousand characters each, percent-encoded."""


def sign_in_routes(app: App, access: Access) -> tuple[Route, ...]:
    """The routes, bound to one running Aegis."""

    async def sign_in(request: Request) -> Response:
        if not await access.has_accounts():
            return await _redeemed(app, request, access)
        if request.method != "POST":
            return _form(app)
        form = await _read(request)
        token = request.cookies.get(FORM_COOKIE, "")
        if not token or not hmac.compare_digest(token.encode(), form.get("token", "").encode()):
            return _form(app, problem="Please try again: the page was open for too long.", status=403)
        try:
            session = await app.accounts.sign_in(form.get("name", ""), Secret(form.get("password", "")))
        except BadInput as error:
            return _form(app, problem=str(error), status=403)
        except RateLimited as error:
            answer = _form(app, problem=str(error), status=429)
            answer.headers["Retry-After"] = str(-(-(error.retry_after_ms or 1_000) // 1_000))
            return answer
        answer = RedirectResponse("/", 303)
        _set(app, answer, COOKIE, session.reveal(), seconds=app.accounts.session_ms // 1_000)
        answer.delete_cookie(FORM_COOKIE)
        return answer

    async def sign_out(request: Request) -> Response:
        try:
            await read_form(request)
        except BadInput as refused:
            return await on_error(request, refused)
        await app.accounts.sign_out(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE)
        return answer

    return (
        Route("/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        *_elsewhere(app),
    )


def _elsewhere(app: App) -> tuple[Route, ...]:
    """Sign-in at the configured issuer, if there is one."""
    settings = app.config.accounts.oidc
    if settings is None:
        return ()
    assert app.http is not None, "an opened Aegis has its way out"
    assert app.secret is not None, "an opened Aegis can read its secrets"
    from aegis.web.oidc import Issuer

    secret = app.secret(settings.client_secret) if settings.client_secret else None
    issuer = Issuer(settings=settings, secret=secret, http=app.http, clock=app.clock)

    async def begin(request: Request) -> Response:
        base = app.config.server.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
        try:
            address, state = await issuer.begin(f"{base.rstrip('/')}{BACK}")
        except (BadInput, ServiceError) as error:
            return _form(app, problem=str(error), status=502)
        answer = RedirectResponse(address, 303)
        _set(app, answer, STATE_COOKIE, state, seconds=600)
        return answer

    async def finish(request: Request) -> Response:
        asked, kept = request.query_params, request.cookies.get(STATE_COOKIE, "")
        try:
            name, role = await issuer.finish(state=asked.get("state", ""), kept=kept, code=asked.get("code", ""))
            session = await app.accounts.arrive(name, role, by="oidc")
        except (BadInput, ServiceError) as error:
            return _form(app, problem=str(error), status=403)
        answer = RedirectResponse("/", 303)
        _set(app, answer, COOKIE, session.reveal(), seconds=app.accounts.session_ms // 1_000)
        answer.delete_cookie(STATE_COOKIE)
        return answer

    return Route("/sign-in/oidc", begin), Route(BACK, finish)


async def _redeemed(app: App, request: Request, access: Access) -> Response:
    session = access.redeem(request.query_params.get("code", ""))
    if session is None:
        return problem(
            403, "code_used", "This sign-in address was used already or is wrong; start Aegis again for a new one"
        )
    await app.audit.note("api", "login", {"by": "one-time address"})
    answer = RedirectResponse("/", 303)
    _set(app, answer, COOKIE, session)
    return answer


def _form(app: App, *, problem: str = "", status: int = 200) -> Response:
    """The page, with a fresh token in it and in its cookie."""
    from aegis.web.pages import render

    token = secrets.token_urlsafe(32)
    answer = render("login.html", status=status, token=token, problem=problem, oidc=app.config.accounts.oidc)
    _set(app, answer, FORM_COOKIE, token, seconds=3_600)
    return answer


async def _read(request: Request) -> dict[str, str]:
    """The fields of a form; one that is too large has none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES_MAX:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}


def _set(app: App, answer: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    secure = app.config.server.public_url.startswith("https://")
    answer.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure)
