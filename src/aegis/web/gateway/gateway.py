"""The gateway's path, on one screen: head -> key -> body -> bound -> upstream -> admit -> relay -> settle -> answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio
import orjson
from starlette.types import Receive, Scope, Send

from aegis.app.gateway import GatewayParts, Upstream
from aegis.app.keyring import Grant
from aegis.core.calls import Call
from aegis.core.errors import AegisError, BadInput, Billed, ServiceError
from aegis.core.metering.bounds import Bounded
from aegis.core.ports import Clock, NewId
from aegis.governor.governor import Governor
from aegis.governor.reservation import Reservation
from aegis.transport.relay import Answer
from aegis.web.gateway.asked import Asked, Bodies, read_json
from aegis.web.gateway.doorman import Doorman
from aegis.web.gateway.headers import down, told, up
from aegis.web.gateway.models import PATH as MODELS
from aegis.web.gateway.models import Models
from aegis.web.gateway.refusals import Head, Refusal, Shape, error_json, refusal_head, refusal_of
from aegis.web.gateway.routes import Route, route_of, shape_of
from aegis.web.gateway.standing import Standing
from aegis.web.gateway.streams import LEFT, STALLED, Drains, Stream, last_word

PASSED_STATUS: Final = frozenset({400, 404, 409, 413, 422, 429, 500, 503, 504, 529})
"""Failures that are the caller's to read; 401 and 403 are about the gateway's own key, which is nobody's business."""
ANSWER_SECONDS: Final = 60
"""A program that does not take an answer within a minute has left without saying so."""
WRITTEN_AT_ONCE: Final = 32 * 1024
"""Below the server's high-water mark (64 KiB) a write never waits."""
ENDED: Final = {
    "revoked": "this key was revoked",
    "expired": "this key expired",
    "stopped": "these calls were stopped",
    "budget": "the budget is used up",
}


class _Passed(Exception):
    """A failure of the upstream that the caller gets as it is."""

    def __init__(self, status: int, head: Head, body: bytes) -> None:
        super().__init__(status)
        self.status, self.head, self.body = status, head, body


