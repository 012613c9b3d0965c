"""The gateway's path, on one screen: head -> key -> body -> bound -> upstream -> admit -> relay -> settle -> answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import anyio
import orjson
from starlette.types import Receive, Scope, Send

from aegis.app.gateway import GatewayParts
from aegis.core.errors import AegisError, BadInput, Billed, Refused, ServiceError
from aegis.core.money import Nanos, format_usd
from aegis.core.ports import Clock, NewId
from aegis.governor.governor import Governor
from aegis.governor.reservation import Reservation
from aegis.transport.relay import Answer
from aegis.web.gateway.asked import BODY_SECONDS, Asked, Bodies, read_json
from aegis.web.gateway.candidates import Candidate, Work, candidates, leading
from aegis.web.gateway.dialects import Dialect
from aegis.web.gateway.doorman import Doorman
from aegis.web.gateway.events import Passing, Translating
from aegis.web.gateway.frames import Frames
from aegis.web.gateway.headers import down, told, up
from aegis.web.gateway.models import PATH as MODELS
from aegis.web.gateway.models import Models
from aegis.web.gateway.refusals import (
    PASSED_STATUS,
    Head,
    Refusal,
    Shape,
    error_json,
    refusal_head,
    refusal_of,
    refusal_status,
)
from aegis.web.gateway.routes import Route, model_in_path, route_of, shape_of
from aegis.web.gateway.standing import Standing
from aegis.web.gateway.stored import STORED, Stored
from aegis.web.gateway.streams import LEFT, STALLED, Drains, Stream, last_word

THE_CALLERS: Final = frozenset({400, 413, 422})
"""Failures that are about the request itself: no other model would take it."""
MESSAGE_MAX: Final = 2_000
"""Of a vendor's refusal, where it is said in the other dialect."""
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
    """An ASGI application for everything under `/v1`; `body_seconds` is how long a body may take to come."""

    def __init__(
        self,
        parts: GatewayParts,
        governor: Governor,
        *,
        clock: Clock,
        new_id: NewId,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._parts, self._governor, self._clock, self._new_id = parts, governor, clock, new_id
        self._doorman = Doorman(parts.keys, clock)
        self._room, self._drains = Bodies(body_seconds), Drains(parts.settings.drains)
        self._models, self._standing = Models(parts, clock), Standing(governor, clock)
        self._streams: dict[Stream, Reservation] = {}
        self._stored = Stored(parts, governor, room=self._room, clock=clock, new_id=new_id)
        self.looks = self._stored.looks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shape: Shape = "openai"
        work: Work | None = None
        try:
            asked = Asked(scope)
            shape = shape_of(asked)
            if asked.path == MODELS or asked.path.startswith(MODELS + b"/"):
                await self._list(asked, shape, send)
                return
            if asked.path.startswith(STORED):
                await self._stored.serve(asked, receive, send)
                return
            route = route_of(asked)
            grant = self._doorman.admit(asked, route.name)
            self._doorman.take_turn(grant)
            work = Work(self._new_id("call"), asked, route, grant)
            grant.running += 1
            try:
                work.body = await read_json(asked, receive, self._room) | model_in_path(asked)
                work.chain = candidates(self._parts, work)
                await self._governed(work, receive, send)
            finally:
                grant.running -= 1
        except _Passed as passed:
            await _answer(send, passed.status, [*passed.head, *_told_of(work)], passed.body)
        except AegisError as error:
            refusal = refusal_of(error)
            head = [*refusal_head(shape, refusal), *_told_of(work)]
            await _answer(
                send, refusal_status(shape, refusal), head, error_json(shape, refusal, work.id if work else "")
            )

    async def _list(self, asked: Asked, shape: Shape, send: Send) -> None:
        grant = self._doorman.admit(asked, "models")
        self._doorman.take_turn(grant)
        body = await self._models.answer(asked, shape, grant)
        await _answer(send, 200, [(b"content-type", b"application/json")], body)

    async def _governed(self, work: Work, receive: Receive, send: Send) -> None:
        """Each candidate's upstream in turn, until one answers. What begins to be sent is never begun again."""
        rest: Sequence[Candidate] = work.chain
        while True:
            run = leading(rest)
            try:
                whole = await self._attempt(work, run, receive, send)
                break
            except (Refused, ServiceError, _Passed) as error:
                rest = rest[len(run) if isinstance(error, Refused) else rest.index(work.chosen) + 1 :]
                if not rest or (isinstance(error, _Passed) and error.status in THE_CALLERS):
                    raise
        if whole is not None:  # sent when the call has ended: a program that takes its time holds no budget
            await _answer(send, 200, *whole)

    async def _attempt(
        self, work: Work, run: Sequence[Candidate], receive: Receive, send: Send
    ) -> tuple[Head, bytes] | None:
        """One reservation and one request; the answer, or None where it was streamed."""
        call = work.call(run)
        failed: _Passed | None = None
        reservation: Reservation | None = None
        try:
            async with self._governor.admit(call) as reservation:
                self._standing.busy = True
                one = work.choose(run, reservation.model)
                if reservation.cached is not None:
                    head = self._told(reservation, work, cost=work.spent)
                    return [(b"content-type", b"application/json"), *head], reservation.cached
                upstream, bounded = one.upstream, one.bounded
                head = up(work.asked, one.served.shape, upstream.credential, stream=bounded.stream)
                if upstream.signer is not None:
                    head += upstream.signer.sign(one.path, bounded.raw, self._clock.now())
                answer = await upstream.relay.send(b"POST", one.path, head, bounded.raw)
                if answer.status != 200:
                    failed = await _failed(answer, one, work)
                    raise _meaning(upstream.service, answer.status)
                if bounded.stream and one.served.stream is not None:
                    await self._stream(answer, reservation, work, receive, send)
                    return None
                return await self._whole(answer, reservation, work)
        except ServiceError:
            if failed is None:
                raise
            raise failed from None
        finally:
            work.spent += reservation.cost if reservation is not None else 0

    # --- answers -----------------------------------------------------------------------------------------------

    async def _whole(self, answer: Answer, reservation: Reservation, work: Work) -> tuple[Head, bytes]:
        """An answer in one piece. It is read to its end also when the program has left: only then its cost is known."""
        body = await answer.read()
        usage, dialect = work.chosen.served.usage, work.chosen.dialect
        if usage is None:
            reservation.settle({"requests": 1})
        else:
            _settle(reservation, usage, body)
        if dialect is not None:
            body = _translated(body, dialect, self._now(), work.body)
        if reservation.key and reservation.end == "settled":
            reservation.answer = body  # what the next one is given who asks the same with the same key
        cost = reservation.cost if reservation.end else reservation.worst
        return [*down(answer), *self._told(reservation, work, cost=work.spent + cost)], body

    def _told(self, reservation: Reservation, work: Work, *, cost: Nanos | None) -> Head:
        said = told(reservation, self._standing.remaining(reservation), cost=cost, before=work.spent)
        return [*said, *work.said(), *self._doorman.rate_head(work.grant)]

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    async def _stream(
        self,
        answer: Answer,
        reservation: Reservation,
        work: Work,
        receive: Receive,
        send: Send,
    ) -> None:
        stream = self._made(work)
        work.grant.watchers.add(stream.end)
        self._streams[stream] = reservation
        reservation.interrupted = partial(stream.end, "stopped")
        try:
            head = [*down(answer), *self._told(reservation, work, cost=None)]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await stream.relay(answer, receive, send, self._shrinking(stream, reservation))
            if stream.why in (LEFT, STALLED):
                await stream.drain(answer, self._drains)
        finally:
            work.grant.watchers.discard(stream.end)
            del self._streams[stream]
            stream.settle(reservation)
            answer.abort()
        if stream.why not in (LEFT, STALLED):
            await self._end(stream, work.route, reservation, send)

    def _made(self, work: Work) -> Stream:
        one, dialect = work.chosen, work.chosen.dialect
        assert one.served.stream is not None, "only streaming routes stream"
        reader = one.served.stream(one.bounded)
        if one.served.shape == "bedrock":
            return Stream(reader, Frames(reader, one.upstream.service), self._clock)
        if dialect is None:
            return Stream(reader, Passing(reader, one.served.marks, hides=one.bounded.hides_usage), self._clock)
        events = dialect.events(work.body, self._now())
        return Stream(reader, Translating(reader, events, service=one.upstream.service), self._clock)

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


def _translated(body: bytes, dialect: Dialect, now: int, asked: dict[str, Any]) -> bytes:
    """An answer as the caller's own vendor would have given it."""
    try:
        return orjson.dumps(dialect.answer(orjson.loads(body), now, asked))
    except (BadInput, orjson.JSONDecodeError):
        raise Refusal(502, "the upstream answered what cannot be translated", code="upstream_failed") from None


def _told_of(work: Work | None) -> Head:
    """What is said of a request that failed."""
    if work is None:
        return []
    cost = [(b"x-aegis-cost-usd", format_usd(work.spent).encode())] if work.tries else []
    return [(b"x-aegis-call", work.id.encode()), *cost]


async def _failed(answer: Answer, one: Candidate, work: Work) -> _Passed | None:
    """What the caller gets of a failure; None where it is about the gateway itself."""
    body = await answer.read()
    if answer.status not in PASSED_STATUS:
        return None
    upstream = one.upstream
    credential = upstream.credential[1].removeprefix(b"Bearer ") if upstream.credential else b""
    if credential and credential in body:
        return None
    if one.dialect is not None:
        refusal = Refusal(answer.status, f"{upstream.service}: {_message(body)}", code="upstream_refused")
        body = error_json(work.route.shape, refusal, work.id)
    return _Passed(answer.status, down(answer), body)


def _message(body: bytes) -> str:
    """What a vendor's refusal says: all of them say it in `error.message`."""
    try:
        error = orjson.loads(body)["error"]["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "refused without saying why"
    return str(error)[:MESSAGE_MAX]


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
