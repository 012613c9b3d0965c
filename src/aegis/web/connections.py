"""The server's side of a connection, hardened: a head has a length and a time, and one that is unclear is refused.

uvicorn parses and answers; what it does not bound is bounded here: heads that never end (it would keep them in memory)
and connections that never say anything (it would keep them for ever).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX: Final = 64 * 1024
"""Twice what the gateway takes of headers, so that it can say so; what is longer still gets no answer."""
HEAD_SECONDS: Final = 10
"""A head fits one packet; a client that needs longer is slow on purpose."""
_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with bounds on heads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loose = 0
        self._in_head = True
        self._body_seen = False
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, self._overdue)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head and self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._overdue)
        self._body_seen = False
        super().data_received(data)
        # Heads, trailers and chunk extensions are what the parser keeps without bound.
        self._loose = 0 if self._body_seen else self._loose + len(data)
        if self._loose > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._in_head, self._loose, self._body_seen = False, 0, True
        self._on_time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_seen = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._body_seen = True, True
        super().on_message_complete()

    def _overdue(self) -> None:
        self._late = None
        if self._in_head and not self.transport.is_closing():
            self.transport.close()

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
