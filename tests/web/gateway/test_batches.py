"""Batches are held whole, counted by what each request really used, and seen by nobody but whose they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types.messages.batch_create_params import Request
from tests.transport.scripted import Wire, scripted
from tests.web.gateway.stage import HELLO, Stage, staged

from aegis.app.system import SystemClock
from aegis.core.ledger import Switch
from aegis.sandbox.room import Terms
from aegis.sandbox.world import World
from aegis.web.gateway.asked import BODY_MAX
from aegis.web.gateway.looks import EVERY_MS

pytestmark = pytest.mark.anyio

GPT, HAIKU, OPUS = "gpt-6-luna", "claude-haiku-4-5", "claude-sonnet-4-5"
CHAT: dict[str, Any] = {"model": GPT, "max_tokens": 64, "messages": HELLO}
DAY_MS = 86_400_000
BUDGET = "budgets:\n  all: {{scope: all, daily: {{emergency: {0}}}}}\n"
TINY = BUDGET.format("0.00001")


class Moving(SystemClock):
    """The machine's time, and what a test adds to it: batches take hours."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta(0)

    def now(self) -> Any:
        return super().now() + self.ahead


def slow() -> World:
    """A sandbox whose batches take a day."""
    return World(clock=SystemClock(), terms=Terms(batch_ms=DAY_MS))


def line(name: str, **more: Any) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": CHAT, **more}


def lines(*some: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(one) for one in some).encode()


@asynccontextmanager
async def gpt(stage: Stage, key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=key, base_url=f"{stage.address}/v1", max_retries=0) as client:
        yield client


@asynccontextmanager
async def claude(stage: Stage, key: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key=key, base_url=stage.address, max_retries=0) as client:
        yield client


async def make(client: openai.AsyncOpenAI, *some: dict[str, Any]) -> str:
    """A batch of these lines."""
    file = await client.files.create(file=("a.jsonl", lines(*some)), purpose="batch")
    made = await client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    return made.id


async def make_messages(client: anthropic.AsyncAnthropic, *models: str) -> str:
    requests = [
        Request(custom_id=f"r{n}", params={"model": model, "max_tokens": 64, "messages": HELLO})
        for n, model in enumerate(models)
    ]
    return (await client.messages.batches.create(requests=requests)).id


async def held(stage: Stage) -> tuple[int, int]:
    """Settled and held, in nano-dollars, of the budget over everything."""
    [one] = [balance for balance in await stage.app.governor.balances() if balance.budget == "all"]
    return one.settled, one.held


async def test_openais_client_makes_a_batch_that_is_held_and_then_counted_to_the_bill(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=BUDGET.format(1)) as stage, gpt(stage, await stage.key()) as client:
        name = await make(client, line("a"), line("b"))
        settled, holds = await held(stage)
        assert settled == 0
        assert holds > 0
        done = await client.batches.retrieve(name)
        assert (done.status, done.output_file_id is None) == ("completed", False)
        assert await held(stage) == (stage.billed(), 0)
        assert stage.billed() > 0
        text = (await client.files.content(str(done.output_file_id))).text
        assert [json.loads(one)["custom_id"] for one in text.splitlines()] == ["a", "b"]
        assert [one.id for one in (await client.batches.list()).data] == [name]
        assert {one.purpose for one in (await client.files.list()).data} == {"batch", "batch_output"}


async def test_anthropics_client_makes_a_batch_of_two_models_and_reads_its_results(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=BUDGET.format(1)) as stage, claude(stage, await stage.key()) as client:
        name = await make_messages(client, HAIKU, OPUS, HAIKU)
        assert (await held(stage))[1] > 0
        results = [one async for one in await client.messages.batches.results(name)]
        assert [(one.custom_id, one.result.type) for one in results] == [(f"r{n}", "succeeded") for n in range(3)]
        assert await held(stage) == (stage.billed(), 0)
        assert [one.id async for one in client.messages.batches.list()] == [name]
        assert len(await stage.app.governor.spent()) == 1


