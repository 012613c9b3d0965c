"""The openai client's responses, answered by Claude: plain, streamed, with tools, pictures and schemas, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from tests.sandbox.places import Contracts
from tests.web.gateway.stage import HELLO
from tests.web.gateway.test_vendor_clients import TOOL, clients, settled

pytestmark = pytest.mark.anyio

CLAUDE = "claude-haiku-4-5"
FUNCTION: Any = {"type": "function", "name": "rate", "description": "rate it", "parameters": TOOL, "strict": False}
PICTURE: Any = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"}


async def test_a_response_is_answered_by_claude_and_keeps_the_contract(tmp_path: Path, shared: Path) -> None:
    async with clients(tmp_path) as (stage, _, gpt):
        whole = await gpt.responses.create(model=CLAUDE, input=HELLO, instructions="Be short.", max_output_tokens=500)
        assert (whole.object, whole.model, whole.status) == ("response", CLAUDE, "completed")
        assert whole.output_text
        assert whole.usage
        assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
        key = await stage.key("raw")
        _, _, body = await stage.post("/v1/responses", {"model": CLAUDE, "input": "hello"}, key)
        assert Contracts(shared / "contracts").breaches("openai", "responses.200", body) == []
        assert stage.world.tallies()["openai"].number == 0
        assert await settled(stage) == stage.billed() > 0


async def test_a_stream_ends_with_the_response_that_comes_in_one_piece(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, _, gpt):
        asked: Any = {"model": CLAUDE, "input": HELLO, "max_output_tokens": 12}
        whole = await gpt.responses.create(**asked)
        events: list[Any] = [event async for event in await gpt.responses.create(**asked, stream=True)]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert (events[0].type, events[-1].type) == ("response.created", "response.incomplete")
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == events[-1].response.output_text == whole.output_text
        assert events[-1].response.usage == whole.usage
        assert events[-1].response.incomplete_details == whole.incomplete_details
        assert await settled(stage) == stage.billed() > 0


async def test_tools_pictures_and_results_go_both_ways(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, _, gpt):
        said: Any = {"role": "user", "content": [{"type": "input_text", "text": "see"}, PICTURE]}
        asked: Any = {"model": CLAUDE, "max_output_tokens": 200, "tools": [FUNCTION], "tool_choice": "required"}
        whole = await gpt.responses.create(input=[said], **asked)
        [call] = whole.output
        assert call.type == "function_call"
        assert (call.name, whole.tools[0].type) == ("rate", "function")
        events: list[Any] = [event async for event in await gpt.responses.create(input=[said], stream=True, **asked)]
        pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        assert "".join(pieces) == events[-1].response.output[0].arguments == call.arguments
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "high"}
        again: Any = call.model_dump(exclude_none=True)
        more = await gpt.responses.create(input=[said, again, result], **{**asked, "tool_choice": "auto"})
        assert more.output_text
        assert await settled(stage) == stage.billed() > 0


async def test_a_schema_of_the_text_is_followed(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_, _, gpt):
        shape: Any = {
            "format": {
                "type": "json_schema",
                "name": "rating",
                "schema": {**TOOL, "additionalProperties": False},
                "strict": True,
            }
        }
        answer = await gpt.responses.create(model=CLAUDE, input=HELLO, text=shape, max_output_tokens=200)
        assert answer.output_text.startswith("{")


async def test_what_claude_cannot_do_is_refused_by_name_and_asked_of_nobody(tmp_path: Path) -> None:
    refused: dict[str, Any] = {
        "store": {"store": True},
        "truncation": {"truncation": "auto"},
        "item": {"input": [{"type": "custom_tool_call", "call_id": "a", "name": "b", "input": "c"}]},
        "file_id": {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]},
        "custom": {"tools": [{"type": "custom", "name": "x"}]},
        "json_object": {"text": {"format": {"type": "json_object"}}},
    }
    async with clients(tmp_path) as (stage, _, gpt):
        for more in refused.values():
            with pytest.raises(openai.BadRequestError):
                await gpt.responses.create(**{"model": CLAUDE, "input": "hello", **more})
        assert sum(tally.number for tally in stage.world.tallies().values()) == 0


async def test_what_changes_no_answer_is_left_out_and_named(tmp_path: Path) -> None:
    async with clients(tmp_path) as (stage, _, _):
        asked = {"model": CLAUDE, "input": "hello", "metadata": {"a": "b"}, "reasoning": {"summary": "auto"}}
        _, head, body = await stage.post("/v1/responses", asked, await stage.key("raw"))
        assert (head["x-aegis-left-out"], body["metadata"]) == ("metadata, reasoning.summary", {"a": "b"})
