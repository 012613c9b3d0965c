"""Answers that are used again: only where somebody asked for it, only for the same key, only for the same request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.transport.scripted import Wire, scripted
from tests.web.gateway.stage import HELLO, Stage, staged

pytestmark = pytest.mark.anyio

MESSAGE: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": HELLO, "temperature": 0}


async def ask(stage: Stage, key: str, path: str = "/v1/messages", **more: Any) -> tuple[str, Any, Mapping[str, str]]:
    status, head, body = await stage.post(path, MESSAGE | more, key)
    assert status == 200, body
    return head["x-aegis-cache"], body, head


def asked(stage: Stage) -> int:
    return stage.world.tallies()["anthropic"].number


async def test_nothing_is_used_again_unless_somebody_asked_for_it(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key()
        assert [(await ask(stage, key))[0] for _ in range(2)] == ["off", "off"]
        assert asked(stage) == 2


async def test_the_same_request_of_the_same_key_is_answered_once_and_costs_once(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key(cache="deterministic")
        first, again = await ask(stage, key), await ask(stage, key)
        assert (first[0], again[0]) == ("miss", "hit")
        assert first[1] == again[1]
        assert again[2]["x-aegis-cost-usd"].strip("0.") == ""
        assert asked(stage) == 1
        assert sum(spend.cost for spend in await stage.app.governor.spent()) == stage.billed()


async def test_no_key_is_given_what_another_was_told(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        one, other = await stage.key("one", cache="always"), await stage.key("other", cache="always")
        assert [(await ask(stage, key))[0] for key in (one, other, one, other)] == ["miss", "miss", "hit", "hit"]


@pytest.mark.parametrize(
    "more",
    [
        {"max_tokens": 65},
        {"system": "other"},
        {"model": "claude-sonnet-4-5"},
        {"messages": [{"role": "user", "content": "else"}]},
        {"stop_sequences": ["x"]},
    ],
)
async def test_a_request_that_differs_in_anything_is_another(tmp_path: Path, more: dict[str, Any]) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key(cache="always")
        assert [(await ask(stage, key))[0], (await ask(stage, key, **more))[0]] == ["miss", "miss"]


async def test_what_is_not_asked_for_at_temperature_zero_is_used_again_only_with_always(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        some, every = await stage.key("some", cache="deterministic"), await stage.key("every", cache="always")
        assert [(await ask(stage, some, temperature=None))[0] for _ in range(2)] == ["off", "off"]
        assert [(await ask(stage, some, temperature=1))[0] for _ in range(2)] == ["off", "off"]
        assert [(await ask(stage, every, temperature=1))[0] for _ in range(2)] == ["miss", "hit"]


async def test_streams_are_never_answered_from_the_cache(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key(cache="always")
        await ask(stage, key)
        await stage.stream("/v1/messages", MESSAGE, key)
        assert asked(stage) == 2


async def test_the_other_dialect_is_answered_in_its_own_words(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key(cache="always")
        chats = [await ask(stage, key, "/v1/chat/completions") for _ in range(2)]
        message = await ask(stage, key)
        assert [chat[0] for chat in chats] == ["miss", "hit"]
        assert [chat[1]["object"] for chat in chats] == ["chat.completion"] * 2
        assert (message[0], message[1]["type"]) == ("miss", "message")


async def test_those_who_ask_the_same_at_one_time_are_asked_for_once(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key, told = await stage.key(cache="always"), []

        async def one() -> None:
            told.append((await ask(stage, key))[0])

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one)
        assert (sorted(told), asked(stage)) == (["hit"] * 7 + ["miss"], 1)


async def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key(cache="always")
        stage.world.fault("anthropic", "503", count=1)
        status, _, _ = await stage.post("/v1/messages", MESSAGE, key)
        assert status == 529
        assert (await ask(stage, key))[0] == "miss"


async def test_an_upstream_may_keep_its_answers_and_a_key_may_refuse_them(tmp_path: Path) -> None:
    async def talk(wire: Wire) -> None:
        while await wire.request():
            await wire.answer(b'{"usage":{"input_tokens":1,"output_tokens":1}}')

    async with scripted(talk) as vendor:
        kept = f"{{kind: anthropic, service: anthropic, base_url: {vendor.url}, cache: always, models: [claude-*]}}"
        async with staged(tmp_path, more=f"    kept: {kept}\n") as stage:
            one, other = await stage.key("one"), await stage.key("other", cache="never")
            assert [(await ask(stage, one))[0] for _ in range(2)] == ["miss", "hit"]
            assert [(await ask(stage, other))[0] for _ in range(2)] == ["off", "off"]


async def test_a_body_nested_deeper_than_can_be_written_is_the_callers_mistake_also_where_only_the_key_holds_it(
    tmp_path: Path,
) -> None:
    """A dialect leaves the metadata out, so that nothing but the cache's key would be written with it."""
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"in": deep}
    async with staged(tmp_path) as stage:
        key = await stage.key(cache="always")
        body = {"model": "claude-haiku-4-5", "input": "hello", "metadata": deep}
        status, _, told = await stage.post("/v1/responses", body, key)
        assert (status, told["error"]["code"]) == (400, "too_deep")
        assert asked(stage) == 0
