"""Connections to one upstream: kept alive, bounded in number, handed out newest first.

Policy: the address is the configuration's, never a caller's; what a name resolves to is checked before it is connected
to (public, this machine, or private where the configuration says so). A request is sent once and never again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from aegis.core.addresses import is_loopback, is_public_address
from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.transport.relay.connection import Answer, Connection, Headers, Limits

HEADS_MAX: Final = 256
"""Heads of requests that are remembered: those of one upstream differ in little but the length."""
ADDRESSES_MAX: Final = 4
"""Of the addresses that a name has; each is given its share of the time to connect."""


class Relay:
    """One upstream: `base_url` as configured (its path is put before every request's). `service` names it in errors.

    Raises `ConfigError` for an address that may not be asked. Use it from one event loop; `close` in the end.
    """

    def __init__(
        self,
        base_url: str,
        *,
        service: str,
        limits: Limits | None = None,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        if parts.scheme not in ("https", "http") or not host or parts.query or parts.username is not None:
            raise ConfigError(f"{service}: its address must be https://HOST/PATH")
        self._loopback = is_loopback(host)
        if parts.scheme == "http" and not (self._loopback or allow_private):
            raise ConfigError(f"{service}: plain http is for this machine only")
        self.service, self.limits = service, limits or Limits()
        self._host, self._port = host, parts.port or (443 if parts.scheme == "https" else 80)
        self._path = parts.path.rstrip("/").encode()
        self._authority = parts.netloc.encode()
        self._allow_private = allow_private
        self._secure, self._tls = parts.scheme == "https", tls
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._heads: dict[tuple[object, ...], bytes] = {}

    @property
    def connections(self) -> int:
        """Open and opening."""
        return len(self._all) + self._opening

    @property
    def busy(self) -> bool:
        """Whether anybody is at it: an exchange is under way, or somebody waits for a connection."""
        return self.connections > len(self._idle) or bool(self._waiting)

    async def send(self, method: bytes, path: bytes, headers: Headers, body: bytes = b"") -> Answer:
        """One request, once; returns when the head of its answer is here. Raises `ServiceError`: `billed` is no where
        nothing was sent, else unknown. Cancelling closes the connection at once.
        """
        asked = (method, path, *headers)
        head = self._heads.get(asked)
        if head is None:
            head = self._head(method, path, headers)
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            self._heads[asked] = head
        if body or method != b"GET":
            head = b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)
        else:
            head += b"\r\n"
        connection = self._newest() or await self._connection()
        return await connection.exchange(head)

    async def close(self) -> None:
        """Close every connection; exchanges under way fail."""
        self._closed = True
        for connection in tuple(self._all):
            connection.abort()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _head(self, method: bytes, path: bytes, headers: Headers) -> bytes:
        """The lines of a request's head but its length and end."""
        lines = [b"%b %b%b HTTP/1.1\r\nhost: %b\r\n" % (method, self._path, path, self._authority)]
        lines += [b"%b: %b\r\n" % pair for pair in headers]
        head = b"".join(lines)
        ends = len(lines) + 1  # the first entry is two lines
        if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head or b" " in path:
            raise self._unsent("a header or path cannot be sent", retryable=False)
        return head

    # --- connections -------------------------------------------------------------------------------------------

    async def _connection(self) -> Connection:
        """An idle connection, a new one, or the next that is freed."""
        while True:
            if self._closed:
                raise self._unsent("the gateway stops", retryable=True)
            if (found := self._newest()) is not None:
                return found
            if self.connections < self.limits.connections_max:
                return await self._connect()
            await self._wait()

    def _newest(self) -> Connection | None:
        if self._closed:
            return None
        while self._idle:
            connection = self._idle.pop()
            if connection.open and connection.loop.time() - connection.idle_since < self.limits.idle_ms / 1_000:
                return connection
            connection.abort()
        return None

    async def _wait(self) -> None:
        if len(self._waiting) >= self.limits.waiting_max:
            raise self._unsent("its connections are all in use", retryable=True)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self.limits.connect_ms / 1_000):
                await waiter
        except TimeoutError:
            raise self._unsent("its connections are all in use", retryable=True) from None
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiter)

    async def _connect(self) -> Connection:
        self._opening += 1
        try:
            async with asyncio.timeout(self.limits.connect_ms / 1_000):
                return await self._connected(await self._addresses())
        except TimeoutError:
            raise self._unsent("did not connect in time", retryable=True) from None
        except ssl.SSLCertVerificationError:
            raise self._unsent("its certificate is not trusted", retryable=False) from None
        except ssl.SSLError:
            raise self._unsent("the secure connection failed", retryable=True) from None
        except OSError:
            raise self._unsent("cannot be connected to", retryable=True) from None
        finally:
            self._opening -= 1
            self._next()

    async def _connected(self, addresses: Sequence[str]) -> Connection:
        loop = asyncio.get_running_loop()
        context = self._context() if self._secure else None
        for number, address in enumerate(addresses):
            made = Connection(self.service, self.limits, loop, self._freed)
            try:
                await loop.create_connection(
                    lambda made=made: made,
                    address,
                    self._port,
                    ssl=context,
                    server_hostname=self._host if context else None,
                )
            except OSError:
                if number == len(addresses) - 1:
                    raise
                continue
            self._all.add(made)
            return made
        raise AssertionError("there is always an address")

    async def _addresses(self) -> Sequence[str]:
        """What the name resolves to, as far as it may be connected to. What is checked is what is connected to."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=1)
        except OSError:
            raise self._unsent("its name does not resolve", retryable=True) from None
        allowed = is_loopback if self._loopback else (bool if self._allow_private else is_public_address)
        addresses = [str(info[4][0]) for info in found if allowed(str(info[4][0]))][:ADDRESSES_MAX]
        if not addresses:
            raise self._unsent("its address is private; set allow_private if that is meant", retryable=False)
        return addresses

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._tls

    def _freed(self, connection: Connection) -> None:
        if connection.open:
            self._idle.append(connection)
        else:
            self._all.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
        self._next()

    def _next(self) -> None:
        """Wake the first who waits: there may be room now."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _unsent(self, text: str, *, retryable: bool) -> ServiceError:
        return ServiceError(self.service, text, retryable=retryable, billed=Billed.NO)
