"""The short way of the gateway's requests: what leaves, in how many writes, and what never leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from aegis.web.connections import Connection

pytestmark = pytest.mark.anyio

POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
KEEP_SECONDS = 5


class Timer:
    """Rings once, unless it was cancelled."""

    def __init__(self, at: float, ring: Any) -> None:
        self.at, self.ring, self.over = at, ring, False

    def cancel(self) -> None:
        self.over = True


class Loop:
    """The running loop with a clock of its own: timers ring when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, ring: Any) -> Timer:
        self.timers.append(Timer(self.now + seconds, ring))
        return self.timers[-1]

    def at(self, now: float) -> None:
        """Ring what is due then."""
        self.now = now
        for timer in [one for one in self.timers if one.at <= now and not one.over]:
            timer.over = True
            timer.ring()


class Wire(asyncio.Transport):
    """The other end of a connection: every write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Face:
    """An application whose gateway says what the test wants it to say."""

    def __init__(self, *said: dict[str, Any]) -> None:
        self._said = said

    async def gateway(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in self._said:
            await send(message)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def start(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def connected(face: Face) -> tuple[Connection, Wire, Loop]:
    config = uvicorn.Config(face, http=Connection, ws="none", lifespan="off", log_config=None, limit_concurrency=10)
    config.load()
    loop, wire = Loop(), Wire()
    connection = Connection(config, ServerState(), {}, _loop=loop)
    connection.connection_made(wire)
    return connection, wire, loop


async def turns() -> None:
    """Long enough for everything that does not wait for anybody."""
    for _ in range(8):
        await asyncio.sleep(0)


async def test_an_answer_of_known_length_leaves_in_one_write() -> None:
    connection, wire, _ = await connected(Face(start((b"content-length", b"2")), body(b"ok")))
    connection.data_received(POST)
    await turns()
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]


async def test_a_vendors_own_status_is_passed_on() -> None:
    connection, wire, _ = await connected(
        Face({"type": "http.response.start", "status": 529, "headers": [(b"content-length", b"0")]}, body(b""))
    )
    connection.data_received(POST)
    await turns()
    assert wire.writes == [b"HTTP/1.1 529 \r\ncontent-length: 0\r\n\r\n"]


async def test_what_a_stream_says_in_one_turn_leaves_in_one_write_and_in_order() -> None:
    connection, wire, _ = await connected(Face(start(), body(b"a", more=True), body(b"bc", more=True), body(b"")))
    connection.data_received(POST)
    await turns()
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"]


@pytest.mark.parametrize("value", [b"gpt\r\nx-evil: 1", b"gpt\nx", b"gpt\rx", b"a\0b", b"a\x1bb", b"a\x7fb"])
async def test_a_header_with_a_control_in_it_is_never_sent(value: bytes) -> None:
    connection, wire, _ = await connected(
        Face(start((b"x-aegis-model", value), (b"content-length", b"2")), body(b"ok"))
    )
    connection.data_received(POST)
    await turns()
    [said] = wire.writes
    assert said.startswith(b"HTTP/1.1 500")
    assert value not in said
    assert wire.closed


@pytest.mark.parametrize("data", [b"o", b"okay"])
async def test_an_answer_that_is_not_as_long_as_it_says_ends_the_connection(data: bytes) -> None:
    connection, wire, _ = await connected(Face(start((b"content-length", b"2")), body(data)))
    connection.data_received(POST)
    await turns()
    assert b"okay" not in b"".join(wire.writes)
    assert wire.closed


async def test_requests_sent_behind_one_another_are_answered_one_after_the_other() -> None:
    connection, wire, _ = await connected(Face(start((b"content-length", b"2")), body(b"ok")))
    other = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    connection.data_received(POST + other + POST)
    for _ in range(4):
        await turns()
    assert [said[9:12] for said in wire.writes if said.startswith(b"HTTP/1.1")] == [b"200", b"204", b"200"]


async def test_a_connection_that_nobody_uses_is_closed_and_one_in_use_is_not() -> None:
    connection, wire, loop = await connected(Face(start((b"content-length", b"2")), body(b"ok")))
    connection.data_received(POST)
    await turns()
    loop.now = KEEP_SECONDS - 1
    connection.data_received(POST)
    await turns()
    loop.at(KEEP_SECONDS)
    assert not wire.closed, "it was used a second ago"
    loop.at(2 * KEEP_SECONDS)
    assert wire.closed


async def test_a_head_that_does_not_end_closes_a_connection_that_had_answered_before() -> None:
    connection, wire, loop = await connected(Face(start((b"content-length", b"2")), body(b"ok")))
    connection.data_received(POST)
    await turns()
    connection.data_received(b"POST /v1/chat/completions HT")
    loop.at(KEEP_SECONDS)
    assert not wire.closed
    loop.at(60)
    assert wire.closed
