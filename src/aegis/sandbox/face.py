"""The sandbox over HTTP: services under their names, and its own control under `/sandbox`. Plain ASGI.

Here a fault spoils the delivery of a reply: late, in drips, cut, reset, as garbage or without end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote

import anyio

from aegis.core.ports import Clock
from aegis.sandbox.control import control
from aegis.sandbox.exchange import FIELDS_MAX, Asked, Reply, reply_json
from aegis.sandbox.faults import Fault, Mode
from aegis.sandbox.registry import SERVICES
from aegis.sandbox.world import World

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
HangUp: TypeAlias = Callable[[Scope, bool], None]
"""Ends the connection of a request: hard (a reset) or after what was sent."""

BODY_MAX = 34 * 1024 * 1024
"""Bytes of a request: just above the largest that any service takes (Claude, 32 MB), so that it can refuse itself."""

HUGE_BYTES, PIECE = 64 * 1024 * 1024, b" " * 65_536
"""How much an endless answer sends: far above the 4 MiB that Aegis reads."""

DRIPS_MAX = 200
"""Pieces of a dripping answer."""

GARBAGE = b"\x00\xff\xfe<html>\x80" + bytes(range(128, 256)) * 4
WRONG = b'{"sandbox":[{"this":"is JSON","of":["a","wrong","shape"]}],"status":7,"id":null,"data":false,"ok":"no"}'


def asgi(world: World, *, hang_up: HangUp) -> App:
    """The ASGI application of a world. `hang_up` is how the server at hand ends a connection."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if body is None:
            await _send(send, reply_json(413, {"error": "the body is larger than the sandbox takes"}))
            return
        name, _, rest = unquote(scope["path"].lstrip("/")).partition("/")
        asked = _asked(scope, f"/{rest}", body, world.clock)
        if name not in SERVICES:
            await _send(send, control(world, asked, name))
            return
        served = world.receive(name, asked)
        if served.fault is None:
            await _send(send, served.reply)
        else:
            await _spoil(served.reply, served.fault, _Line(scope, receive, send, hang_up, world.clock))

    return app


async def _body(receive: Receive) -> bytes | None:
    """The whole body, None if it is too large."""
    parts, size = [], 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_MAX:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _asked(scope: Scope, path: str, body: bytes, clock: Clock) -> Asked:
    try:
        query = parse_qs(scope.get("query_string", b"").decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        query = {}
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Asked(method=scope["method"], path=path, at=clock.now(), query=query, headers=headers, body=body)


async def _start(send: Send, reply: Reply, *, length: int | None) -> None:
    headers = {"content-type": reply.content_type, **reply.headers}
    if length is not None and reply.status not in (204, 304):
        headers["content-length"] = str(length)
    if not reply.body and not reply.chunks:
        del headers["content-type"]
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})


async def _send(send: Send, reply: Reply, *, body: bytes | None = None) -> None:
    body = reply.body if body is None else body
    await _start(send, reply, length=None if reply.chunks else len(body))
    for chunk in reply.chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": body})


class _Line:
    """One client's connection while a reply is spoilt."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, hang_up: HangUp, clock: Clock) -> None:
        self.scope, self.receive, self.send, self.clock = scope, receive, send, clock
        self._hang_up = hang_up

    async def gone(self) -> None:
        """Wait until the client is gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def end(self, *, hard: bool) -> None:
        self._hang_up(self.scope, hard)
        await self.gone()

    async def wait(self, milliseconds: int) -> None:
        """Let time pass, but no longer than the client waits."""
        async with anyio.create_task_group() as both:

            async def leave() -> None:
                await self.gone()
                both.cancel_scope.cancel()

            both.start_soon(leave)
            await self.clock.sleep_ms(milliseconds)
            both.cancel_scope.cancel()


async def _spoil(reply: Reply, fault: Fault, line: _Line) -> None:
    """Deliver a reply the way that the fault says."""
    whole = b"".join(reply.chunks) or reply.body
    match fault.mode:
        case Mode.RESET | Mode.LOST:
            await line.end(hard=True)
        case Mode.HANG:
            await line.gone()
        case Mode.SLOW:
            await line.wait(fault.delay_ms)
            await _send(line.send, reply)
        case Mode.DRIP:
            await _drip(reply, whole, fault.delay_ms, line)
        case Mode.CUT:
            await _start(line.send, reply, length=len(whole) + 1)
            await line.send({"type": "http.response.body", "body": whole[: len(whole) // 2], "more_body": True})
            await line.end(hard=False)
        case Mode.GARBAGE:
            await _send(line.send, _like(reply, {}), body=GARBAGE)
        case Mode.WRONG_JSON:
            await _send(line.send, _like(reply, {}), body=WRONG)
        case Mode.HUGE:
            await _start(line.send, _like(reply, {}), length=None)
            await _pieces(line.send, (PIECE for _ in range(HUGE_BYTES // len(PIECE))))
        case _:
            await _send(line.send, reply)


def _like(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """A reply that says it is a success with JSON, whatever follows."""
    return Reply(status=200 if reply.status in (204, 304) else reply.status, headers=headers, body=b"?")


async def _drip(reply: Reply, whole: bytes, delay_ms: int, line: _Line) -> None:
    """The right answer, in at most `DRIPS_MAX` pieces."""
    size = max(1, -(-len(whole) // DRIPS_MAX))
    await _start(line.send, reply, length=len(whole))
    for start in range(0, len(whole), size):
        await line.wait(delay_ms)
        await line.send({"type": "http.response.body", "body": whole[start : start + size], "more_body": True})
    await line.send({"type": "http.response.body", "body": b""})


async def _pieces(send: Send, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
