"""Who may come in. Without accounts: this machine only, by a one-time sign-in address or a token file. With accounts: by
their sessions and API tokens, each as far as its role goes (`web/rights.py`); the token file still counts.

The address that the start prints signs one browser in; programs send the token of the state folder as a bearer. Both
are compared in constant time, and a foreign `Host` is refused so that no web page elsewhere can reach a loopback port
(DNS rebinding).
"""

from __future__ import annotations

import hmac
import re
import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from aegis.app.accounts import Accounts
from aegis.config.settings import AccountSettings, Proxy
from aegis.core.errors import StoreError
from aegis.core.roles import Person, widest
from aegis.core.secret import Secret
from aegis.core.virtualkeys import in_ranges, networks
from aegis.web.dashboard.forms import FORM_TOKEN
from aegis.web.problems import on_error, problem
from aegis.web.rights import right_for

COOKIE = "aegis_session"
PERSON = "aegis.person"
"""Where a request's scope says who asks."""
HOLDER = Person("api", "admin", account=False)
"""Whoever holds the state folder, or was shown the one-time address."""
TOKEN_FILE = "api-token"  # noqa: S105 - the name of a file
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "::1", "testserver"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""What a proxy may call a person: it stands on the audit log."""
OPEN_PATHS = frozenset(
    {
        "/livez",
        "/readyz",
        "/metrics",
        "/sign-in",
        "/sign-in/oidc",
        "/sign-in/oidc/done",
        "/static/aegis.css",
        "/static/aegis.svg",
        "/static/aegis.js",
    }
)
"""What a prober, Prometheus and a browser before its sign-in need; none of it holds incident text."""
SIGNED_PATHS = ("/inbound/", "/act/")
"""What carries its own permission, a signature: by whatever name it is reached and from wherever, without a sign-in."""

HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    # Not `no-referrer`: with it a browser says `Origin: null` for our own forms (Fetch standard, "append a request `Origin`
    # header"), and nobody could sign in.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Access:
    """The session, the one-time code and the token of one process."""

    def __init__(self, token: Secret) -> None:
        self._token = token
        self._session = secrets.token_urlsafe(32)
        self._code: str | None = secrets.token_urlsafe(24)
        self.accounts: Accounts | None = None
        """The accounts of the store; there once the face is made."""
        self.settings = AccountSettings()
        """Whether people are signed in elsewhere: by a proxy in front of Aegis, or at an issuer."""

    @classmethod
    def in_folder(cls, home: Path) -> Access:
        """With the token of the state folder, made at the first start with mode 0600."""
        path = home / TOKEN_FILE
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32) + "\n")
        return cls(Secret(path.read_text().strip()))

    def sign_in_path(self) -> str:
        """The path and query that sign one browser in, once."""
        return f"/sign-in?code={self._code}"

    def redeem(self, code: str) -> str | None:
        """The session for a right code, which is then used up; else None."""
        if self._code is None or not hmac.compare_digest(self._code.encode(), code.encode()):
            return None
        self._code = None
        return self._session

    def form_token(self, request: Request, person: Person) -> str:
        """What every form of this sign-in's pages carries: nobody else can work it out."""
        held = request.cookies.get(COOKIE, "") or f"{person.name} {request.headers.get('authorization', '')}"
        said = held.encode("utf-8", "backslashreplace")
        return hmac.new(self._token.reveal().encode(), b"aegis.form/1\0" + said, "sha256").hexdigest()

    async def has_accounts(self) -> bool:
        """Whether people sign in with accounts. Raises `StoreError`."""
        return self.settings.elsewhere or (self.accounts is not None and await self.accounts.kept.any())

    async def person(self, request: Request) -> Person | None:
        """Who asks, by a session or a token; None for a stranger. Raises `StoreError`."""
        cookie = request.cookies.get(COOKIE, "")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        bearer = bearer if scheme.lower() == "bearer" else ""
        if _same(bearer, self._token.reveal()):
            return HOLDER
        if not await self.has_accounts():
            return HOLDER if _same(cookie, self._session) else None
        if self.settings.proxy is not None and not bearer and (found := proxied(request, self.settings.proxy)):
            return found
        assert self.accounts is not None, "there are accounts"
        return await self.accounts.of_token(bearer) if bearer else await self.accounts.of_session(cookie)


