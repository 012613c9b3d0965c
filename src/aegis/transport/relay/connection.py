"""One connection to an upstream and the exchange that runs on it: bounded head, bounded buffer, no second answer.

Policy: whatever is unclear about where an answer ends (both lengths told, more data than asked for, a cut in the
middle) ends the connection, so that no byte of one answer is ever read as another's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import httptools

from aegis.core.errors import Billed, ServiceError

Headers = list[tuple[bytes, bytes]]
_CODING: Final = b"transfer-encoding"
_LENGTHS: Final = (b"content-length", _CODING)
INTERIM_MAX: Final = 8
"""Answers like `100 Continue` before the real one; a vendor sends one at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one upstream.

    `first_byte_ms` is what the vendors' own clients wait for an answer to begin; `quiet_ms` is how long a stream may
    be silent (they send pings every 15 s or so); `idle_ms` lies below the 15 s and more that the vendors' front ends
    keep an idle connection.
    """

    connections_max: int = 512
    waiting_max: int = 1_000
    connect_ms: int = 5_000
    first_byte_ms: int = 600_000
    quiet_ms: int = 120_000
    idle_ms: int = 10_000
    head_bytes_max: int = 64 * 1024
    headers_max: int = 128
    answer_bytes_max: int = 64 * 1024 * 1024
    buffer_bytes: int = 256 * 1024


class Answer:
    """An answer under way. Header names are lower case. Read it to its end or `abort` it."""

    __slots__ = ("_buffered", "_chunks", "_connection", "_waiter", "complete", "error", "headers", "status")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0
        self.headers: Headers = []
        self.complete = False
        self.error: ServiceError | None = None

    def header(self, name: bytes) -> bytes:
        """The value of a header, empty where there is none."""
        return next((value for key, value in self.headers if key == name), b"")

    async def chunk(self) -> bytes:
        """What has come since the last call, or what comes next; empty at the end. Raises `ServiceError`."""
        while not self._chunks:
            if self.error is not None:
                raise self.error
            if self.complete:
                return b""
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        taken = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        self._connection.flow()
        return taken

    async def read(self) -> bytes:
        """The whole body. Raises `ServiceError`, also for one beyond the bound."""
        parts: list[bytes] = []
        size = 0
        while part := await self.chunk():
            size += len(part)
            if size > self._connection.limits.answer_bytes_max:
                self.abort()
                raise self._connection.failure("answered with more than the bound of a body")
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def abort(self) -> None:
        """Stop at once: the connection is closed, which is how an upstream learns that nobody listens."""
        if not self.complete:
            self._connection.abort()

    # --- for the connection ------------------------------------------------------------------------------------

    def add(self, data: bytes) -> bool:
        """Take a piece of the body; whether the buffer is full."""
        self._chunks.append(data)
        self._buffered += len(data)
        self.wake()
        return self._buffered > self._connection.limits.buffer_bytes

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """A keep-alive connection; at most one exchange at a time. `freed` hears when it can be used again or is gone."""

    def __init__(
        self,
        service: str,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        freed: Callable[[Connection], None],
    ) -> None:
        self.limits, self.loop = limits, loop
        self._service, self._freed = service, freed
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._head: asyncio.Future[None] | None = None
        self._headers: Headers = []
        self._lengths: Headers = []
        self._interim = self._loose = 0
        self._final = self._streaming = self._paused = self._sized = self._body_seen = False
        self._timer: asyncio.TimerHandle | None = None
        self._active = self._rings = 0.0
        self.idle_since = 0.0

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and return when the head of its answer is here. Raises `ServiceError`."""
        assert self._transport is not None, "a connection is used after it was made"
        answer = self._answer = Answer(self)
        self._head = self.loop.create_future()
        self._interim = self._loose = 0
        self._final = self._streaming = False
        self._active = self.loop.time()
        if self._timer is None:  # one that runs on from an earlier exchange rings in time, looks, and is set anew
            self._ring(self.limits.first_byte_ms / 1_000)
        self._transport.write(request)
        try:
            await self._head
        except BaseException:
            self.abort()
            raise
        return answer

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end_timer()

    def flow(self) -> None:
        """The buffer was emptied: go on reading."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._active = self.loop.time()
            self._transport.resume_reading()

    def failure(self, text: str) -> ServiceError:
        """What went wrong after the request was sent: nobody knows whether it was billed."""
        return ServiceError(self._service, text, retryable=True, billed=Billed.UNKNOWN)

    # --- asyncio.Protocol --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.abort()  # nobody asked: whatever it is, it must not be taken for the next answer
            return
        self._active = self.loop.time()
        self._body_seen = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("answered with what is no HTTP")
            return
        if self._body_seen or self._answer is None:
            self._loose = 0
        else:
            self._loose += len(data)  # heads, trailers and chunk extensions, which the parser would keep without bound
            if self._loose > self.limits.head_bytes_max:
                self._fail("answered with a head beyond the bound")
        if self._final and not self._streaming and self._answer is not None:
            self._streaming = True  # it began and goes on: from here it may not fall silent
            if self._rings > self._active + self.limits.quiet_ms / 1_000:
                self._end_timer()
                self._overdue()

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._end_timer()
        answer = self._answer
        if answer is not None:
            if self._final and not self._sized:
                self._complete(answer)  # an answer without a length ends with its connection (RFC 9112 6.3)
            else:
                self._fail("the connection was cut in the middle of an answer")
        self._freed(self)

    # --- the parser's calls ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers, self._lengths = [], []
        if self._final:
            self._fail("answered twice")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._final:
            return  # trailers
        if len(self._headers) >= self.limits.headers_max:
            self._fail("answered with more headers than the bound")
            return
        name = name.lower()
        if name in _LENGTHS:
            self._lengths.append((name, value))
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._interim += 1
            if self._interim > INTERIM_MAX or status == 101:
                self._fail("answered with what is no answer")
            return
        if self._answer is None:
            return
        lengths = self._lengths
        if len(lengths) > 1 or (lengths and lengths[0][0] == _CODING and lengths[0][1].lower() != b"chunked"):
            self._fail("answered with two lengths")
            return
        self._final, self._sized = True, bool(lengths) or status in (204, 304)
        self._answer.status, self._answer.headers = status, self._headers
        if self._head is not None and not self._head.done():
            self._head.set_result(None)

    def on_body(self, data: bytes) -> None:
        self._body_seen = True
        if self._answer is not None and self._answer.add(data) and self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if not self._final or self._answer is None:
            return
        answer, keep = self._answer, self._parser.should_keep_alive() and self._sized
        self._complete(answer)
        if self._paused:
            self.flow()
        if keep and self.open:
            self.idle_since = self.loop.time()
            self._freed(self)
        elif self._transport is not None:
            self._transport.close()

    # --- ends --------------------------------------------------------------------------------------------------

    def _complete(self, answer: Answer) -> None:
        self._answer, answer.complete = None, True
        answer.wake()

    def _fail(self, text: str) -> None:
        answer, self._answer = self._answer, None
        self._end_timer()
        if answer is not None and not answer.complete:
            answer.error = self.failure(text)
            answer.wake()
            if self._head is not None and not self._head.done():
                self._head.set_exception(answer.error)
        if self._transport is not None:
            self._transport.abort()

    def _overdue(self) -> None:
        """Look whether the upstream is late; a reader who is slow himself does not make it late."""
        self._timer = None
        if self._answer is None:
            return
        allowed = (self.limits.quiet_ms if self._final else self.limits.first_byte_ms) / 1_000
        left = allowed if self._paused else self._active + allowed - self.loop.time()
        if left <= 0:
            self._fail("did not go on in time" if self._final else "did not answer in time")
        else:
            self._ring(left)

    def _ring(self, seconds: float) -> None:
        self._rings = self.loop.time() + seconds
        self._timer = self.loop.call_later(seconds, self._overdue)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
