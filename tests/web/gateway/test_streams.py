"""Streams whose program leaves, whose key ends, whose vendor fails: counted every time, ended in the protocol's own way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import anyio
import orjson
import pytest
from tests.transport.scripted import Talk, Wire, scripted
from tests.web.gateway.stage import HELLO, Stage, staged

from aegis.app.overrides import SETTING
from aegis.core.money import USD

pytestmark = pytest.mark.anyio

MESSAGE: Any = {"model": "claude-haiku-4-5", "max_tokens": 1_000, "messages": HELLO, "stream": True}
CHAT = {"model": "gpt-6-luna", "max_completion_tokens": 1_000, "messages": HELLO, "stream": True}
IN, OUT = USD // 1_000_000, 5 * USD // 1_000_000
"""claude-haiku-4-5: a dollar and five for a million tokens."""


def event(kind: str, **body: object) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **body}) + b"\n\n"


START = event("message_start", message={"id": "msg_1", "usage": {"input_tokens": 40, "output_tokens": 1}})
DELTA = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "hello"})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 70})
STOP = event("message_stop")


async def post(stage: Stage, path: str, body: object, key: str) -> aiohttp.ClientResponse:
    return await stage.client.post(stage.address + path, json=body, headers={"x-api-key": key})


async def cost(stage: Stage) -> int:
    return sum(spend.cost for spend in await stage.app.governor.spent())


async def settled(stage: Stage) -> int:
    """What was charged once the one call has ended."""
    with anyio.fail_after(60):
        while not (found := await cost(stage)):
            await asyncio.sleep(0)
    return found


def waiting_for(released: asyncio.Event, *, cut: asyncio.Event | None = None) -> Talk:
    """Begins to answer, then waits until the test says go on, or until it is left."""

    async def talk(wire: Wire) -> None:
        while await wire.request():
            await wire.start_stream()
            await wire.chunk(START + DELTA)
            if cut is None:
                await released.wait()
                await wire.chunk(END + STOP)
                await wire.chunk(b"")
            else:
                await wire.gone()
                cut.set()
                return

    return talk


async def test_bytes_come_through_exactly_and_at_once(tmp_path: Path) -> None:
    released = asyncio.Event()
    async with scripted(waiting_for(released)) as vendor, staged(tmp_path, anthropic=vendor.url) as stage:
        answer = await post(stage, "/v1/messages", MESSAGE, await stage.key())
        assert await answer.content.readexactly(len(START + DELTA)) == START + DELTA, "before the vendor went on"
        released.set()
        assert await answer.read() == END + STOP
        assert await cost(stage) == 40 * IN + 70 * OUT


async def test_the_bill_of_a_program_that_left_is_counted_to_its_end(tmp_path: Path) -> None:
    released = asyncio.Event()
    async with scripted(waiting_for(released)) as vendor, staged(tmp_path, anthropic=vendor.url) as stage:
        answer = await post(stage, "/v1/messages", MESSAGE, await stage.key())
        await answer.content.readexactly(len(START))
        answer.close()
        released.set()
        assert await settled(stage) == 40 * IN + 70 * OUT


async def test_without_a_place_to_drain_the_vendor_is_cut_off_and_the_most_it_can_be_counts(tmp_path: Path) -> None:
    cut = asyncio.Event()
    talk = waiting_for(asyncio.Event(), cut=cut)
    async with scripted(talk) as vendor, staged(tmp_path, anthropic=vendor.url, more="  drains: 0\n") as stage:
        answer = await post(stage, "/v1/messages", MESSAGE, await stage.key())
        await answer.content.readexactly(len(START))
        answer.close()
        with anyio.fail_after(60):
            await cut.wait()
        assert await settled(stage) == 40 * IN + 1_000 * OUT, "the input is known, the output bounded by the cap"


async def test_a_key_that_is_revoked_ends_its_streams_in_their_own_words(tmp_path: Path) -> None:
    cut = asyncio.Event()
    talk = waiting_for(asyncio.Event(), cut=cut)
    async with scripted(talk) as vendor, staged(tmp_path, anthropic=vendor.url) as stage:
        key = await stage.key("leaked")
        client = anthropic.AsyncAnthropic(base_url=stage.address, api_key=key, max_retries=0)
        stream = await client.messages.create(**MESSAGE)
        await anext(aiter(stream))
        await stage.app.keys.store.revoke("leaked", now=stage.app.clock.now())
        await stage.turn()
        with pytest.raises(anthropic.APIStatusError, match="revoked"):
            async for _ in stream:
                pass
        with anyio.fail_after(60):
            await cut.wait()
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(**MESSAGE)
        await client.close()


async def test_a_budget_lowered_below_what_is_spent_ends_the_stream(tmp_path: Path) -> None:
    cut = asyncio.Event()
    talk = waiting_for(asyncio.Event(), cut=cut)
    budget = "budgets:\n  everything: {scope: all, daily: {emergency: 5.00}}\n"
    async with scripted(talk) as vendor, staged(tmp_path, anthropic=vendor.url, budgets=budget) as stage:
        answer = await post(stage, "/v1/messages", MESSAGE, await stage.key())
        await answer.content.readexactly(len(START + DELTA))
        word = {"budget": "everything", "window": "day", "level": "emergency", "amount": 1, "by": "me"}
        kept = orjson.dumps([word | {"at": stage.app.clock.now().isoformat()}]).decode()
        await stage.app.lookups.keep_setting(SETTING, kept)
        with anyio.fail_after(60):
            while not cut.is_set():
                await stage.turn()
        assert b"the budget is used up" in await answer.read()


async def test_the_hold_shrinks_once_the_stream_has_told_its_input(tmp_path: Path) -> None:
    released = asyncio.Event()
    budget = "budgets:\n  everything: {scope: all, daily: {emergency: 5.00}}\n"
    vendor = scripted(waiting_for(released))
    async with vendor as at, staged(tmp_path, anthropic=at.url, budgets=budget) as stage:
        answer = await post(stage, "/v1/messages", MESSAGE, await stage.key())
        await answer.content.readexactly(len(START + DELTA))
        held = max(balance.held for balance in await stage.app.governor.balances())
        assert held == 40 * IN + 1_000 * OUT
        released.set()
        await answer.read()


async def test_a_stream_that_the_vendor_cuts_ends_with_an_error_and_counts(tmp_path: Path) -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.start_stream()
        await wire.chunk(START + DELTA)

    async with scripted(talk) as vendor, staged(tmp_path, anthropic=vendor.url) as stage:
        answer = await post(stage, "/v1/messages", MESSAGE, await stage.key())
        said = await answer.read()
        assert said.startswith(START + DELTA)
        assert b"event: error" in said[len(START + DELTA) :]
        assert await cost(stage) == 40 * IN + 1_000 * OUT


async def test_the_hidden_usage_of_a_chat_is_hidden_however_it_is_cut_into_pieces(tmp_path: Path) -> None:
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}],"usage":null}\n\n'
    usage = {"prompt_tokens": 40, "completion_tokens": 70, "prompt_tokens_details": {"cached_tokens": 30}}
    last = b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\n"
    whole = piece + last + b"data: [DONE]\n\n"

    async def talk(wire: Wire) -> None:
        while asked := await wire.request():
            assert b'"include_usage":true' in asked
            await wire.start_stream()
            for at in range(0, len(whole), 7):
                await wire.chunk(whole[at : at + 7])
            await wire.chunk(b"")

    async with scripted(talk) as vendor, staged(tmp_path, openai=vendor.url) as stage:
        key = await stage.key()
        answer = await post(stage, "/v1/chat/completions", CHAT, key)
        assert await answer.read() == piece + b"data: [DONE]\n\n"
        asked = CHAT | {"stream_options": {"include_usage": True}}
        answer = await post(stage, "/v1/chat/completions", asked, key)
        assert await answer.read() == whole
        assert await cost(stage) == 2 * (10 * 100 + 30 * 10 + 70 * 500), "10 new, 30 cached, 70 out, in nano-dollars"
