"""Batches in the sandbox go through the vendors' states, and what they send fits the vendors' own types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from openai.types import Batch, FileObject
from tests.sandbox.places import Client, HandClock

from aegis.sandbox.room import Terms
from aegis.sandbox.world import World

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000
CLAUDE, FILES, BATCHES = "/anthropic/v1/messages/batches", "/openai/v1/files", "/openai/v1/batches"
CHAT: dict[str, Any] = {"model": "gpt-6-luna", "max_tokens": 32, "messages": [{"role": "user", "content": "hello"}]}
MESSAGE: dict[str, Any] = {**CHAT, "model": "claude-haiku-4-5"}


@pytest.fixture
def world(clock: HandClock) -> World:
    return World(clock=clock, terms=Terms(batch_ms=HOUR_MS))


@pytest.fixture(autouse=True)
def with_keys(client: Client) -> None:
    client.headers |= {"authorization": "Bearer sk-canary", "anthropic-version": "2023-06-01"}


def form(lines: list[dict[str, Any]]) -> dict[str, Any]:
    file = "\n".join(json.dumps(line) for line in lines)
    text = (
        '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\ncontent-disposition: form-data; '
        f'name="file"; filename="a.jsonl"\r\ncontent-type: application/octet-stream\r\n\r\n{file}\r\n--b--\r\n'
    )
    return {"data": text.encode(), "content_type": "multipart/form-data; boundary=b"}


def line(name: str, **more: Any) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": CHAT, **more}


async def make(client: Client, lines: list[dict[str, Any]]) -> str:
    file = (await client.post(FILES, **form(lines))).json
    FileObject.model_validate(file, strict=True)
    asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    made = (await client.post(BATCHES, asked)).json
    assert Batch.model_validate(made, strict=True).status == "validating"
    return str(made["id"])


async def test_a_batch_is_worked_when_its_time_has_come_and_costs_half(client: Client, clock: HandClock) -> None:
    name = await make(client, [line("a"), line("b", body={**CHAT, "model": "none"})])
    assert (await client.get(f"{BATCHES}/{name}")).json["status"] == "in_progress"
    clock.pass_by(hours=1)
    done = Batch.model_validate((await client.get(f"{BATCHES}/{name}")).json, strict=True)
    assert done.request_counts is not None
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 1, 1)
    told = (await client.get(f"{FILES}/{done.output_file_id}/content")).json
    used = told["response"]["body"]["usage"]
    price = client.world.tallies()["openai"].billed
    assert (told["custom_id"], price) == ("a", -(-(100 * used["prompt_tokens"] + 500 * used["completion_tokens"]) // 2))
    costs = (await client.get(f"/openai/v1/organization/costs?start_time={int(clock.now().timestamp())}")).json
    assert round(costs["data"][0]["results"][0]["amount"]["value"] * 10**9) == price


@pytest.mark.parametrize(
    "wrong", ["a", {"custom_id": "a"}, line("b", url="/v1/responses")], ids=["twice", "keys", "url"]
)
async def test_a_file_that_is_wrong_fails_the_batch_line_by_line(client: Client, wrong: Any) -> None:
    name = await make(client, [line("a"), line(wrong) if isinstance(wrong, str) else wrong])
    failed = Batch.model_validate((await client.get(f"{BATCHES}/{name}")).json, strict=True)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert (failed.status, [one.line for one in failed.errors.data]) == ("failed", [2])


async def test_what_was_done_before_the_cancel_is_answered_and_billed(client: Client) -> None:
    name = await make(client, [line("a"), line("b")])
    assert (await client.post(f"{BATCHES}/{name}/cancel")).json["status"] == "cancelling"
    ended = Batch.model_validate((await client.get(f"{BATCHES}/{name}")).json, strict=True)
    assert (ended.status, ended.output_file_id is None, ended.error_file_id is None) == ("cancelled", False, False)


async def test_claudes_batch_ends_with_a_result_of_every_request(client: Client, clock: HandClock) -> None:
    requests = [{"custom_id": "a", "params": MESSAGE}, {"custom_id": "b", "params": {**MESSAGE, "max_tokens": 0}}]
    made = MessageBatch.model_validate((await client.post(CLAUDE, {"requests": requests})).json)
    assert made.processing_status == "in_progress"
    clock.pass_by(hours=1)
    ended = MessageBatch.model_validate((await client.get(f"{CLAUDE}/{made.id}")).json)
    assert (ended.processing_status, ended.request_counts.succeeded, ended.request_counts.errored) == ("ended", 1, 1)
    lines = (await client.get(f"{CLAUDE}/{made.id}/results")).body.splitlines()
    told = [MessageBatchIndividualResponse.model_validate_json(one) for one in lines]
    assert [(one.custom_id, one.result.type) for one in told] == [("a", "succeeded"), ("b", "errored")]
    assert client.world.tallies()["anthropic"].billed > 0


async def test_what_was_done_of_claudes_batch_before_the_cancel_is_there(client: Client) -> None:
    made = (await client.post(CLAUDE, {"requests": [{"custom_id": n, "params": MESSAGE} for n in "abcd"]})).json
    assert (await client.post(f"{CLAUDE}/{made['id']}/cancel")).json["processing_status"] == "canceling"
    counts = (await client.get(f"{CLAUDE}/{made['id']}")).json["request_counts"]
    assert counts == {"processing": 0, "succeeded": 2, "errored": 0, "canceled": 2, "expired": 0}