class Gateway:
    """An ASGI application for everything under `/v1`."""

    def __init__(self, parts: GatewayParts, governor: Governor, *, clock: Clock, new_id: NewId) -> None:
        self._parts, self._governor, self._clock, self._new_id = parts, governor, clock, new_id
        self._doorman = Doorman(parts.keys, clock)
        self._room, self._drains = Bodies(), Drains(parts.settings.drains)
        self._models, self._standing = Models(parts, clock), Standing(governor, clock)
        self._streams: dict[Stream, Reservation] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shape: Shape = "openai"
        call_id = ""
        try:
            asked = Asked(scope)
            shape = shape_of(asked)
            if asked.path == MODELS or asked.path.startswith(MODELS + b"/"):
                await self._list(asked, shape, send)
                return
            route = route_of(asked)
            grant = self._doorman.admit(asked, route.name)
            self._doorman.take_turn(grant)
            call_id = self._new_id("call")
            grant.running += 1
            try:
                await self._governed(asked, route, grant, call_id, receive, send)
            finally:
                grant.running -= 1
        except _Passed as passed:
            await _answer(send, passed.status, passed.head, passed.body)
        except AegisError as error:
            refusal = refusal_of(error)
            head = refusal_head(refusal)
            if call_id:
                head.append((b"x-aegis-call", call_id.encode()))
            await _answer(send, refusal.status, head, error_json(shape, refusal, call_id))

    async def _list(self, asked: Asked, shape: Shape, send: Send) -> None:
        grant = self._doorman.admit(asked, "models")
        self._doorman.take_turn(grant)
        body = await self._models.answer(asked, shape, grant)
        await _answer(send, 200, [(b"content-type", b"application/json")], body)

    async def _governed(
        self, asked: Asked, route: Route, grant: Grant, call_id: str, receive: Receive, send: Send
    ) -> None:
        body = await read_json(asked, receive, self._room)
        bounded, upstream = self._bounded(body, route, grant)
        call = Call(
            id=call_id,
            service=upstream.service,
            operation=route.name,
            worst=bounded.worst,
            models=(bounded.model,),
            scope=grant.scope,
            attempt=asked.attempt(),
            tier=bounded.tier,
        )
        head = up(asked, route.shape, upstream.credential, stream=bounded.stream)
        path = asked.path + (b"?" + asked.query if asked.query else b"")
        failed: _Passed | None = None
        whole: tuple[Head, bytes] | None = None
        try:
            async with self._governor.admit(call) as reservation:
                self._standing.busy = True
                answer = await upstream.relay.send(b"POST", path, head, bounded.raw)
                if answer.status != 200:
                    failed = await _failed(answer, upstream)
                    raise _meaning(upstream.service, answer.status)
                if bounded.stream and route.stream is not None:
                    await self._stream(answer, reservation, route, bounded, grant, receive, send)
                else:
                    whole = await self._whole(answer, reservation, route, grant)
        except ServiceError:
            if failed is None:
                raise
            raise failed from None
        if whole is not None:  # sent when the call has ended: a program that takes its time holds no budget
            await _answer(send, 200, *whole)

    def _bounded(self, body: dict[str, Any], route: Route, grant: Grant) -> tuple[Bounded, Upstream]:
        """The request as it will be sent, and who is asked. Raises `Refusal` and `BadInput`."""
        model = body.get("model")
        upstream = self._parts.upstream(route.shape, model if isinstance(model, str) else "")
        if upstream is None:
            raise Refusal(404, f"no upstream is configured for {route.name}", code="no_upstream")
        settings = upstream.settings
        cap = grant.key.output_tokens or self._parts.settings.output_tokens
        bounded = route.bound(body, cap, settings.vendor, settings.allow_fields)
        if not grant.allows_model(bounded.model):
            raise Refusal(403, f"this key may not ask {bounded.model}", code="model_not_allowed")
        return bounded, upstream

    # --- answers -----------------------------------------------------------------------------------------------

    async def _whole(self, answer: Answer, reservation: Reservation, route: Route, grant: Grant) -> tuple[Head, bytes]:
        """An answer in one piece. It is read to its end also when the program has left: only then its cost is known."""
        body = await answer.read()
        if route.usage is None:
            reservation.settle({"requests": 1})
        else:
            _settle(reservation, route.usage, body)
        remaining = self._standing.remaining(reservation)
        said = told(reservation, remaining, cost=reservation.cost if reservation.end else reservation.worst)
        return [*down(answer), *said, *self._doorman.rate_head(grant)], body

    async def _stream(
        self,
        answer: Answer,
        reservation: Reservation,
        route: Route,
        bounded: Bounded,
        grant: Grant,
        receive: Receive,
        send: Send,
    ) -> None:
        assert route.stream is not None, "only streaming routes stream"
        stream = Stream(route, route.stream(bounded), hides=bounded.hides_usage, clock=self._clock)
        grant.watchers.add(stream.end)
        self._streams[stream] = reservation
        reservation.interrupted = partial(stream.end, "stopped")
        try:
            head = [
                *down(answer),
                *told(reservation, self._standing.remaining(reservation), cost=None),
                *self._doorman.rate_head(grant),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await stream.relay(answer, receive, send, self._shrinking(stream, reservation))
            if stream.why in (LEFT, STALLED):
                await stream.drain(answer, self._drains)
        finally:
            grant.watchers.discard(stream.end)
            del self._streams[stream]
            stream.settle(reservation)
            answer.abort()
        if stream.why not in (LEFT, STALLED):
            await self._end(stream, route, reservation, send)

    def _shrinking(self, stream: Stream, reservation: Reservation) -> Callable[[], None]:
        """What is done after each piece: once the stream has told its input, the hold is down to that."""
        shrunk = False

        def progress() -> None:
            nonlocal shrunk
            if not shrunk and (most := stream.reader.least(reservation.call.worst)) is not None:
                shrunk = True
                self._governor.shrink(reservation, most)

        return progress

    async def _end(self, stream: Stream, route: Route, reservation: Reservation, send: Send) -> None:
        last = b""
        if stream.why:
            why = Refusal(429, ENDED.get(stream.why, stream.why), code=stream.why)
            last = last_word(route.shape, route.name, why, reservation.call.id)
        elif stream.failure is not None:
            last = last_word(route.shape, route.name, refusal_of(stream.failure), reservation.call.id)
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def look(self) -> None:
        """Housekeeping, a few times a second: streams whose program takes nothing any more, or whose budget was lowered
        below what is spent, are ended. Raises `StoreError`.
        """
        for stream in tuple(self._streams):
            stream.look()
            self._standing.busy = True
        if await self._standing.turn():
            for stream, reservation in tuple(self._streams.items()):
                if self._standing.over(reservation):
                    stream.end("budget")


def _settle(reservation: Reservation, usage: Callable[[Any], Any], body: bytes) -> None:
    """Settle by what the answer says; what it does not say, or what cannot be true, counts at the worst case."""
    try:
        reservation.settle(usage(orjson.loads(body)))
    except (BadInput, orjson.JSONDecodeError):
        return


async def _failed(answer: Answer, upstream: Upstream) -> _Passed | None:
    """What the caller gets of a failure; None where it is about the gateway itself."""
    body = await answer.read()
    if answer.status not in PASSED_STATUS:
        return None
    credential = upstream.credential[1].removeprefix(b"Bearer ") if upstream.credential else b""
    if credential and credential in body:
        return None
    return _Passed(answer.status, down(answer), body)


def _meaning(service: str, status: int) -> ServiceError:
    """A refusal before any work is not billed, nor is an overload; after anything else nobody knows."""
    billed = Billed.NO if 400 <= status < 500 or status in (503, 529) else Billed.UNKNOWN
    passing = status in (408, 409, 425, 429) or status >= 500
    return ServiceError(service, f"answered {status}", retryable=passing, billed=billed, status=status)


async def _answer(send: Send, status: int, head: Head, body: bytes) -> None:
    """Send an answer; one who takes nothing of it for `ANSWER_SECONDS` has left."""
    head = [*head, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": head})
    if len(body) < WRITTEN_AT_ONCE:
        await send({"type": "http.response.body", "body": body})
        return
    with anyio.move_on_after(ANSWER_SECONDS):
        await send({"type": "http.response.body", "body": body})