async def test_a_batch_that_does_not_fit_is_refused_whole_with_its_lines_and_its_need(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=TINY) as stage, gpt(stage, await stage.key()) as client:
        file = await client.files.create(file=("a.jsonl", lines(line("a"), line("b"))), purpose="batch")
        with pytest.raises(openai.RateLimitError) as refused:
            await client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert "2 lines and needs up to 0.0000" in refused.value.message
        assert refused.value.code == "insufficient_quota"
        assert await held(stage) == (0, 0)
        assert (await client.batches.list()).data == []
    async with staged(tmp_path / "two", budgets=BUDGET.format("0.001")) as stage:
        async with claude(stage, await stage.key()) as other:
            with pytest.raises(anthropic.RateLimitError):  # the first model fits, the second does not: neither is held
                await make_messages(other, HAIKU, OPUS, OPUS)
        assert await held(stage) == (0, 0)
        assert stage.world.tallies()["anthropic"].number == 0


async def test_batches_that_nobody_asks_about_are_counted_all_the_same(tmp_path: Path) -> None:
    clock = Moving()
    async with (
        staged(tmp_path, budgets=BUDGET.format(1), clock=clock) as stage,
        gpt(stage, await stage.key()) as client,
    ):
        await make(client, line("a"))
        [(_, _, turn)] = [one for one in stage.app.background if one[0] == "batches"]
        await turn(stage.app.clock.now())
        assert (await held(stage))[0] == 0, "it was made a moment ago"
        clock.ahead += timedelta(milliseconds=EVERY_MS)
        await turn(stage.app.clock.now())
        assert await held(stage) == (stage.billed(), 0)
        number = stage.world.tallies()["openai"].number
        clock.ahead += timedelta(milliseconds=EVERY_MS)
        await turn(stage.app.clock.now())
        assert stage.world.tallies()["openai"].number == number, "nobody is asked about what is settled"


async def test_a_batch_outlives_its_aegis_and_is_corrected_when_its_results_are_known(tmp_path: Path) -> None:
    world = World(clock=SystemClock())
    async with staged(tmp_path, budgets=BUDGET.format(1), world=world) as stage:
        key = await stage.key()
        async with gpt(stage, key) as client:
            name = await make(client, line("a"), line("b"))
            worst = (await held(stage))[1]
    async with staged(tmp_path, budgets=BUDGET.format(1), world=world) as stage, gpt(stage, key) as client:
        assert await held(stage) == (worst, 0), "nobody knows yet: the worst case counts"
        assert (await client.batches.retrieve(name)).status == "completed"
        assert await held(stage) == (stage.billed(), 0)
        assert worst > stage.billed() > 0


async def test_a_cancelled_batch_counts_what_was_done(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=BUDGET.format(1), world=slow()) as stage:
        async with gpt(stage, await stage.key()) as client:
            name = await make(client, *(line(f"l{n}") for n in range(4)))
            assert (await client.batches.retrieve(name)).status == "in_progress"
            assert (await held(stage))[0] == 0
            await client.batches.cancel(name)
            ended = await client.batches.retrieve(name)
            assert (ended.status, ended.request_counts and ended.request_counts.completed) == ("cancelled", 2)
        async with claude(stage, await stage.key("other")) as other:
            name = await make_messages(other, HAIKU, HAIKU)
            await other.messages.batches.cancel(name)
            assert (await other.messages.batches.retrieve(name)).processing_status == "ended"
        assert await held(stage) == (stage.billed(), 0)
        assert stage.billed() > 0


def stop(**more: Any) -> Switch:
    return Switch(**{"scope": {}, "stopped": True, "reason": "runaway", "at_ms": 1, **more})


async def test_a_stop_that_ends_what_is_under_way_has_its_vendors_cancel_open_batches(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=BUDGET.format(1), world=slow()) as stage:
        async with gpt(stage, await stage.key()) as client, claude(stage, await stage.key("other")) as other:
            names = [await make(client, *(line(f"l{n}") for n in range(4))), await make_messages(other, HAIKU, HAIKU)]
        [turn] = [run for name, _, run in stage.app.background if name == "batches"]
        await stage.app.governor.turn(stop())
        await turn(stage.app.clock.now())
        assert [one.get("cancelling_at") for one in stage.batches("openai")] == [None], "it only lets nothing new in"
        stage.world.fault("openai", "503", count=1)
        await stage.app.governor.turn(stop(cancel=True, at_ms=2))
        await turn(stage.app.clock.now())
        [message] = stage.batches("anthropic")
        assert (message["id"], message["processing_status"]) == (names[1], "canceling")
        assert [one["status"] for one in stage.batches("openai")] != ["cancelling"], "its vendor was away"
        await turn(stage.app.clock.now())
        [batch] = stage.batches("openai")
        assert (batch["id"], batch["status"]) == (names[0], "cancelling")
        number = sum(tally.number for tally in stage.world.tallies().values())
        await turn(stage.app.clock.now())
        assert sum(tally.number for tally in stage.world.tallies().values()) == number, "they are told once"


