"""Server-sent events as they pass: whole events are read for the usage, the rest goes through untouched.

An event ends with a blank line (WHATWG HTML, server-sent events); vendors write LF, some servers CRLF.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from aegis.core.errors import BadInput, Billed, ServiceError
from aegis.web.gateway.dialects import Events
from aegis.web.gateway.routes import StreamReader

EVENT_MAX: Final = 4 * 1024 * 1024
"""A longer event is passed on unread: the longest answer of a model is about half a megabyte."""
_END = re.compile(rb"\r\n\r\n|\n\n")


class Passes(Protocol):
    """What a stream's bytes go through on their way to the caller. Raises `ServiceError` where they cannot go on."""

    def take(self, data: bytes) -> bytes: ...
    def rest(self) -> bytes: ...


class Passing:
    """Takes a stream's bytes and gives back those that are for the caller."""

    __slots__ = ("_hides", "_marks", "_reader", "_tail")

    def __init__(self, reader: StreamReader, marks: re.Pattern[bytes] | None, *, hides: bool) -> None:
        self._reader, self._marks, self._hides = reader, marks, hides
        self._tail = b""

    def take(self, data: bytes) -> bytes:
        """The bytes to pass on now. What hides an event holds back the beginning of the next until it is whole."""
        whole = self._tail + data if self._tail else data
        plain, returned = whole.rfind(b"\n\n"), whole.rfind(b"\r\n\r\n")
        ends = max(plain + 2 if plain >= 0 else 0, returned + 4 if returned >= 0 else 0)
        events, self._tail = whole[:ends], whole[ends:]
        if len(self._tail) > EVENT_MAX:
            events, self._tail = whole, b""
        if not events:
            return b"" if self._hides else data
        if self._marks is not None and (first := self._marks.search(events)) is not None:
            events = self._read(events, self._marks, first.start())
        return events if self._hides else data

    def rest(self) -> bytes:
        """What is left at the end of the stream."""
        tail, self._tail = self._tail, b""
        if tail:
            self._reader.see(tail)
        return tail if self._hides else b""

    def _read(self, events: bytes, marks: re.Pattern[bytes], first: int) -> bytes:
        """Read every event that has a mark, the first of which stands at `first`; what is left without the hidden ones."""
        plain, returned = events.rfind(b"\n\n", 0, first), events.rfind(b"\r\n\r\n", 0, first)
        start = max(plain + 2 if plain >= 0 else 0, returned + 4 if returned >= 0 else 0)
        kept = [events[:start]]
        for end in _END.finditer(events, start):
            event = events[start : end.end()]
            start = end.end()
            if marks.search(event) is None or self._reader.see(event):
                kept.append(event)
        kept.append(events[start:])
        return b"".join(kept)


class Translating:
    """Takes a stream's bytes and gives back its events in the caller's dialect; `service` names the upstream in errors."""

    __slots__ = ("_events", "_reader", "_service", "_tail")

    def __init__(self, reader: StreamReader, events: Events, *, service: str) -> None:
        self._reader, self._events, self._service = reader, events, service
        self._tail = b""

    def take(self, data: bytes) -> bytes:
        """The bytes to pass on now. Raises `ServiceError` for events that nobody can read."""
        whole, start, out = self._tail + data, 0, []
        for end in _END.finditer(whole):
            event = whole[start : end.end()]
            start = end.end()
            self._reader.see(event)
            out.extend(self._said(event))
        self._tail = whole[start:]
        if len(self._tail) > EVENT_MAX:
            raise self._failure()
        return b"".join(out)

    def rest(self) -> bytes:
        """What is left at the end of the stream."""
        return self.take(b"\n\n") if self._tail else b""

    def _said(self, event: bytes) -> list[bytes]:
        try:
            return list(self._events.take(event))
        except BadInput:
            raise self._failure() from None

    def _failure(self) -> ServiceError:
        return ServiceError(self._service, "streamed what cannot be translated", retryable=False, billed=Billed.UNKNOWN)
