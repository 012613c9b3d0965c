"""Sends HTTP requests for every outside service: one attempt, bounded in size and time, to addresses that were checked.

https only but for loopback; no redirects, no cookies, no environment proxies, no hidden retry. Addresses, headers and
bodies never reach an error or a log: webhook addresses are secrets.
"""

from __future__ import annotations

import re
import socket
import ssl
import zlib
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

from aegis.core.addresses import is_loopback, is_public_address
from aegis.core.errors import Billed, ServiceError
from aegis.core.exchange import quota_left
from aegis.core.ports import Clock, HttpAnswer, HttpRequest
from aegis.core.telemetry import Observer, ServiceAnswered

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

Reach: TypeAlias = Literal["public", "loopback", "private"]
"""Where a request may connect to: public addresses, this machine, or anywhere (a host that the configuration allows)."""

CONNECTIONS_MAX = 256
"""Over all services; the outbox lanes bound how many of them one service can hold."""

KEEP_IDLE_SECONDS = 10
"""Below the 15 s and more that the vendors' front ends keep an idle connection, so that a reused one is still open."""

READ_BYTES = 64 * 1024

_ADDRESS_TEXT = re.compile(r"[\x21-\x7e]{1,8192}")
_ENCODINGS_READ = ("", "identity", "gzip")


class OutboundHttp:
    """The `Http` port on aiohttp. `allow_private` names the hosts (of connectors configured so) that may stand on a
    private address; `tls` replaces the system's trusted authorities. `unix_socket` is a file that everything is sent to
    instead of an address: then a request's host is `localhost`.

    Call `close` in the end; it needs the same event loop as `send`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        observer: Observer,
        allow_private: Collection[str] = (),
        tls: ssl.SSLContext | None = None,
        unix_socket: str = "",
    ) -> None:
        self._clock, self._observer, self._tls, self._unix_socket = clock, observer, tls, unix_socket
        self._allow_private = frozenset(host.rstrip(".").lower() for host in allow_private)
        self._sessions: dict[Reach, aiohttp.ClientSession] = {}

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """One request, one answer, whatever its status. Raises `ServiceError` as the port says."""
        url, reach = self._checked(request)
        began = self._clock.monotonic_ns()
        answer = await self._attempt(request, url, reach)
        took_ms = (self._clock.monotonic_ns() - began) // 1_000_000
        status, left = (answer.status, quota_left(answer.headers)) if isinstance(answer, HttpAnswer) else (0, None)
        self._observer(
            ServiceAnswered(at=self._clock.now(), service=request.service, status=status, took_ms=took_ms, left=left)
        )
        if isinstance(answer, ServiceError):
            raise answer  # outside the handler: the library's error names the address and must not be chained
        return answer

    async def close(self) -> None:
        """Close every connection."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    def _checked(self, request: HttpRequest) -> tuple[URL, Reach]:
        from yarl import URL

        if not _ADDRESS_TEXT.fullmatch(request.url):
            _refuse(request.service, "its address holds blanks, controls or other letters that no address may hold")
        try:
            url = URL(request.url, encoded=True)  # as given: a signature in the query must not be re-encoded
            host = (url.host or "").rstrip(".").lower()
        except ValueError:
            host = ""
        if not host:
            _refuse(request.service, "its address cannot be read")
        if url.user is not None or url.password is not None:
            _refuse(request.service, "its address holds a user name; give credentials as the connector's own settings")
        loopback = is_loopback(host)
        if url.scheme != "https" and not (url.scheme == "http" and loopback):
            _refuse(request.service, f"{host} must be reached by https; plain http is for this machine only")
        if self._unix_socket and host != "localhost":
            _refuse(request.service, "only localhost stands behind a socket")
        return url, "loopback" if loopback else "private" if host in self._allow_private else "public"

    def _session(self, reach: Reach) -> aiohttp.ClientSession:
        if reach in self._sessions:
            return self._sessions[reach]
        import aiohttp

        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(_note_connected)
        tracing.on_connection_reuseconn.append(_note_connected)
        session = aiohttp.ClientSession(
            connector=self._connector(reach),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[tracing],
        )
        # aiohttp sends an idempotent request again on a reused connection that was just cut: a call no gate admitted.
        session._retry_connection = False  # noqa: SLF001
        self._sessions[reach] = session
        return session

    def _connector(self, reach: Reach) -> aiohttp.BaseConnector:
        import aiohttp

        if self._unix_socket:
            return aiohttp.UnixConnector(self._unix_socket, limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_IDLE_SECONDS)
        return aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX,
            keepalive_timeout=KEEP_IDLE_SECONDS,
            use_dns_cache=False,  # the resolver of the system caches; an address that moved is seen at once
            socket_factory=_socket_factory(reach),
            ssl=self._tls or True,
        )

    async def _attempt(self, request: HttpRequest, url: URL, reach: Reach) -> HttpAnswer | ServiceError:
        import aiohttp

        connected = _Connected()
        try:
            async with self._session(reach).request(
                request.method,
                url,
                headers={"Accept-Encoding": "gzip", "User-Agent": "aegis", **request.headers},
                data=request.body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=request.timeout_ms / 1_000, connect=request.connect_timeout_ms / 1_000
                ),
                trace_request_ctx=connected,
            ) as answer:
                body = await _read(request, answer)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return HttpAnswer(status=answer.status, headers=headers, body=body)
        except ServiceError as error:
            return error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _failed(request, error, connected=connected.yes)