async def test_what_a_stop_cancelled_counts_what_was_done_and_holds_nothing(tmp_path: Path) -> None:
    clock = Moving()
    async with staged(tmp_path, budgets=BUDGET.format(1), world=slow(), clock=clock) as stage:
        async with gpt(stage, await stage.key()) as client:
            await make(client, line("a"), line("b"))
        [turn] = [run for name, _, run in stage.app.background if name == "batches"]
        await stage.app.governor.turn(stop(cancel=True))
        await turn(stage.app.clock.now())
        clock.ahead += timedelta(milliseconds=EVERY_MS)
        await turn(stage.app.clock.now())
        assert await held(stage) == (stage.billed(), 0)
        assert stage.billed() > 0


async def test_anthropics_client_deletes_a_batch_that_has_ended_and_none_that_is_under_way(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=BUDGET.format(1), world=slow()) as stage:
        async with claude(stage, await stage.key()) as client, claude(stage, await stage.key("two")) as two:
            name = await make_messages(client, HAIKU, HAIKU)
            with pytest.raises(anthropic.BadRequestError, match="cancel it first"):
                await client.messages.batches.delete(name)
            await client.messages.batches.cancel(name)
            with pytest.raises(anthropic.NotFoundError):
                await two.messages.batches.delete(name)
            deleted = await client.messages.batches.delete(name)
            assert (deleted.id, deleted.type) == (name, "message_batch_deleted")
            assert await held(stage) == (stage.billed(), 0), "it was counted before its results were gone"
            assert stage.billed() > 0
            assert [one async for one in client.messages.batches.list()] == []
            with pytest.raises(anthropic.NotFoundError):
                await client.messages.batches.retrieve(name)
        assert stage.batches("anthropic") == []


