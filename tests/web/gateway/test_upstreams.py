"""Azure, vLLM and Ollama as upstreams: asked as they want to be, answered as they say, counted as they tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.sandbox.places import Contracts
from tests.web.gateway.faces import Answer, azure, calling, ollama, speaking, vllm
from tests.web.gateway.stage import HELLO, Stage, staged

from aegis.core.money import usd

pytestmark = pytest.mark.anyio

AZURE = '    azure: {kind: openai, base_url: "{0}", key: env:SANDBOX_KEY, auth: api-key, api_version: 2024-10-21, service: openai, models: ["gpt-*"]}\n'
LOCAL = '    local: {kind: openai, base_url: "{0}", models: ["llama*"], allow_fields: [top_k]}\n'
CHATS = '    local: {kind: openai, base_url: "{0}", models: ["llama*"], responses: false}\n'
PRICES = 'prices: {"local": {input_tokens: 1.00, output_tokens: 2.00}}\n'
COST = 12 * usd("0.000001") + 5 * usd("0.000002")


@asynccontextmanager
async def behind(
    tmp_path: Path, answer: Answer, upstream: str, prices: str = ""
) -> AsyncIterator[tuple[Stage, Any, Any]]:
    """A gateway in front of such a server, and both vendors' clients of it."""
    async with speaking(answer) as server:
        more = upstream.replace("{0}", server.url)
        async with staged(tmp_path, budgets=prices, more=more) as stage:
            key = await stage.key()
            async with (
                openai.AsyncOpenAI(api_key=key, base_url=f"{stage.address}/v1", max_retries=0) as gpt,
                anthropic.AsyncAnthropic(api_key=key, base_url=stage.address, max_retries=0) as claude,
            ):
                yield stage, gpt, claude


async def spent(stage: Stage) -> int:
    return sum(spend.cost for spend in await stage.app.governor.spent())


async def test_azure_is_asked_at_its_deployment_and_counted_by_its_usage(tmp_path: Path) -> None:
    asked: Any = {"model": "gpt-6-luna", "messages": HELLO}
    each = 12 * 100 + 5 * 500
    async with behind(tmp_path, azure, AZURE) as (stage, gpt, claude):
        whole = await gpt.chat.completions.create(**asked)
        assert (whole.choices[0].message.content, whole.model) == ("hello", "gpt-6-luna-2026-01-01")
        assert whole.model_extra["prompt_filter_results"], "what its filters say comes through"
        pieces = [one async for one in await gpt.chat.completions.create(**asked, stream=True)]
        assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == "hello"
        assert all(piece.usage is None for piece in pieces), "nobody asked for it"
        assert await spent(stage) == 2 * each
        async with claude.messages.stream(model="gpt-6-luna", max_tokens=20, messages=HELLO) as stream:
            message = await stream.get_final_message()
        assert (message.content[0].text, message.model) == ("hello", "gpt-6-luna-2026-01-01")
        assert await spent(stage) == 3 * each
        with pytest.raises(openai.NotFoundError, match="chats and embeddings only"):
            await gpt.responses.create(model="gpt-6-luna", input="hello")
        with pytest.raises(openai.BadRequestError, match="no deployment"):
            await gpt.chat.completions.create(model="gpt-6/../../x", messages=HELLO)


async def test_vllms_own_fields_pass_where_an_operator_allows_them_and_its_running_usage_is_not_the_end(
    tmp_path: Path,
) -> None:
    asked: Any = {"model": "llama-4", "messages": HELLO, "max_tokens": 20, "extra_body": {"top_k": 5}}
    async with behind(tmp_path, vllm, LOCAL, PRICES) as (stage, gpt, _):
        whole = await gpt.chat.completions.create(**asked)
        assert "prompt_logprobs" in whole.model_extra
        assert await spent(stage) == COST
        pieces = [one async for one in await gpt.chat.completions.create(**asked, stream=True)]
        assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == "hello"
        assert await spent(stage) == 2 * COST
        with pytest.raises(openai.BadRequestError, match="allow_fields"):
            await gpt.chat.completions.create(**{**asked, "extra_body": {"min_p": 1}})


async def test_ollama_is_asked_under_v1_and_what_it_lacks_is_its_own_answer(tmp_path: Path) -> None:
    async with behind(tmp_path, ollama, LOCAL, PRICES) as (stage, gpt, claude):
        assert (await gpt.chat.completions.create(model="llama3", messages=HELLO)).choices[0].message.content == "hello"
        message = await claude.messages.create(model="llama3", max_tokens=20, messages=HELLO)
        assert message.content[0].text == "hello"
        assert await spent(stage) == 2 * COST
        with pytest.raises(openai.NotFoundError, match="404 page not found"):
            await gpt.responses.create(model="llama3", input="hello")
        assert await spent(stage) == 2 * COST, "what is not there costs nothing"


TOOL: Any = {
    "type": "function",
    "name": "rate",
    "description": "rate it",
    "parameters": {"type": "object", "properties": {"level": {"type": "string"}}},
    "strict": False,
}


async def test_a_server_without_responses_is_asked_for_a_chat_and_answered_as_one(tmp_path: Path, shared: Path) -> None:
    asked: Any = {"model": "llama3", "instructions": "Be short.", "max_output_tokens": 20}
    async with behind(tmp_path, calling, CHATS, PRICES) as (stage, gpt, _):
        answer = await gpt.responses.create(input="hello", **asked)
        assert (answer.object, answer.status, answer.output_text) == ("response", "completed", "hello")
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 5)
        events: list[Any] = [event async for event in await gpt.responses.create(input="hello", stream=True, **asked)]
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
        assert events[-1].response.output_text == "hello"
        assert events[-1].response.usage == answer.usage
        assert await spent(stage) == 2 * COST
        _, _, body = await stage.post("/v1/responses", {"model": "llama3", "input": "hi"}, await stage.key("raw"))
        assert Contracts(shared / "contracts").breaches("openai", "responses.200", body) == []
        with pytest.raises(openai.BadRequestError, match="previous_response_id"):
            await gpt.responses.create(input="hello", previous_response_id="resp_1", **asked)


async def test_tools_go_both_ways_to_a_server_without_responses(tmp_path: Path) -> None:
    said: Any = {"role": "user", "content": "rate it"}
    asked: Any = {"model": "llama3", "tools": [TOOL]}
    async with behind(tmp_path, calling, CHATS, PRICES) as (stage, gpt, _):
        [call] = (await gpt.responses.create(input=[said], **asked)).output
        assert (call.type, call.name, call.arguments) == ("function_call", "rate", '{"level":"high"}')
        events: list[Any] = [event async for event in await gpt.responses.create(input=[said], stream=True, **asked)]
        pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        assert "".join(pieces) == events[-1].response.output[0].arguments == call.arguments
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "it is high"}
        again = await gpt.responses.create(input=[said, call.model_dump(exclude_none=True), result], **asked)
        assert again.output_text == "it is high"
        assert await spent(stage) == 3 * COST
