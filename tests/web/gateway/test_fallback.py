"""Models that answer in the place of another: by budget, by failure, each attempt held and counted on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.transport.scripted import Wire, scripted
from tests.web.gateway.stage import HELLO, staged

pytestmark = pytest.mark.anyio

OPUS, HAIKU, GPT = "claude-opus-4-5", "claude-haiku-4-5", "gpt-6-luna"
MESSAGE: dict[str, Any] = {"model": OPUS, "max_tokens": 64, "messages": HELLO}
CHAIN = f'  fallback: {{"claude-opus-*": [{HAIKU}, {GPT}]}}\n'
SMALL = f"budgets:\n  opus: {{scope: {{model: {OPUS}}}, daily: {{emergency: 0.000001}}}}\n"
SMALLER = SMALL + "  claude: {scope: {service: anthropic}, daily: {emergency: 0.000001}}\n"


async def test_a_spent_budget_is_answered_by_the_next_model_of_the_same_vendor(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=SMALL, more=CHAIN) as stage:
        status, head, body = await stage.post("/v1/messages", MESSAGE, await stage.key())
        assert (status, head["x-aegis-model"], body["model"]) == (200, HAIKU, HAIKU)
        assert sum(spend.cost for spend in await stage.app.governor.spent()) == stage.billed() > 0


async def test_a_spent_vendor_is_answered_by_another_in_the_callers_dialect(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=SMALLER, more=CHAIN) as stage:
        status, head, body = await stage.post("/v1/messages", MESSAGE, await stage.key())
        assert (status, head["x-aegis-model"], body["type"]) == (200, GPT, "message")
        status, said = await stage.stream("/v1/messages", MESSAGE, await stage.key("other"))
        assert (status, said.endswith(b'data: {"type":"message_stop"}\n\n')) == (200, True)
        assert stage.world.tallies()["anthropic"].number == 0


async def test_a_model_that_the_key_may_not_ask_is_not_fallen_back_to(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=SMALL, more=CHAIN) as stage:
        status, _, body = await stage.post("/v1/messages", MESSAGE, await stage.key(models=("claude-opus-*",)))
        assert (status, body["error"]["type"]) == (429, "rate_limit_error")
        status, head, _ = await stage.post("/v1/messages", MESSAGE, await stage.key("other", models=("claude-*",)))
        assert (status, head["x-aegis-model"]) == (200, HAIKU)


async def test_a_failing_vendor_is_answered_by_the_next_and_both_attempts_are_on_record(tmp_path: Path) -> None:
    async def talk(wire: Wire) -> None:
        while await wire.request():
            await wire.say(b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}")

    chain = f'  fallback: {{"claude-*": [{GPT}]}}\n'
    async with scripted(talk) as vendor, staged(tmp_path, anthropic=vendor.url, more=chain) as stage:
        status, head, _ = await stage.post("/v1/messages", MESSAGE, await stage.key())
        assert (status, head["x-aegis-model"], head["x-aegis-attempts"]) == (200, GPT, "2")
        spent = {spend.service: spend.cost for spend in await stage.app.governor.spent()}
        assert spent["openai"] == stage.billed() > 0
        assert spent["anthropic"] > 0, "nobody knows whether a 500 was billed: it counts at its worst case"
        told = head["x-aegis-cost-usd"].replace(".", "").lstrip("0")
        assert str(sum(spent.values())).startswith(told), "the caller is told of both"
        attempts = await stage.app.governor.explain(head["x-aegis-call"])
        assert len(attempts) == 2


async def test_a_request_that_is_wrong_is_asked_of_nobody_else(tmp_path: Path) -> None:
    async with staged(tmp_path, more=CHAIN) as stage:
        wrong = {**MESSAGE, "model": HAIKU, "messages": [{"role": "assistant", "content": "hi"}]}
        status, head, body = await stage.post("/v1/messages", wrong | {"model": OPUS}, await stage.key())
        assert (status, "user role" in body["error"]["message"]) == (400, True)
        assert "x-aegis-attempts" not in head
        assert stage.world.tallies()["openai"].number == 0


async def test_a_stream_that_began_is_never_begun_again(tmp_path: Path) -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.start_stream()
        await wire.chunk(b'event: message_start\ndata: {"type":"message_start","message":{"usage":{}}}\n\n')

    async with scripted(talk) as vendor, staged(tmp_path, anthropic=vendor.url, more=CHAIN) as stage:
        status, said = await stage.stream("/v1/messages", MESSAGE, await stage.key())
        assert (status, b"event: error" in said) == (200, True)
        assert stage.world.tallies()["openai"].number == 0


async def test_no_header_of_the_caller_chooses_who_answers(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=SMALL) as stage:
        key = await stage.key()
        status, _, _ = await stage.post("/v1/messages", MESSAGE, key, x_aegis_model=HAIKU, x_aegis_fallback=HAIKU)
        assert status == 429