async def test_no_key_sees_what_another_keeps(tmp_path: Path) -> None:
    async with (
        staged(tmp_path) as stage,
        gpt(stage, await stage.key("one")) as one,
        gpt(stage, await stage.key("two")) as two,
    ):
        name = await make(one, line("a"))
        done = await one.batches.retrieve(name)
        assert ((await two.files.list()).data, (await two.batches.list()).data) == ([], [])
        for asked in (
            two.batches.retrieve(name),
            two.batches.cancel(name),
            two.files.retrieve(done.input_file_id),
            two.files.content(str(done.output_file_id)),
            two.files.delete(done.input_file_id),
            two.batches.create(
                input_file_id=done.input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                await asked
        assert (await one.files.delete(done.input_file_id)).deleted
        with pytest.raises(openai.NotFoundError):
            await one.files.retrieve(done.input_file_id)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "model": (line("b", body={**CHAT, "model": "gpt-6-sol"}), "line 2: all lines of a file ask one model"),
    "url": (line("b", url="/v1/images/generations"), "line 2: url must be one of"),
    "another-url": (line("b", url="/v1/responses", body={"model": GPT, "input": "x"}), "line 2: all lines ask for one"),
    "twice": (line("a"), "line 2: the custom_id a stands twice"),
    "unbounded": (line("b", body={**CHAT, "web_search_options": {"x": 1}}), "line 2: web_search_options"),
    "stream": (line("b", body={**CHAT, "stream": True}), "line 2: a request of a batch cannot stream"),
    "tier": (line("b", body={**CHAT, "service_tier": "priority"}), "line 2: a batch has a tier of its own"),
    "field": (line("b", more=1), "line 2: a line has custom_id"),
    "no-object": ({}, "line 2: method must be POST"),
}


async def test_what_is_wrong_in_a_file_is_refused_by_the_number_of_its_line(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage, gpt(stage, await stage.key()) as client:
        for wrong, said in WRONG.values():
            with pytest.raises(openai.BadRequestError) as refused:
                await client.files.create(file=("a.jsonl", lines(line("a"), wrong)), purpose="batch")
            assert said in refused.value.message
        unheard = line("a", body={**CHAT, "model": "unheard-of"})
        with pytest.raises(openai.BadRequestError, match="line 1: nobody knows what openai/unheard-of costs"):
            await client.files.create(file=("a.jsonl", lines(unheard)), purpose="batch")
        assert stage.world.tallies()["openai"].number == 0


async def test_a_request_of_claudes_that_nothing_bounds_is_refused_by_its_number(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key, params = await stage.key(), {"model": HAIKU, "max_tokens": 64, "messages": HELLO}
        for more, said in (
            ({"speed": "fast"}, "request 2: speed='fast'"),
            ({"model": "unheard-of"}, "request 2: nobody knows"),
            ({"stream": True}, "request 2: a request of a batch cannot stream"),
        ):
            requests = [{"custom_id": "a", "params": params}, {"custom_id": "b", "params": params | more}]
            status, _, body = await stage.post("/v1/messages/batches", {"requests": requests}, key)
            assert (status, body["type"]) == (400, "error")
            assert said in body["error"]["message"]


async def test_a_keys_models_and_routes_hold_within_a_batch(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        for rights, said in (
            ({"models": ("claude-*",)}, f"line 1: this key may not ask {GPT}"),
            ({"routes": ("files", "batches")}, "line 1: this key may not be used for chat.completions"),
            ({"routes": ("chat.completions",)}, "this key may not be used for files"),
        ):
            async with gpt(stage, await stage.key(f"k{len(said)}", **rights)) as client:
                with pytest.raises(openai.PermissionDeniedError) as refused:
                    await client.files.create(file=("a.jsonl", lines(line("a"))), purpose="batch")
            assert said in refused.value.message


async def test_a_file_that_is_read_later_is_refused_by_name_and_one_that_is_too_long_by_its_length(
    tmp_path: Path,
) -> None:
    purposes: tuple[Any, ...] = ("assistants", "user_data", "vision", "fine-tune")
    async with staged(tmp_path) as stage, gpt(stage, await stage.key()) as client:
        for purpose in purposes:
            with pytest.raises(openai.PermissionDeniedError, match="bounded by no request"):
                await client.files.create(file=("a.jsonl", lines(line("a"))), purpose=purpose)
        with pytest.raises(openai.APIStatusError, match="longer than") as refused:
            await client.files.create(file=("a.jsonl", b" " * (BODY_MAX + 1)), purpose="batch")
        assert refused.value.status_code == 413
        with pytest.raises(openai.BadRequestError, match="at most 50000 requests"):
            await client.files.create(file=("a.jsonl", b"\n" * 50_002), purpose="batch")
        assert stage.world.tallies()["openai"].number == 0


FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 1,
    "created_at": 1,
    "filename": "a",
    "purpose": "batch",
    "status": "processed",
}
BATCH = {
    "id": "batch_1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-1",
    "created_at": 1,
}
UNSAID = {"custom_id": "a", "response": {"status_code": 200, "body": {"object": "chat.completion"}}, "error": None}


async def test_what_is_not_said_in_a_result_counts_at_the_worst_case(tmp_path: Path) -> None:
    answers = {
        "POST /v1/files": FILE,
        "POST /v1/batches": {**BATCH, "status": "validating"},
        "GET /v1/batches/batch_1": {**BATCH, "status": "completed", "output_file_id": "file-2"},
        "GET /v1/files/file-2": {**FILE, "id": "file-2"},
        "GET /v1/files/file-2/content": UNSAID,
    }

    async def talk(wire: Wire) -> None:
        while asked := await wire.request():
            await wire.answer(json.dumps(answers[b" ".join(asked.split(b" ")[:2]).decode()]).encode())

    async with (
        scripted(talk) as vendor,
        staged(tmp_path, budgets=BUDGET.format(1), openai=vendor.url) as stage,
        gpt(stage, await stage.key()) as client,
    ):
        name = await make(client, line("a"), line("never-answered"))
        worst = (await held(stage))[1]
        await client.batches.retrieve(name)
        settled, holds = await held(stage)
        assert (0 < settled < worst, holds) == (True, 0), "the one at its worst case, the other not at all"