def proxied(request: Request, proxy: Proxy) -> Person | None:
    """Who a proxy says that it signed in: its headers count from its own addresses only, each of them once."""
    address = request.client.host if request.client else ""
    if not in_ranges(address, networks(proxy.addresses)):
        return None
    users, groups = request.headers.getlist(proxy.user), request.headers.getlist(proxy.groups)
    if len(users) != 1 or len(groups) > 1 or not _NAME.fullmatch(users[0]):
        return None
    named = [one.strip() for one in groups[0].split(",")] if groups else []
    role = widest([proxy.roles[one] for one in named if one in proxy.roles]) or proxy.default
    return Person(users[0], role) if role else None


class Guard:
    """ASGI middleware: the host check, the sign-in and the security headers around everything."""

    def __init__(self, app: ASGIApp, *, access: Access, hosts: frozenset[str]) -> None:
        self.app, self.access, self.hosts = app, access, hosts | LOOPBACK_HOSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = await self._answer(Request(scope), scope)

        async def with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                assert isinstance(headers, list)
                message = {**message, "headers": [*headers, *HEADERS]}
            await send(message)

        await answer(scope, receive, with_headers)  # type: ignore[arg-type]

    async def _answer(self, request: Request, scope: Scope) -> ASGIApp:
        """The application where the request may go on, else why not."""
        if scope["path"].startswith(SIGNED_PATHS):
            return self.app
        if _host(request) not in self.hosts:
            return problem(403, "foreign_host", "This address does not belong to Aegis; use the one that it printed.")
        if _foreign_write(request, self.hosts):
            return problem(403, "foreign_origin", "A page of another site may not change anything here.")
        if scope["path"] in OPEN_PATHS:
            return self.app
        try:
            person = await self.access.person(request)
            accounts = await self.access.has_accounts()
        except StoreError as error:
            return await on_error(request, error)
        if person is None:
            return _sign_in_first(request, accounts=accounts)
        scope[PERSON] = person
        scope[FORM_TOKEN] = self.access.form_token(request, person)
        if not accounts:
            return self.app
        if "authorization" not in request.headers and _unproven_write(request):
            return problem(403, "foreign_origin", "A browser has to say from which page it changes something.")
        right = right_for(request.method, scope["path"])
        if right is None or not person.may(right):
            return problem(
                403, "not_allowed", f"The role {person.role} may not do this{f' ({right})' if right else ''}"
            )
        return self.app


def _host(request: Request) -> str:
    host = request.headers.get("host", "")
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _foreign_write(request: Request, hosts: frozenset[str]) -> bool:
    """A state-changing request that a browser sent from another site (`Origin` names it)."""
    origin = request.headers.get("origin")
    if origin is None or request.method in ("GET", "HEAD"):
        return False
    return origin.partition("://")[2].rsplit(":", 1)[0] not in hosts


def _unproven_write(request: Request) -> bool:
    """A write by cookie whose browser does not say where it comes from: browsers do, for every POST and DELETE (Fetch
    standard, "append a request `Origin` header").
    """
    return request.method not in ("GET", "HEAD") and "origin" not in request.headers


def _same(given: str, right: str) -> bool:
    return bool(given) and hmac.compare_digest(given.encode("utf-8", "backslashreplace"), right.encode())


def _sign_in_first(request: Request, *, accounts: bool) -> ASGIApp:
    if "text/html" in request.headers.get("accept", ""):
        if accounts:
            return RedirectResponse("/sign-in", 303)
        from aegis.web.pages import render

        return render("sign_in.html", status=401)
    detail = f"Send the token of the state folder ({TOKEN_FILE}) as `Authorization: Bearer ...`"
    return problem(401, "sign_in_first", detail, headers={"WWW-Authenticate": "Bearer"})
