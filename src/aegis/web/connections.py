"""The server's side of a connection, hardened: a head has a length and a time, and one that is unclear is refused.

uvicorn parses and answers; what it does not bound is bounded here: heads that never end (it would keep them in memory)
and connections that never say anything (it would keep them for ever). What is posted to the gateway is answered through
an `Exchange`, which does the same for less (docs/decisions/0010-gateway-wire.md).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aegis.web.exchange import Exchange

HEAD_BYTES_MAX: Final = 64 * 1024
"""Twice what the gateway takes of headers, so that it can say so; what is longer still gets no answer."""
HEAD_SECONDS: Final = 10
"""A head fits one packet; a client that needs longer is slow on purpose."""
GATEWAYS: Final = (b"/v1", b"/model/")
"""Where the paths of the gateway begin."""
_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with bounds on heads, and a short way for the gateway.

    Timers are not set and cleared for every request: one that rings looks whether it was meant.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gateway: ASGIApp | None = getattr(self.config.app, "gateway", None)
        self._loose = 0
        self._in_head = True
        self._begun = self._body_seen = False
        self._idle_since = 0.0
        self._late: asyncio.TimerHandle | None = None
        self._expired: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, self._overdue)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_time()
        if self._expired is not None:
            self._expired.cancel()
            self._expired = None
        super().connection_lost(exc)
        # Nothing in a ring: what belongs to a connection goes with it, and not when the collector next looks.
        self.cycle = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._body_seen = False
        super().data_received(data)
        # Heads, trailers and chunk extensions are what the parser keeps without bound.
        if self._body_seen:
            self._loose = 0
        else:
            self._loose += len(data)
            if self._loose > HEAD_BYTES_MAX and not self.transport.is_closing():
                self.transport.write(_TOO_LONG)
                self.transport.close()
        if self._begun and self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._overdue)

    # --- the parser's calls ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._begun = True
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        self._in_head, self._begun, self._loose, self._body_seen = False, False, 0, True
        self._on_time()
        parser = self.parser
        if (
            self._gateway is not None
            and self.url.startswith(GATEWAYS)
            and parser.get_method() == b"POST"
            and not parser.should_upgrade()
            and len(self.tasks) < (self.limit_concurrency or 0) > len(self.connections)
        ):
            keep_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
            self._to_gateway(self._gateway, keep_alive=keep_alive)
            return
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers = self.scope["headers"] = headers
        super().on_headers_complete()

    def _to_gateway(self, gateway: ASGIApp, *, keep_alive: bool) -> None:
        path, _, query = self.url.partition(b"?")
        scope = {
            "type": "http",
            "method": "POST",
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
            "client": self.client,
        }
        before: Any = self.cycle
        exchange: Any = Exchange(self, scope, keep_alive=keep_alive, waits_for_continue=self.expect_100_continue)
        self.cycle = exchange
        if before is None or before.response_complete:
            self._start_asgi_task(exchange, gateway)  # type: ignore[arg-type]
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, gateway))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        self._body_seen = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._body_seen = True, True
        super().on_message_complete()

    # --- ends --------------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle_since = self.loop.time()
        if self._expired is None:
            self._expired = self.loop.call_later(self.timeout_keep_alive, self._idle)

    def _idle(self) -> None:
        """Close what nobody uses; look again later where somebody does."""
        self._expired = None
        if self.transport.is_closing() or self._begun or not self.cycle.response_complete:
            return  # the end of the answer sets it again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._expired = self.loop.call_later(left, self._idle)

    def _overdue(self) -> None:
        self._late = None
        if self._in_head and not self.transport.is_closing():
            self.transport.close()

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
