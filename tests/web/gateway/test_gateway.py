"""What a program sees that was pointed at the gateway."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.web.gateway.stage import HELLO, staged

pytestmark = pytest.mark.anyio

MESSAGE = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": HELLO}
CHAT = {"model": "gpt-6-luna", "max_completion_tokens": 64, "messages": HELLO}


async def test_a_message_is_answered_billed_and_settled_to_the_vendors_bill(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key()
        status, head, body = await stage.post("/v1/messages", MESSAGE, key, anthropic_version="2023-06-01")
        spent = await stage.app.governor.spent()
        assert (status, body["type"], body["role"]) == (200, "message", "assistant")
        assert {spend.service: spend.cost for spend in spent} == {"anthropic": stage.billed()}
        assert head["x-aegis-call"].startswith("call_")


async def test_a_chat_is_answered_billed_and_settled_to_the_vendors_bill(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key()
        status, head, body = await stage.post("/v1/chat/completions", CHAT, key)
        spent = await stage.app.governor.spent()
        assert (status, body["object"]) == (200, "chat.completion")
        assert {spend.service: spend.cost for spend in spent} == {"openai": stage.billed()}
        assert head["x-aegis-model"] == "gpt-6-luna"


async def test_a_stream_is_relayed_and_settled_by_its_final_event(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key()
        status, said = await stage.stream("/v1/messages", MESSAGE, key)
        assert status == 200
        assert said.startswith(b"event: message_start")
        assert said.endswith(b'data: {"type":"message_stop"}\n\n')
        status, said = await stage.stream("/v1/chat/completions", CHAT, key)
        assert (status, said.endswith(b"data: [DONE]\n\n")) == (200, True)
        assert b'"usage":{' not in said, "the program did not ask for the usage"
        spent = await stage.app.governor.spent()
        assert sum(spend.cost for spend in spent) == stage.billed() > 0


async def test_a_program_that_asked_for_the_usage_of_a_stream_gets_it(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        asked = {**CHAT, "stream_options": {"include_usage": True}}
        _, said = await stage.stream("/v1/chat/completions", asked, await stage.key())
        assert b'"usage":{"prompt_tokens"' in said


async def test_an_unknown_or_missing_key_is_refused_in_the_vendors_shape(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        status, _, body = await stage.post("/v1/messages", MESSAGE, "aeg_live_nothing")
        assert (status, body["error"]["type"]) == (401, "authentication_error")
        status, head, body = await stage.post("/v1/chat/completions", CHAT, "sk-nothing")
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert head["x-should-retry"] == "false"
        assert stage.billed() == 0
