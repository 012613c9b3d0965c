"""What users of other gateways report, as claims about this one: what only a gateway can show stands here, the rest by name."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.governor.test_complaints_races import GATEWAY
from tests.transport.scripted import Wire, scripted
from tests.web.gateway.complaints import CLAIMS
from tests.web.gateway.stage import HELLO, Stage, staged
from tests.web.gateway.test_streams import END, IN, MESSAGE, OUT, START, STOP

TESTS = Path(__file__).resolve().parents[2]
CHAT: Any = {"model": "gpt-6-luna", "max_completion_tokens": 64, "messages": HELLO}
ONE = 'budgets:\n  each-key: {scope: {key: "*"}, daily: {emergency: 0.00008}}\n'
"""Room for one worst case of `CHAT`, not for one beside what the first came to."""
NOTHING = "budgets:\n  everything: {scope: all, daily: {emergency: 0.000000001}}\n"


def complaints(shared: Path) -> list[int]:
    """The numbers of the list."""
    text = (shared / "notes" / "gateways.md").read_text(encoding="utf-8")
    part = text[text.index("\nA. Races") : text.index("\n## 3.")]
    return [int(number) for number in re.findall(r"^(\d+)\. ", part, re.MULTILINE)]


def test_every_complaint_of_the_list_is_claimed(shared: Path) -> None:
    found = complaints(shared)
    assert len(found) > 40
    assert set(found) == set(CLAIMS)


@pytest.mark.parametrize("number", CLAIMS)
def test_what_claims_a_complaint_is_there(number: int) -> None:
    assert CLAIMS[number]
    for claim in CLAIMS[number]:
        file, _, name = claim.partition(": ")
        if file == "bench":
            assert (TESTS.parent / "bench" / f"{name}.py").exists()
            assert f"\n## {name}\n" in (TESTS.parent / "bench" / "RESULTS.md").read_text()
        else:
            assert f"def {name}(" in (TESTS / file).read_text(), claim


def test_what_makes_sense_at_a_gateway_only_is_claimed_here() -> None:
    here = Path(__file__).read_text()
    for report in GATEWAY:
        system, _, number = report.partition("#")
        assert re.search(rf"def test_\w+__{system}_{number}\(", here), report


@pytest.mark.anyio
async def test_whose_call_it_is_says_the_key_and_no_header__litellm_11083(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=ONE) as stage:
        key = await stage.key("bot")
        assert (await stage.post("/v1/chat/completions", CHAT, key))[0] == 200
        other = {"x_litellm_end_user_id": "other", "x_aegis_key": "other", "openai_organization": "other"}
        status, _, _ = await stage.post("/v1/chat/completions", CHAT | {"user": "other"}, key, **other)
        assert status == 429, "it is the same key's budget, whoever it says it is"
        lines = [line for line in await stage.app.governor.balances() if line.budget == "each-key"]
        assert {line.part for line in lines} == {"bot"}


@pytest.mark.anyio
async def test_no_path_goes_round_the_budget__bifrost_2873(tmp_path: Path) -> None:
    paths = (
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/completions",
        "/openai/v1/chat/completions",
        "/anthropic/v1/messages",
        "/v1/audio/transcriptions",
        "/model/anthropic.claude-haiku-4-5-20251001-v1:0/converse",
        "/model/anthropic.claude-haiku-4-5-20251001-v1:0/invoke",
    )
    async with staged(tmp_path, budgets=NOTHING) as stage:
        key = await stage.key()
        for path in paths:
            body = CHAT | ({"input": "hello"} if "messages" not in path else {"max_tokens": 9})
            head = {"authorization": f"Bearer {key}"}
            async with stage.client.post(stage.address + path, json=body, headers=head) as answer:
                assert answer.status >= 400, path
        assert stage.billed() == 0


@pytest.mark.anyio
async def test_what_readers_left_is_drained_in_bounded_places_and_counted_beyond_them__litellm_36008(
    tmp_path: Path,
) -> None:
    go_on, ends = asyncio.Event(), list[str]()

    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.start_stream()
        await wire.chunk(START)
        async with anyio.create_task_group() as tasks:

            async def left() -> None:
                await wire.gone()
                ends.append("cut off")
                tasks.cancel_scope.cancel()

            tasks.start_soon(left)
            await go_on.wait()
            await wire.chunk(END + STOP)
            await wire.chunk(b"")
            ends.append("read on")
            tasks.cancel_scope.cancel()

    async with scripted(talk) as vendor, staged(tmp_path, anthropic=vendor.url, more="  drains: 2\n") as stage:
        key = await stage.key()
        for _ in range(5):
            answer = await stage.client.post(f"{stage.address}/v1/messages", json=MESSAGE, headers={"x-api-key": key})
            await answer.content.readexactly(len(START))
            answer.close()
        with anyio.fail_after(60):
            while len(ends) < 3:
                await anyio.sleep(0)
            go_on.set()
            spent = await _all_five(stage)
    assert sorted(ends) == ["cut off"] * 3 + ["read on"] * 2
    assert spent == 2 * (40 * IN + 70 * OUT) + 3 * (40 * IN + 1_000 * OUT), (
        "at its end, or at the most it can have been"
    )


async def _all_five(stage: Stage) -> int:
    """What was charged once all five streams have ended."""
    while True:
        found = await stage.app.governor.spent()
        if sum(spend.calls for spend in found) == 5:
            return sum(spend.cost for spend in found)
        await anyio.sleep(0)


@pytest.mark.anyio
async def test_a_free_model_is_served_when_no_budget_is_left__litellm_14004_29912_38515(tmp_path: Path) -> None:
    free = f"{NOTHING}prices:\n  openai: {{input_tokens: 0, output_tokens: 0}}\n"
    async with staged(tmp_path, budgets=free) as stage:
        key = await stage.key()
        assert (await stage.post("/v1/chat/completions", CHAT | {"model": "claude-haiku-4-5"}, key))[0] == 429
        assert (await stage.post("/v1/chat/completions", CHAT, key))[0] == 200
