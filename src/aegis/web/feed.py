"""The live feed: what happens, kept in a short ring and pushed to every open page by server-sent events."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence

import anyio
import orjson
from anyio.streams.memory import MemoryObjectSendStream

from aegis.core.feed import FeedLine, feed_line
from aegis.core.telemetry import CallEnded, Happened

LINES_KEPT = 200
"""What a page that has just been opened is shown."""
WAITING_MAX = 500
"""A reader this far behind is dropped; its browser comes back by itself."""
READERS_MAX = 100
"""Open pages at the same time."""


class Feed:
    """An observer that turns records into lines and hands them to readers."""

    def __init__(self) -> None:
        self._kept: deque[FeedLine | CallEnded] = deque(maxlen=LINES_KEPT)
        self._readers: set[MemoryObjectSendStream[FeedLine]] = set()

    @property
    def lines(self) -> Sequence[FeedLine]:
        """What was kept, oldest first."""
        return [line for kept in self._kept if (line := feed_line(kept) if isinstance(kept, CallEnded) else kept)]

    def __call__(self, happened: Happened) -> None:
        if isinstance(happened, CallEnded) and not self._readers:  # thousands a second: written when they are read
            if happened.cost or happened.outcome in ("refused", "failed"):
                self._kept.append(happened)
            return
        line = feed_line(happened)
        if line is None:
            return
        self._kept.append(line)
        for reader in tuple(self._readers):
            try:
                reader.send_nowait(line)
            except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._readers.discard(reader)
                reader.close()

    @property
    def full(self) -> bool:
        """Whether one more reader would be too many."""
        return len(self._readers) >= READERS_MAX

    async def read(self, *, heartbeat_seconds: int = 15) -> AsyncIterator[bytes]:
        """Server-sent events: each new line as `data: {json}`, a comment every `heartbeat_seconds` to keep proxies open."""
        send, receive = anyio.create_memory_object_stream[FeedLine](WAITING_MAX)
        self._readers.add(send)
        try:
            yield b": open\n\n"
            while True:
                line: FeedLine | None = None
                with anyio.move_on_after(heartbeat_seconds):
                    try:
                        line = await receive.receive()
                    except anyio.EndOfStream:
                        return
                yield b": still here\n\n" if line is None else b"data: " + as_json(line) + b"\n\n"
        finally:
            self._readers.discard(send)
            send.close()
            receive.close()


def as_json(line: FeedLine) -> bytes:
    """A line as one line of JSON."""
    return orjson.dumps(
        {
            "at": line.at.isoformat().replace("+00:00", "Z"),
            "kind": line.kind,
            "tone": line.tone,
            "text": line.text,
            "incident": line.incident_id,
        }
    )
