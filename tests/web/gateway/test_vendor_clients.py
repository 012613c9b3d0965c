"""The vendors' own clients as they are on PyPI, pointed at the gateway by their base address alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.web.gateway.stage import HELLO, Stage, staged

pytestmark = pytest.mark.anyio

EMPTY = "budgets:\n  everything: {scope: all, daily: {emergency: 0.000001}}\n"
TOOL: Any = {"type": "object", "properties": {"severity": {"type": "string"}}, "required": ["severity"]}


@asynccontextmanager
async def clients(
    home: Path, *, budgets: str = ""
) -> AsyncIterator[tuple[Stage, anthropic.AsyncAnthropic, openai.AsyncOpenAI]]:
    async with staged(home, budgets=budgets) as stage:
        key = await stage.key()
        async with (
            anthropic.AsyncAnthropic(base_url=stage.address, api_key=key) as claude,
            openai.AsyncOpenAI(base_url=f"{stage.address}/v1", api_key=key) as gpt,
        ):
            yield stage, claude, gpt


async def settled(stage: Stage) -> int:
    return sum(spend.cost for spend in await stage.app.governor.spent())


async def test_both_clients_ask_stream_and_list(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, claude, gpt):
        message = await claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
        chat = await gpt.chat.completions.create(model="gpt-6-luna", max_completion_tokens=50, messages=HELLO)
        response = await gpt.responses.create(model="gpt-6-luna", max_output_tokens=50, input="hello")
        embedding = await gpt.embeddings.create(model="text-embedding-3-small", input=["hello"])
        assert message.content[0].type == "text"
        assert chat.choices[0].message.content
        assert response.output_text
        assert len(embedding.data[0].embedding) == 1_536
        assert (await claude.messages.count_tokens(model="claude-haiku-4-5", messages=HELLO)).input_tokens > 0
        assert "claude-haiku-4-5" in [model.id async for model in await claude.models.list()]
        assert "gpt-6-luna" in [model.id async for model in await gpt.models.list()]
        assert (await gpt.models.retrieve("gpt-6-luna")).id == "gpt-6-luna"
        assert await settled(stage) == stage.billed() > 0


async def test_streams_of_both_clients_are_whole_and_settled_to_the_bill(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, claude, gpt):
        async with claude.messages.stream(model="claude-haiku-4-5", max_tokens=50, messages=HELLO) as stream:
            words = [text async for text in stream.text_stream]
            message = await stream.get_final_message()
        assert "".join(words) == message.content[0].text  # type: ignore[union-attr]
        chat: Any = await gpt.chat.completions.create(
            model="gpt-6-luna", max_completion_tokens=50, messages=HELLO, stream=True
        )
        pieces = [piece async for piece in chat]
        assert all(piece.choices for piece in pieces), "the usage piece is ours, not the program's"
        events = await gpt.responses.create(model="gpt-6-luna", max_output_tokens=50, input="hello", stream=True)
        assert [event.type async for event in events][-1] == "response.incomplete", "the cap of 50 cut it"
        assert await settled(stage) == stage.billed() > 0


async def test_tools_go_through_both_ways(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, claude, _):
        message = await claude.messages.create(
            model="claude-haiku-4-5",
            max_tokens=200,
            messages=HELLO,
            tools=[{"name": "rate", "description": "rate it", "input_schema": TOOL}],
            tool_choice={"type": "tool", "name": "rate"},
        )
        assert message.stop_reason == "tool_use"
        used = message.content[0]
        assert used.type == "tool_use"
        assert used.name == "rate"
        assert await settled(stage) == stage.billed()


async def test_a_refusal_for_want_of_budget_stops_both_clients_at_once(tmp_path: Path) -> None:
    async with clients(tmp_path, budgets=EMPTY) as (stage, claude, gpt):
        with pytest.raises(anthropic.RateLimitError) as refused:
            await claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
        assert refused.value.response.headers["x-should-retry"] == "false"
        with pytest.raises(openai.RateLimitError) as no:
            await gpt.chat.completions.create(model="gpt-6-luna", max_completion_tokens=50, messages=HELLO)
        assert no.value.code == "insufficient_quota"
        refusals = sum(spend.refused for spend in await stage.app.governor.spent())
        assert (refusals, stage.billed()) == (2, 0), "neither client tried again, and nothing reached a vendor"


async def test_the_vendors_own_errors_come_through_as_theirs(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, claude, gpt):
        with pytest.raises(anthropic.BadRequestError, match="first message must use the user role"):
            await claude.messages.create(
                model="claude-haiku-4-5", max_tokens=50, messages=[{"role": "assistant", "content": "hi"}]
            )
        with pytest.raises(openai.BadRequestError):
            await gpt.chat.completions.create(model="gpt-6-luna", max_completion_tokens=50, messages=[])
        assert await settled(stage) == 0, "a request that the vendor refused is not billed"


async def test_an_overloaded_vendor_is_tried_again_by_the_client_and_each_try_is_a_call(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, claude, _):
        stage.world.fault("anthropic", "503", count=1, retry_after_s=0)
        message = await claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
        assert message.role == "assistant"
        spent = {spend.service: spend for spend in await stage.app.governor.spent()}
        assert spent["anthropic"].cost == stage.billed()
