"""Sends HTTP requests for every outside service: one attempt, bounded in size and time, to addresses that were checked.

https only but for loopback; no redirects, no cookies, no environment proxies, no hidden retry. Addresses, headers and
bodies never reach an error or a log: webhook addresses are secrets. See docs/decisions/0003-outbound-client.md.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

from aegis.core.addresses import is_loopback
from aegis.core.errors import Billed, ServiceError
from aegis.core.exchange import quota_left
from aegis.core.ports import Clock, HttpAnswer, HttpRequest
from aegis.core.telemetry import Observer, ServiceAnswered
from aegis.transport.came import Broken

if TYPE_CHECKING:
    from aegis.transport.came import Came
    from aegis.transport.wire import Wire
    from aegis.transport.wires import Place, Wires

PLACES_MAX: Final = 1_000
"""Origins that are remembered as checked; a configuration names a few dozen."""

NAMES_MAX: Final = 256
"""Sets of header names that are remembered as checked; every connector has a few."""

_ADDRESS_TEXT = re.compile(r"[\x21-\x7e]{1,8192}")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9._~-]+)?\]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""RFC 9110 5.6.2: what a method and the name of a header are made of."""
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"})
"""Headers that say where a request ends and what becomes of the connection: nobody but this module sets them."""
_BARE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods whose requests name no length when they have no body."""
_ENCODINGS_READ = ("", "identity", "gzip")


class OutboundHttp:
    """The `Http` port. `allow_private` names the hosts (of connectors configured so) that may stand on a private
    address; `tls` replaces the system's trusted authorities, `trust` does for single hosts (of connectors with a
    `ca_file`). `unix_socket` is a file that everything is sent to instead of an address: then a request's host is
    `localhost`.

    Call `close` in the end; it needs the same event loop as `send`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        observer: Observer,
        allow_private: Collection[str] = (),
        tls: ssl.SSLContext | None = None,
        trust: Mapping[str, ssl.SSLContext] | None = None,
        unix_socket: str = "",
    ) -> None:
        self._clock, self._observer, self._tls, self._unix_socket = clock, observer, tls, unix_socket
        self._allow_private = frozenset(host.rstrip(".").lower() for host in allow_private)
        self._trust = {host.rstrip(".").lower(): context for host, context in (trust or {}).items()}
        self._places: dict[str, tuple[Place, str]] = {}
        self._wires: Wires | None = None

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """One request, one answer, whatever its status. Raises `ServiceError` as the port says."""
        place, host, path = self._checked(request)
        sent = _request(request, host, path)
        began = self._clock.monotonic_ns()
        answer = await self._attempt(request, place, sent)
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
        wires, self._wires = self._wires, None
        if wires is not None:
            await wires.close()

    # --- what is asked -----------------------------------------------------------------------------------------

    def _checked(self, request: HttpRequest) -> tuple[Place, str, str]:
        """Where the request goes, the host as the request names it, and the path with its query."""
        url = request.url
        if not _ADDRESS_TEXT.fullmatch(url):
            _refuse(request.service, "its address holds blanks, controls or other letters that no address may hold")
        origin = _ORIGIN.match(url)
        if origin is None:
            _refuse(request.service, "its address cannot be read")
        known = self._places.get(origin[0])
        if known is None:
            known = self._place(request.service, origin[0])
            if len(self._places) >= PLACES_MAX:
                self._places.clear()
            self._places[origin[0]] = known
        path = url[origin.end() :].partition("#")[0]  # as given: a signature in the query must not be re-encoded
        return *known, path if path.startswith("/") else f"/{path}"

    def _place(self, service: str, origin: str) -> tuple[Place, str]:
        from aegis.transport.wires import Place

        authority = origin.partition("://")[2]
        if "@" in authority:
            _refuse(service, "its address holds a user name; give credentials as the connector's own settings")
        try:
            parts = urlsplit(origin)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            host, port = "", None
        name = authority[: authority.rindex(":")] if port is not None else authority.rstrip(":")
        if not host or not _HOST.fullmatch(name):
            _refuse(service, "its address cannot be read")
        loopback, secure = is_loopback(host), parts.scheme == "https"
        if not secure and not (parts.scheme == "http" and loopback):
            _refuse(service, f"{host} must be reached by https; plain http is for this machine only")
        if self._unix_socket and host != "localhost":
            _refuse(service, "only localhost stands behind a socket")
        usual = 443 if secure else 80
        place = Place(
            host=host,
            port=usual if port is None else port,
            secure=secure,
            reach="loopback" if loopback else "private" if host in self._allow_private else "public",
            socket=self._unix_socket,
        )
        return place, (name if place.port == usual else f"{name}:{place.port}").lower()

    # --- one attempt -------------------------------------------------------------------------------------------

    async def _attempt(self, request: HttpRequest, place: Place, sent: bytes) -> HttpAnswer | ServiceError:
        if self._wires is None:
            from aegis.transport.wires import Wires

            self._wires = Wires(self._tls, trust=self._trust)
        until = asyncio.get_running_loop().time() + request.timeout_ms / 1_000
        wire = self._wires.newest(place) or await self._opened(self._wires, request, place)
        if isinstance(wire, ServiceError):
            return wire
        limit, bodiless = request.answer_bytes_max, request.method == "HEAD"
        return _answered(request, await wire.exchange(sent, limit=limit, until=until, bodiless=bodiless))

    async def _opened(self, wires: Wires, request: HttpRequest, place: Place) -> Wire | ServiceError:
        """A new connection, or the library's error in our words: its texts hold addresses."""
        from aegis.transport.wires import PrivateAddressError, UnknownNameError

        try:
            async with asyncio.timeout(min(request.connect_timeout_ms, request.timeout_ms) / 1_000):
                return await wires.opened(place)
        except PrivateAddressError:
            text = "its address is private; set allow_private for this connector if that is meant"
            return ServiceError(request.service, text, retryable=False, billed=Billed.NO)
        except TimeoutError:
            text = "did not connect in time"
        except UnknownNameError:
            text = "its name does not resolve"
        except ssl.SSLCertVerificationError:
            text = "its certificate is not trusted"
        except ssl.SSLError:
            text = "the secure connection failed"
        except OSError:
            text = "cannot be connected to"
        return ServiceError(request.service, text, retryable=True, billed=Billed.NO)


