"""What stays of a request in a gateway when it has been answered: nothing."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.transport.scripted import Wire, scripted
from tests.web.gateway.stage import HELLO, Stage, staged

from aegis.web.connections import Connection

pytestmark = pytest.mark.anyio

FIRST, MORE, AT_ONCE = 640, 480, 8
"""The first are more than any window of last things is long (500 answers of a service), so that they fill them all."""
BLOCKS_MAX = MORE * 3 // 4
"""Fewer than one block for each request; what is under way in the background comes to a hundred more or fewer."""
ANSWER = (
    b'{"id":"c","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"y"},"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":2,"total_tokens":42}}'
)
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "max_tokens": 16, "messages": HELLO}


async def answering(wire: Wire) -> None:
    while await wire.request():
        wire.server.requests.clear()
        await wire.answer(ANSWER)


async def blocks_after(requests: int, stage: Stage, key: str) -> int:
    """Blocks of memory in use when so many more have been answered, and everything about them is reported."""

    async def ask() -> None:
        for _ in range(requests // AT_ONCE):
            status, _, _ = await stage.post("/v1/chat/completions", CHAT, key)
            assert status == 200

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(ask)
    await stage.turn()
    await stage.app.governor.balances()
    gc.collect()
    return sys.getallocatedblocks()


async def test_nothing_is_kept_for_each_request_that_was_answered(tmp_path: Path) -> None:
    async with scripted(answering) as vendor, staged(tmp_path, openai=vendor.url) as stage:
        key = await stage.key()
        before = await blocks_after(FIRST, stage, key)
        kept = await blocks_after(MORE, stage, key) - before
    assert kept < BLOCKS_MAX


async def test_a_connection_that_was_closed_is_gone_without_the_collector(tmp_path: Path) -> None:
    async with scripted(answering) as vendor, staged(tmp_path, openai=vendor.url) as stage:
        key, head = await stage.key(), {"connection": "close"}
        gc.collect()
        gc.disable()
        try:
            for _ in range(AT_ONCE):
                status, _, _ = await stage.post("/v1/chat/completions", CHAT, key, **head)
                assert status == 200
            await stage.client.close()
            with anyio.fail_after(30):
                while any(isinstance(one, Connection) for one in gc.get_objects()):
                    await anyio.sleep(0)
        finally:
            gc.enable()