class _Connected:
    """Whether a connection stood, so that the request may have been received."""

    __slots__ = ("yes",)

    def __init__(self) -> None:
        self.yes = False


async def _note_connected(_session: object, context: Any, _parameters: object) -> None:
    context.trace_request_ctx.yes = True


def _socket_factory(reach: Reach) -> Callable[[tuple[Any, ...]], socket.socket]:
    """Opens the socket for an address that was resolved already: what is checked is what is connected to, so a name
    that resolves differently the second time gains nothing.
    """

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _name, address = info
        allowed = {"public": is_public_address, "loopback": is_loopback, "private": bool}[reach]
        if not allowed(str(address[0])):
            raise PermissionError("the address is not public")
        return socket.socket(family, kind, protocol)

    return make


async def _read(request: HttpRequest, answer: aiohttp.ClientResponse) -> bytes:
    """The body, inflated if it is gzip, never more than the request's bound in memory."""
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS_READ:
        raise ServiceError(request.service, "answered in an encoding that was not asked for", retryable=True)
    limit = request.answer_bytes_max
    body = bytearray()
    inflater = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    async for chunk in answer.content.iter_chunked(READ_BYTES):
        try:
            body += inflater.decompress(chunk, limit + 1 - len(body)) if inflater else chunk
        except zlib.error:
            raise ServiceError(request.service, "answered with broken gzip", retryable=True) from None
        if len(body) > limit:
            raise ServiceError(request.service, f"answered with more than {limit} bytes", retryable=True)
    if inflater and body and not inflater.eof:
        raise ServiceError(request.service, "answered with half a gzip", retryable=True)
    return bytes(body)


def _failed(request: HttpRequest, error: Exception, *, connected: bool) -> ServiceError:
    """The library's error in our words: kinds only, because its texts hold addresses and header values."""
    import aiohttp

    match error:
        case ValueError() if not isinstance(error, aiohttp.ClientError):
            return ServiceError(
                request.service, "a header or the method cannot be sent", retryable=False, billed=Billed.NO
            )
        case aiohttp.ClientConnectorCertificateError():
            text = "its certificate is not trusted"
        case aiohttp.ClientConnectorSSLError() | aiohttp.ClientSSLError():
            text = "the secure connection failed"
        case aiohttp.ClientConnectorDNSError():
            text = "its name does not resolve"
        case aiohttp.ClientConnectorError() if _is_ours(error.os_error):
            return ServiceError(
                request.service,
                "its address is private; set allow_private for this connector if that is meant",
                retryable=False,
                billed=Billed.NO,
            )
        case TimeoutError():
            text = "did not answer in time" if connected else "did not connect in time"
        case _:
            text = "the connection was cut or the answer is no HTTP" if connected else "cannot be connected to"
    return ServiceError(request.service, text, retryable=True, billed=Billed.UNKNOWN if connected else Billed.NO)


def _is_ours(error: OSError) -> bool:
    """Whether our socket factory refused; the operating system's own refusals carry a number."""
    return isinstance(error, PermissionError) and error.errno is None


def _refuse(service: str, reason: str) -> NoReturn:
    raise ServiceError(service, reason, retryable=False, billed=Billed.NO)
