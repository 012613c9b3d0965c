"""One request to the gateway and its answer, on a connection: what uvicorn's own does for every application, at a
quarter of its cost.

Policy: an answer of known length leaves in one write; what an application says is checked as strictly as uvicorn does.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Final, Protocol

from starlette.types import ASGIApp, Message, Scope
from uvicorn.protocols.http.flow_control import FlowControl

_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_STATUS: Final = {code: b"HTTP/1.1 %d %b\r\n" % (code, _PHRASES.get(code, b"")) for code in range(200, 600)}
"""Vendors have statuses of their own, such as 529."""
_FORBIDDEN: Final = bytes({*range(32), 127} - {*b"\t\r\n"})
"""No header holds controls (RFC 9110 5.5)."""
AT_ONCE: Final = 32 * 1024
"""What is held at most until the end of the turn: half of what the connection buffers before it says stop."""
TOO_SLOW: Final = 408
"""Its connection is closed (RFC 9110 15.5.9): the rest of the body is not waited for."""
_FAILED: Final = b"Internal Server Error"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_GONE: Final = {"type": "http.disconnect"}


class Line(Protocol):
    """The connection, as an exchange needs it."""

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop

    def on_response_complete(self) -> None: ...


class Exchange:
    """A request under way; the names are those that uvicorn's protocol knows."""

    __slots__ = (
        "_chunked",
        "_flushing",
        "_held",
        "_left",
        "_line",
        "_news",
        "_scope",
        "_waiter",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
        "waits_for_continue",
    )

    def __init__(self, line: Line, scope: Scope, *, keep_alive: bool, waits_for_continue: bool) -> None:
        self._line, self._scope = line, scope
        self.keep_alive, self.waits_for_continue = keep_alive, waits_for_continue
        self.body, self.more_body = b"", True
        self.disconnected = self.response_started = self.response_complete = self._chunked = False
        self._news = self._flushing = False
        self._held, self._left = b"", 0
        self._waiter: asyncio.Future[None] | None = None

    # --- for the connection ------------------------------------------------------------------------------------

    @property
    def message_event(self) -> Exchange:
        """What is set when something came."""
        return self

    def set(self) -> None:
        """Something came: a piece of the body, its end, the end of the connection."""
        self._news = True
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def run_asgi(self, app: ASGIApp) -> None:
        """Let the application answer, whatever becomes of it."""
        try:
            await app(self._scope, self.receive, self.send)
        except Exception:
            logging.getLogger("uvicorn.error").exception("a request of the gateway failed in our own code")
            self._fail()
            return
        except BaseException:  # the server ends: whoever waits is cut off, and the end goes on
            self._fail()
            raise
        if not (self.response_complete or self.disconnected):
            logging.getLogger("uvicorn.error").error("a request of the gateway was left without a whole answer")
            self._fail()

    def _fail(self) -> None:
        transport = self._line.transport
        if not (self.response_started or self.disconnected or transport.is_closing()):
            head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            transport.write(_STATUS[500] + head % len(_FAILED) + _FAILED)
        self.response_complete = True
        transport.close()

    # --- ASGI ----------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """The next piece of the body, or that the client has left."""
        if self.waits_for_continue and not self._line.transport.is_closing():
            self._line.transport.write(_CONTINUE)
            self.waits_for_continue = False
        if not (self.disconnected or self.response_complete):
            if not self._news:
                self._line.flow.resume_reading()
                self._waiter = self._line.loop.create_future()
                await self._waiter
            self._news = False
        if self.disconnected or self.response_complete:
            return _GONE
        body, self.body = self.body, b""
        if self.more_body:
            self._line.flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """Say the head, then the body piece by piece. Raises `RuntimeError` for what is no answer in HTTP."""
        line = self._line
        if line.flow.write_paused and not self.disconnected:
            await line.flow.drain()
        if self.disconnected:
            return
        if self.response_started:
            self._body(message.get("body", b""), more=message.get("more_body", False))
            return
        self.response_started = True
        self.waits_for_continue = False
        head, length = self._head(message["status"], message["headers"])
        self._chunked, self._left = length is None, length or 0
        self._held = head  # a body of known length follows at once
        if self._chunked:
            self._soon()

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int | None]:
        """The head of the answer, and the length that it tells."""
        length: int | None = None
        if status == TOO_SLOW:
            self.keep_alive = False
        parts = [_STATUS[status]]
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            parts.append(b"%b: %b\r\n" % (name, value))
        if length is None:
            parts.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        head = b"".join(parts)
        ends, plain = len(parts), len(head.translate(None, _FORBIDDEN))
        if head.count(b"\n") != ends or head.count(b"\r") != ends or plain != len(head):
            self.response_started = False
            raise RuntimeError("Invalid HTTP header value.")
        return head + b"\r\n", length

    def _soon(self) -> None:
        """Write what is held when this turn of the loop is over: the head, the pieces and the end that came in it leave
        together.
        """
        if not self._flushing:
            self._flushing = True
            self._line.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        held, self._held = self._held, b""
        if held and not self.disconnected:
            self._line.transport.write(held)

    def _body(self, body: bytes, *, more: bool) -> None:
        if self.response_complete:
            raise RuntimeError("there is no more to say after the end of an answer")
        transport = self._line.transport
        if self._chunked:
            if body:
                self._held += b"%x\r\n%b\r\n" % (len(body), body)
            if not more:
                self._held += b"0\r\n\r\n"
                self._flush()
            elif len(self._held) >= AT_ONCE:
                self._flush()
            else:
                self._soon()
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("an answer is as long as it says")
            data, self._held = self._held + body, b""
            transport.write(data)
        if not more:
            self.response_complete = True
            self.set()
            if not self.keep_alive:
                transport.close()
            self._line.on_response_complete()
