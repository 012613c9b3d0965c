"""Every failure that the sandbox can be told to show looks to a client like the real thing, and is over when it is over."""

import json
import time

import aiohttp
import anyio
import pytest
from tests.sandbox.places import Client

from aegis.core.errors import BadInput
from aegis.sandbox.faults import NOT_DONE, Fault, Mode
from aegis.sandbox.registry import SERVICES
from aegis.sandbox.server import serve
from aegis.sandbox.world import World

pytestmark = pytest.mark.anyio

PATH, KEY = "/pagerduty/v2/enqueue", "e" * 32
EVENT = {
    "routing_key": KEY,
    "event_action": "trigger",
    "dedup_key": "inc-1",
    "payload": {"summary": "data leaves", "source": "aegis", "severity": "critical"},
}


AWS_JSON = {"401": 400, "429": 400, "503": 500}
"""What a service of AWS answers over its JSON protocols: the error stands in the body, and no wait in a header."""
OTHERWISE = {
    ("slack", "401"): 200,
    ("datadog", "401"): 403,
    ("splunk", "401"): 403,
    ("bedrock", "401"): 403,
    ("anthropic", "503"): 529,
    **{(name, mode): status for name in ("athena", "budgets", "freetier") for mode, status in AWS_JSON.items()},
}
"""Services that say an outage by another status than HTTP's."""


def done(client: Client) -> int:
    """How many incidents there are: whether the service did its work."""
    return len(client.world.documents("pagerduty", "incident"))


@pytest.mark.parametrize("mode", sorted(NOT_DONE - {Mode.RESET, Mode.HANG}))
@pytest.mark.parametrize("name", SERVICES)
async def test_a_refusal_has_a_body_of_its_service_and_does_nothing(client: Client, name: str, mode: Mode) -> None:
    client.world.fault(name, mode.value, count=1, retry_after_s=7)
    answer = await client.post(f"/{name}/anything", {})
    assert answer.status == OTHERWISE.get((name, mode.value), int(mode.value))
    assert answer.body
    tally = client.world.received(name)
    assert (tally.faulted, tally.received, tally.rejected) == (1, 0, 0)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"datadog", "discord", "athena", "budgets", "freetier"}))
async def test_a_429_says_how_long_only_when_it_was_told_to(client: Client, name: str) -> None:
    client.world.fault(name, "429", count=1, retry_after_s=7)
    client_says = (await client.post(f"/{name}/anything", {})).headers.get("retry-after")
    client.world.fault(name, "429", count=1)
    assert (client_says, (await client.post(f"/{name}/anything", {})).headers.get("retry-after")) == ("7", None)


async def test_a_fault_is_over_after_its_count(client: Client) -> None:
    client.world.fault("pagerduty", "500", count=2)
    assert [(await client.post(PATH, EVENT)).status for _ in range(3)] == [500, 500, 202]


async def test_a_fault_may_wait_for_some_requests_to_pass(client: Client) -> None:
    client.world.fault("pagerduty", "500", count=1, after=1)
    assert [(await client.post(PATH, EVENT)).status for _ in range(3)] == [202, 500, 202]


async def test_a_fault_without_a_count_stays_until_it_is_changed(client: Client) -> None:
    client.world.fault("all", "503")
    assert [(await client.post(PATH, EVENT)).status for _ in range(3)] == [503, 503, 503]
    client.world.fault("pagerduty", "ok")
    assert (await client.post(PATH, EVENT)).status == 202
    assert "slack" in client.world.faults()


@pytest.mark.parametrize(("mode", "worked"), [("reset", 0), ("lost", 1)])
async def test_a_reset_connection_is_one_before_the_work_or_after_it(client: Client, mode: str, worked: int) -> None:
    client.world.fault("pagerduty", mode, count=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post(PATH, EVENT)
    assert done(client) == worked
    assert (await client.post(PATH, EVENT)).status == 202, "the next connection is right again"


async def test_a_cut_answer_is_shorter_than_it_says(client: Client) -> None:
    client.world.fault("pagerduty", "cut", count=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.post(PATH, EVENT)
    assert done(client) == 1


async def test_a_hanging_service_answers_nothing_until_the_client_leaves(client: Client) -> None:
    client.world.fault("pagerduty", "hang", count=1)
    with anyio.move_on_after(0.2) as patience:
        await client.post(PATH, EVENT)
    assert patience.cancelled_caught
    assert done(client) == 0


async def test_a_slow_service_answers_after_the_delay(client: Client) -> None:
    client.world.fault("pagerduty", "slow", count=1, delay_ms=30_000)
    assert (await client.post(PATH, EVENT)).status == 202
    assert client.clock.slept == [30_000]


async def test_a_client_that_does_not_wait_ends_the_delay(client: Client) -> None:
    client.clock.stands = True
    client.world.fault("pagerduty", "slow", count=1)
    async with anyio.create_task_group() as group:
        group.start_soon(client.post, PATH, EVENT)
        with anyio.fail_after(60):
            while not done(client):
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert done(client) == 1


async def test_a_dripping_answer_is_whole_in_the_end(client: Client) -> None:
    client.world.fault("pagerduty", "drip", count=1, delay_ms=40)
    answer = await client.post(PATH, EVENT)
    assert answer.json["dedup_key"] == "inc-1"
    assert len(client.clock.slept) > 20
    assert set(client.clock.slept) == {40}


async def test_garbage_is_no_json_and_wrong_json_is_no_answer(client: Client) -> None:
    client.world.fault("pagerduty", "garbage", count=1)
    garbage = await client.post(PATH, EVENT)
    with pytest.raises(json.JSONDecodeError):
        _ = garbage.json
    client.world.fault("pagerduty", "wrong_json", count=1)
    wrong = await client.post(PATH, EVENT)
    assert wrong.status == 202
    assert "dedup_key" not in wrong.json


async def test_a_huge_answer_is_larger_than_anyone_reads(client: Client) -> None:
    client.world.fault("pagerduty", "huge", count=1)
    read = 0
    async with client.session.post(f"{client.serving.url}{PATH}", json=EVENT) as answer:
        async for piece in answer.content.iter_chunked(65_536):
            read += len(piece)
            if read > 8 * 1024 * 1024:
                break
    assert read > 8 * 1024 * 1024
    assert (await client.post(PATH, EVENT)).status == 202


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"mode": "nonsense"},
        {"mode": "429", "count": 0},
        {"mode": "429", "count": True},
        {"mode": "429", "retry_after_s": -1},
        {"mode": "slow", "delay_ms": 10_000_000},
        {"mode": "429", "colour": "red"},
        [],
    ],
)
def test_a_wrong_wish_is_refused(wish: object) -> None:
    with pytest.raises(BadInput):
        Fault.parse(wish)


async def test_the_end_of_the_server_waits_for_nobody(world: World) -> None:
    """The server ends while a request hangs: the client sees its connection end, at once."""
    world.fault("pagerduty", "hang")
    failed: list[Exception] = []
    async with aiohttp.ClientSession() as session, anyio.create_task_group() as group, serve(world) as serving:

        async def hang() -> None:
            try:
                await session.post(f"{serving.url}{PATH}", json=EVENT)
            except aiohttp.ClientError as error:
                failed.append(error)

        group.start_soon(hang)
        while not world.received("pagerduty").faulted:
            await anyio.lowlevel.checkpoint()
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert len(failed) == 1
