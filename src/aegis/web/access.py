"""Who may come in while no accounts are configured: this machine only, by a one-time sign-in address or a token file.

The address that the start prints signs one browser in; programs send the token of the state folder as a bearer. Both
are compared in constant time, and a foreign `Host` is refused so that no web page elsewhere can reach a loopback port
(DNS rebinding).
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aegis.core.secret import Secret
from aegis.web.problems import problem

COOKIE = "aegis_session"
TOKEN_FILE = "api-token"  # noqa: S105 - the name of a file
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "::1", "testserver"})
OPEN_PATHS = frozenset(
    {"/livez", "/readyz", "/metrics", "/sign-in", "/static/aegis.css", "/static/aegis.svg", "/static/aegis.js"}
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
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Access:
    """The session, the one-time code and the token of one process."""

    def __init__(self, token: Secret) -> None:
        self._token = token
        self._session = secrets.token_urlsafe(32)
        self._code: str | None = secrets.token_urlsafe(24)

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

    def admits(self, request: Request) -> bool:
        """Whether the request carries the session or the token."""
        cookie = request.cookies.get(COOKIE, "")
        if cookie and hmac.compare_digest(cookie.encode(), self._session.encode()):
            return True
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(bearer.encode(), self._token.reveal().encode())


class Guard:
    """ASGI middleware: the host check, the sign-in and the security headers around everything."""

    def __init__(self, app: ASGIApp, *, access: Access, hosts: frozenset[str]) -> None:
        self.app, self.access, self.hosts = app, access, hosts | LOOPBACK_HOSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        answer: ASGIApp = self.app
        if scope["path"].startswith(SIGNED_PATHS):
            pass
        elif _host(request) not in self.hosts:
            answer = problem(403, "foreign_host", "This address does not belong to Aegis; use the one that it printed.")
        elif _foreign_write(request, self.hosts):
            answer = problem(403, "foreign_origin", "A page of another site may not change anything here.")
        elif scope["path"] not in OPEN_PATHS and not self.access.admits(request):
            answer = _sign_in_first(request)

        async def with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                assert isinstance(headers, list)
                message = {**message, "headers": [*headers, *HEADERS]}
            await send(message)

        await answer(scope, receive, with_headers)  # type: ignore[arg-type]


def _host(request: Request) -> str:
    host = request.headers.get("host", "")
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _foreign_write(request: Request, hosts: frozenset[str]) -> bool:
    """A state-changing request that a browser sent from another site (`Origin` names it)."""
    origin = request.headers.get("origin")
    if origin is None or request.method in ("GET", "HEAD"):
        return False
    return origin.partition("://")[2].rsplit(":", 1)[0] not in hosts


def _sign_in_first(request: Request) -> ASGIApp:
    if "text/html" in request.headers.get("accept", ""):
        from aegis.web.pages import render

        return render("sign_in.html", status=401)
    detail = f"Send the token of the state folder ({TOKEN_FILE}) as `Authorization: Bearer ...`"
    return problem(401, "sign_in_first", detail, headers={"WWW-Authenticate": "Bearer"})
