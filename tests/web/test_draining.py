"""A server that is told to stop takes nothing new and ends what is under way."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
import anyio
import pytest
from starlette.types import Receive, Scope, Send

from aegis.web.serving import listen, serving

pytestmark = pytest.mark.anyio


async def test_an_answer_under_way_when_the_server_stops_comes_whole_and_nobody_new_is_let_in() -> None:
    begun, go, got = anyio.Event(), anyio.Event(), []

    async def face(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        begun.set()
        await go.wait()
        await send({"type": "http.response.body", "body": b" last"})

    async def ask(address: str) -> None:
        async with aiohttp.ClientSession() as client, client.get(address) as answer:
            got.append(await answer.read())

    async def release(port: int | None) -> None:
        while True:  # until the door is closed
            try:
                await (await anyio.connect_tcp("127.0.0.1", port or 0)).aclose()
            except OSError:
                break
        go.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, serving(face, listen("127.0.0.1", 0)) as address:
            tasks.start_soon(ask, address)
            await begun.wait()
            tasks.start_soon(release, urlsplit(address).port)
    assert got == [b"first last"]
