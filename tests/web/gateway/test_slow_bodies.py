"""A program that sends its body too slowly is cut off after a bound, and nothing of it stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import orjson
import pytest
from starlette.types import Receive, Scope, Send
from tests.web.gateway.stage import HELLO, Stage, staged

from aegis.web.gateway import Gateway
from aegis.web.serving import listen, serving

pytestmark = pytest.mark.anyio

BODY = orjson.dumps({"model": "gpt-6-luna", "max_completion_tokens": 64, "messages": HELLO})
BUDGET = "budgets:\n  all: {scope: all, daily: {emergency: 1}}\n"
PATHS = ("/v1/chat/completions", "/v1/messages/batches", "/v1/files")
SECONDS = 0.3


class Hurried:
    """A face with nothing but the gateway, which waits so long for a body."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        app = stage.app
        assert app.gateway is not None
        self.gateway = Gateway(app.gateway, app.governor, clock=app.clock, new_id=app.new_id, body_seconds=seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.gateway(scope, receive, send)


@asynccontextmanager
async def hurried(tmp_path: Path, seconds: float) -> AsyncIterator[tuple[Stage, Hurried, int]]:
    async with staged(tmp_path, budgets=BUDGET) as stage:
        face = Hurried(stage, seconds)
        async with serving(face, listen("127.0.0.1", 0)) as address:
            yield stage, face, int(address.rpartition(":")[2])


async def said(port: int, key: str, path: str, sent: bytes, *, drip: bool = False) -> bytes:
    """What is answered to a head that promises a body, of which only so much comes: until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {len(BODY)}\r\n\r\n"
    writer.write(head.encode() + sent)

    async def dripping() -> None:
        while drip:
            writer.write(b" ")
            await anyio.sleep(SECONDS / 10)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dripping)
            with anyio.fail_after(60):
                answer = await reader.read()
            tasks.cancel_scope.cancel()
        return answer
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("sent", "drip"),
    [(b"", False), (BODY[:20], False), (BODY[:20], True)],
    ids=["nothing", "a beginning", "a drip"],
)
async def test_a_body_that_does_not_come_in_time_is_refused_and_frees_everything(
    tmp_path: Path, sent: bytes, drip: bool
) -> None:
    async with hurried(tmp_path, SECONDS) as (stage, face, port):
        key = await stage.key()
        for path in PATHS:
            answer = await said(port, key, path, sent, drip=drip)
            assert answer.startswith(b"HTTP/1.1 408 "), path
            assert b"the body did not come in time" in answer
        assert face.gateway._room.bytes == 0
        assert stage.app.gateway is not None
        grant = stage.app.gateway.keys.find(key.encode())
        assert grant is not None
        assert grant.running == 0
        assert {balance.held for balance in await stage.app.governor.balances()} == {0}
        assert sum(tally.number for tally in stage.world.tallies().values()) == 0


async def test_a_body_that_comes_in_pieces_within_the_bound_is_answered(tmp_path: Path) -> None:
    async with hurried(tmp_path, 30) as (stage, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = await stage.key()
        head = f"POST {PATHS[0]} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {len(BODY)}\r\n"
        for piece in (head.encode(), b"\r\n" + BODY[:9], BODY[9:90], BODY[90:]):
            writer.write(piece)
            await writer.drain()
            await anyio.sleep(0)
        with anyio.fail_after(60):
            assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