def _request(request: HttpRequest, host: str, path: str) -> bytes:
    """The request as it is sent. Raises `ServiceError` for what no request may hold."""
    asked = {"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "aegis", **request.headers}
    if request.body or request.method not in _BARE:
        asked["Content-Length"] = str(len(request.body))
    lines = [
        f"{request.method} {path} HTTP/1.1",
        f"Host: {host}",
        *[f"{name}: {asked[name]}" for name in asked],
        "",
        "",
    ]
    head = "\r\n".join(lines)
    ends = len(lines) - 1
    clean = head.count("\n") == ends and head.count("\r") == ends and "\0" not in head
    if not clean or not _may_be_named(request.method, *request.headers):
        _refuse(request.service, "a header or the method cannot be sent")
    return head.encode() + request.body


@lru_cache(NAMES_MAX)
def _may_be_named(method: str, *headers: str) -> bool:
    """Whether a method and the names of headers are such that a request may hold them."""
    return all(map(_TOKEN.fullmatch, (method, *headers))) and _OURS.isdisjoint(map(str.lower, headers))


def _answered(request: HttpRequest, came: Came | Broken) -> HttpAnswer | ServiceError:
    """The answer with its body inflated, or why there is none."""
    if isinstance(came, Broken):
        return _unknown(request, came.why)
    limit, body = request.answer_bytes_max, came.body
    encoding = came.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS_READ:
        return _unknown(request, "answered in an encoding that was not asked for")
    if encoding == "gzip" and body:
        inflater = zlib.decompressobj(wbits=31)
        try:
            body = inflater.decompress(body, limit + 1)
        except zlib.error:
            return _unknown(request, "answered with broken gzip")
        if len(body) > limit:
            return _unknown(request, f"answered with more than {limit} bytes")
        if not inflater.eof:
            return _unknown(request, "answered with half a gzip")
    return HttpAnswer(status=came.status, headers=came.headers, body=body)


def _unknown(request: HttpRequest, text: str) -> ServiceError:
    """After the request was sent nobody knows whether it was taken."""
    return ServiceError(request.service, text, retryable=True, billed=Billed.UNKNOWN)


def _refuse(service: str, reason: str) -> NoReturn:
    raise ServiceError(service, reason, retryable=False, billed=Billed.NO)
