"""Streams under way: relayed as they come, ended when they must not go on, and counted whatever becomes of them.

Policy: a program that leaves does not stop the count: the stream is read to its end, within bounds, because only its
end says what it cost; what cannot be read to the end counts at the most that it can have come to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import anyio
import orjson
from starlette.types import Receive, Send

from aegis.core import eventstream
from aegis.core.calls import Usage
from aegis.core.errors import BadInput, ServiceError
from aegis.core.ports import Clock
from aegis.governor.reservation import Reservation
from aegis.transport.relay import Answer
from aegis.web.gateway.events import Passes
from aegis.web.gateway.refusals import Refusal, Shape, error_body
from aegis.web.gateway.routes import StreamReader

DRAIN_SECONDS: Final = 600
"""How long a stream is read that nobody listens to: as long as the vendors' own clients would have waited."""
STALLED_NS: Final = 60 * 1_000_000_000
"""A program that takes nothing for a minute has left without saying so."""
LEFT, STALLED = "left", "stalled"


class Drains:
    """Places for streams that nobody listens to any more."""

    def __init__(self, most: int) -> None:
        self.free = most


class Stream:
    """One stream on its way from an upstream to a program."""

    def __init__(self, reader: StreamReader, passing: Passes, clock: Clock) -> None:
        self._clock, self.reader, self._passing = clock, reader, passing
        self._relaying: asyncio.Task[object] | None = None
        self._cut = False
        self._sending_since_ns = 0
        self.why = ""
        """Why it was ended before its time: left, stalled, revoked, expired, stopped, budget."""
        self.failure: ServiceError | None = None

    def end(self, why: str) -> None:
        """End it now."""
        if not self.why:
            self.why = why
            if self._relaying is not None:
                self._cut = True
                self._relaying.cancel()

    def look(self) -> None:
        """Whether the program still takes what it is sent; asked a few times a second."""
        since = self._sending_since_ns
        if since and self._clock.monotonic_ns() - since > STALLED_NS:
            self.end(STALLED)

    async def relay(self, answer: Answer, receive: Receive, send: Send, progress: Callable[[], None]) -> None:
        """Pass the stream on until it or the program's patience ends. Never raises for either.

        A task that watches and a plain cancellation of our own: a task group and its scope cost as much as all the rest.
        """
        if self.why:
            return
        task = asyncio.current_task()
        assert task is not None, "a stream is relayed by a task"
        watch = asyncio.create_task(self._watch(receive))  # noqa: TID251 - it cannot fail, and ends with this block
        self._relaying = task
        try:
            await self._pump(answer, send, progress)
        except asyncio.CancelledError:
            if not self._cut or task.uncancel():
                raise  # somebody else's
        finally:
            self._relaying = None
            watch.cancel()

    async def _pump(self, answer: Answer, send: Send, progress: Callable[[], None]) -> None:
        try:
            while data := await answer.chunk():
                if out := self._passing.take(data):
                    self._sending_since_ns = self._clock.monotonic_ns()
                    await send({"type": "http.response.body", "body": out, "more_body": True})
                    self._sending_since_ns = 0
                progress()
            if rest := self._passing.rest():
                await send({"type": "http.response.body", "body": rest, "more_body": True})
        except ServiceError as error:
            self.failure = error

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.end(LEFT)

    async def drain(self, answer: Answer, drains: Drains) -> None:
        """Read on for the count alone, if there is a place."""
        if answer.complete or drains.free <= 0:
            return
        drains.free -= 1
        try:
            with anyio.move_on_after(DRAIN_SECONDS):
                while data := await answer.chunk():
                    self._passing.take(data)
                self._passing.rest()
        except ServiceError as error:
            self.failure = error
        finally:
            drains.free += 1

    def settle(self, reservation: Reservation) -> None:
        """Record what is known: the usage that the stream told, else the most that it can have come to."""
        if reservation.end:
            return
        try:
            used: Usage | None = self.reader.final() or self.reader.least(reservation.call.worst)
            if used is not None:
                reservation.settle(used)
        except BadInput:
            return  # what cannot be true counts at the worst case


def last_word(shape: Shape, route: str, refusal: Refusal, call_id: str) -> bytes:
    """The event that tells a program why its stream ended before its time, as its protocol has it."""
    body = error_body(shape, refusal, call_id)
    if shape == "bedrock":
        code = "throttlingException" if refusal.status == 429 else "modelStreamErrorException"
        head = {":message-type": "exception", ":exception-type": code, ":content-type": "application/json"}
        return eventstream.write(head, orjson.dumps(body))
    if shape == "anthropic":
        return b"event: error\ndata: " + orjson.dumps(body) + b"\n\n"
    if route == "responses":
        said = body["error"]
        event = {"type": "error", "code": said["code"], "message": said["message"], "param": None, "sequence_number": 0}
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
    return b"data: " + orjson.dumps(body) + b"\n\n"
