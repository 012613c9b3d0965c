"""One connection to a service: a request goes out, and its whole answer comes back within bounds of size and time.

Policy: whatever is unclear about where an answer ends (two lengths, more than was asked for, a cut in the middle) ends
the connection, so that no byte of one answer is ever read as another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

from aegis.transport.came import Broken, Came

HEAD_BYTES_MAX: Final = 64 * 1024
"""Of everything that comes in a row without a byte of a body: heads, trailers, chunk extensions."""
HEADERS_MAX: Final = 128
INTERIM_MAX: Final = 8
"""Answers like `100 Continue` before the real one; a vendor sends one at most."""
NO_HTTP: Final = "the connection was cut or the answer is no HTTP"
LATE: Final = "did not answer in time"


class Wire(asyncio.Protocol):
    """A keep-alive connection; at most one exchange at a time. `freed` hears when it can be used again, `gone` when it
    never can.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, freed: Callable[[Wire], None], gone: Callable[[Wire], None]
    ) -> None:
        self._loop, self._freed, self._gone = loop, freed, gone
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._end: asyncio.Future[Came | Broken] | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._limit = self._interim = self._loose = self._status = self._many = 0
        self._final = self._sized = self._bodiless = self._body_seen = False
        self.idle_since = 0.0

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, sent: bytes, *, limit: int, until: float, bodiless: bool = False) -> Came | Broken:
        """Send a request; its answer's body is at most `limit` bytes and whole before `until` on the loop's clock.
        `bodiless`: the answer has a head only, whatever length it names. Cancelling closes the connection at once.
        """
        assert self._transport is not None, "a connection is used after it was made"
        assert self._end is None, "one exchange at a time"
        end: asyncio.Future[Came | Broken] = self._loop.create_future()
        self._end = end
        self._limit, self._bodiless = limit, bodiless
        self._interim = self._loose = 0
        self._final, self._body = False, bytearray()
        timer = self._loop.call_at(until, self._fail, LATE)
        try:
            self._transport.write(sent)
            return await end
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            timer.cancel()

    def abort(self) -> None:
        """Close at once."""
        self._end = None
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._end is None:
            self.abort()  # nobody asked: whatever it is, it must not be taken for the next answer
            return
        self._body_seen = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(NO_HTTP)
            return
        self._loose = 0 if self._body_seen else self._loose + len(data)
        if self._loose > HEAD_BYTES_MAX and self._end is not None:
            self._fail("answered with a head beyond the bound")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._gone(self)
        if self._end is None:
            return
        if self._final and not self._sized and error is None:
            self._complete()  # an answer without a length ends with its connection (RFC 9112 6.3)
        else:
            self._fail(NO_HTTP)

    # --- the parser's calls ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers, self._many = {}, 0
        if self._final:
            self._fail(NO_HTTP)  # it answered twice

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._final:
            return  # trailers
        self._many += 1
        if self._many > HEADERS_MAX:
            self._fail("answered with more headers than the bound")
            return
        key = name.lower().decode("latin-1")
        if key in ("content-length", "transfer-encoding") and key in self._headers:
            self._fail(NO_HTTP)  # two lengths
        self._headers[key] = value.decode("utf-8", "surrogateescape")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._interim += 1
            if self._interim > INTERIM_MAX or status == 101:
                self._fail(NO_HTTP)
            return
        if self._end is None:
            return
        length, coding = self._headers.get("content-length"), self._headers.get("transfer-encoding")
        if coding is not None and (length is not None or coding.lower() != "chunked"):
            self._fail(NO_HTTP)
            return
        self._final, self._status = True, status
        self._sized = length is not None or coding is not None or status in (204, 304)
        if self._bodiless:
            self._complete()
            self.abort()  # the parser would wait for the body that the head names

    def on_body(self, data: bytes) -> None:
        self._body_seen = True
        if self._end is None:
            return
        self._body += data
        if len(self._body) > self._limit:
            self._fail(f"answered with more than {self._limit} bytes")

    def on_message_complete(self) -> None:
        if not self._final or self._end is None:
            return
        keep = self._parser.should_keep_alive() and self._sized
        self._complete()
        transport = self._transport
        if transport is None:
            return
        if keep and not transport.is_closing() and not transport.get_write_buffer_size():
            self.idle_since = self._loop.time()
            self._freed(self)
        else:
            transport.close()

    # --- ends --------------------------------------------------------------------------------------------------

    def _complete(self) -> None:
        self._answer(Came(self._status, self._headers, bytes(self._body)))

    def _fail(self, why: str) -> None:
        self._answer(Broken(why))
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, answer: Came | Broken) -> None:
        end, self._end = self._end, None
        if end is not None and not end.done():
            end.set_result(answer)
