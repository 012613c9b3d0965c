"""The vendors' own clients asking the other vendor's models: plain, streamed, with tools and pictures, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.transport.scripted import Wire, scripted
from tests.web.gateway.stage import HELLO, staged
from tests.web.gateway.test_vendor_clients import TOOL, clients, settled

pytestmark = pytest.mark.anyio

CLAUDE, GPT = "claude-haiku-4-5", "gpt-6-luna"
FUNCTION: Any = {"type": "function", "function": {"name": "rate", "description": "rate it", "parameters": TOOL}}
PICTURE = "data:image/png;base64,iVBORw0KGgo="


async def test_the_openai_client_asks_claude(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, _, gpt):
        chat = await gpt.chat.completions.create(
            model=CLAUDE, max_tokens=50, messages=[{"role": "system", "content": "Be short."}, *HELLO]
        )
        assert (chat.object, chat.model) == ("chat.completion", CLAUDE)
        assert chat.choices[0].message.content
        assert chat.usage
        assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens
        assert stage.world.tallies()["openai"].number == 0
        assert await settled(stage) == stage.billed() > 0


async def test_the_openai_client_streams_from_claude(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, _, gpt):
        asked: Any = {"model": CLAUDE, "max_tokens": 50, "messages": HELLO}
        whole = await gpt.chat.completions.create(**asked)
        pieces = [piece async for piece in await gpt.chat.completions.create(**asked, stream=True)]
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == whole.choices[0].message.content
        assert pieces[-1].choices[0].finish_reason == whole.choices[0].finish_reason
        options: Any = {"include_usage": True}
        told = [one async for one in await gpt.chat.completions.create(**asked, stream=True, stream_options=options)]
        assert told[-1].usage == whole.usage
        assert await settled(stage) == stage.billed() > 0


async def test_the_openai_client_uses_tools_and_pictures_of_claude(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, _, gpt):
        picture: Any = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
        asked: Any = {"model": CLAUDE, "max_tokens": 200, "tools": [FUNCTION], "tool_choice": "required"}
        messages: Any = [{"role": "user", "content": picture}]
        chat = await gpt.chat.completions.create(messages=messages, **asked)
        calls: Any = chat.choices[0].message.tool_calls
        assert (chat.choices[0].finish_reason, calls[0].function.name) == ("tool_calls", "rate")
        pieces = [one async for one in await gpt.chat.completions.create(messages=messages, stream=True, **asked)]
        deltas: list[Any] = [call for piece in pieces for call in piece.choices[0].delta.tool_calls or ()]
        assert "".join(call.function.arguments for call in deltas) == calls[0].function.arguments
        result = {"role": "tool", "tool_call_id": calls[0].id, "content": "high"}
        more = [*messages, chat.choices[0].message.model_dump(exclude_none=True), result]
        again = await gpt.chat.completions.create(model=CLAUDE, max_tokens=50, messages=more, tools=[FUNCTION])
        assert again.choices[0].message.content
        assert await settled(stage) == stage.billed() > 0


async def test_the_anthropic_client_asks_gpt_plain_and_streamed(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, claude, _):
        asked: Any = {"model": GPT, "max_tokens": 50, "messages": HELLO, "system": "Be short."}
        message = await claude.messages.create(**asked)
        assert (message.type, message.model, message.content[0].type) == ("message", GPT, "text")
        async with claude.messages.stream(**asked) as stream:
            words = "".join([text async for text in stream.text_stream])
            streamed = await stream.get_final_message()
        assert words == message.content[0].text
        assert (streamed.stop_reason, streamed.usage.output_tokens) == (
            message.stop_reason,
            message.usage.output_tokens,
        )
        assert streamed.usage.input_tokens == message.usage.input_tokens > 0
        assert stage.world.tallies()["anthropic"].number == 0
        assert await settled(stage) == stage.billed() > 0


async def test_the_anthropic_client_uses_tools_of_gpt(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, claude, _):
        tools: Any = [{"name": "rate", "description": "rate it", "input_schema": TOOL}]
        asked: Any = {"model": GPT, "max_tokens": 200, "tools": tools, "tool_choice": {"type": "tool", "name": "rate"}}
        message = await claude.messages.create(messages=HELLO, **asked)
        used = message.content[0]
        assert used.type == "tool_use"
        assert (message.stop_reason, used.name) == ("tool_use", "rate")
        async with claude.messages.stream(messages=HELLO, **asked) as stream:
            streamed = (await stream.get_final_message()).content[0]
        assert streamed.type == "tool_use"
        assert streamed.input == used.input
        turn: Any = [{"role": "assistant", "content": [used.model_dump(exclude_none=True)]}]
        result: Any = [{"type": "tool_result", "tool_use_id": used.id, "content": "high"}]
        again = await claude.messages.create(
            model=GPT, max_tokens=50, tools=tools, messages=[*HELLO, *turn, {"role": "user", "content": result}]
        )
        assert again.stop_reason in ("end_turn", "max_tokens")
        assert await settled(stage) == stage.billed() > 0


async def test_what_the_other_side_cannot_do_is_refused_in_the_callers_shape_and_asked_of_nobody(
    tmp_path: Path,
) -> None:
    async with clients(tmp_path) as (stage, claude, gpt):
        with pytest.raises(openai.BadRequestError, match="seed has no counterpart") as no:
            await gpt.chat.completions.create(model=CLAUDE, max_tokens=50, messages=HELLO, seed=7)
        assert no.value.code == "not_translated"
        with pytest.raises(anthropic.BadRequestError, match="top_k has no counterpart"):
            await claude.messages.create(model=GPT, max_tokens=50, messages=HELLO, extra_body={"top_k": 5})
        with pytest.raises(openai.BadRequestError, match="nobody knows what openai/claude"):
            await gpt.embeddings.create(model=CLAUDE, input="hi")
        assert stage.billed() == 0


async def test_the_other_vendors_refusal_is_said_in_the_callers_shape(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, claude, gpt):
        with pytest.raises(openai.BadRequestError, match="must use the user role"):
            await gpt.chat.completions.create(
                model=CLAUDE, max_tokens=50, messages=[{"role": "assistant", "content": "hi"}]
            )
        with pytest.raises(anthropic.NotFoundError, match="no model") as no:
            await claude.messages.create(model="gpt-4o-mini", max_tokens=50, messages=HELLO)
        assert no.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
        assert await settled(stage) == stage.billed() == 0


async def test_a_hint_that_is_left_out_is_named(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        part = {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}
        asked = {"model": GPT, "max_tokens": 50, "messages": [{"role": "user", "content": [part]}]}
        status, head, _ = await stage.post("/v1/messages", asked, await stage.key())
        assert (status, head["x-aegis-left-out"]) == (200, "cache_control")


async def test_a_stream_that_nobody_can_read_ends_with_an_error_and_counts(tmp_path: Path) -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.start_stream()
        await wire.chunk(b'data: {"id":"1","choices":[{"delta":{"tool_calls":[7]}}]}\n\n')
        await wire.chunk(b"")

    async with scripted(talk) as vendor, staged(tmp_path, openai=vendor.url) as stage:
        status, said = await stage.stream(
            "/v1/messages", {"model": GPT, "max_tokens": 50, "messages": HELLO}, await stage.key()
        )
        assert status == 200
        assert b"event: error" in said
        assert sum(spend.cost for spend in await stage.app.governor.spent()) > 0
