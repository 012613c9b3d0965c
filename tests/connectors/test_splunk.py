"""Claims about what Splunk gets and how the collector's codes are read."""

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.connectors.contracts import Contract
from tests.connectors.stories import (
    CANARY,
    SECRET,
    FixedClock,
    ScriptedHttp,
    answer,
    hostile,
    notification,
    shown_secret,
)

from aegis.connectors.splunk import EVENT_BYTES_MAX, Config, Splunk, payload
from aegis.core.errors import ServiceError
from aegis.core.notifications import Notification
from aegis.core.ports import Http, HttpAnswer, HttpRequest

pytestmark = pytest.mark.anyio


def connector(http: ScriptedHttp) -> Splunk:
    return Splunk(Config(token=SECRET, base_url="https://hec.example:8088/"), http, clock=FixedClock())


async def test_an_event_carries_the_whole_incident_and_an_id_of_its_own() -> None:
    http = ScriptedHttp([answer(200, {"text": "Success", "code": 0})])
    receipt = await connector(http).notify(notification(version=3), remote_id="")
    body = http.bodies()[0]
    assert body["event"]["event_id"] == receipt.remote_id == "inc_01JG0000000000000000000001:3"
    assert body["event"]["incident"] == notification().document
    assert body["time"] == 1767323045.678
    assert "index" not in body
    assert http.sent[0].headers["Authorization"] == f"Splunk {CANARY}"
    assert http.sent[0].url == "https://hec.example:8088/services/collector/event"


def test_a_record_keeps_log_text_as_it_was() -> None:
    raw = "http://evil.example/<!channel>\u202e"
    assert payload(notification(document={"raw": raw}))["event"]["incident"]["raw"] == raw


async def test_text_that_is_no_unicode_still_leaves_as_json() -> None:
    http = ScriptedHttp([answer(200, {"text": "Success", "code": 0})])
    await connector(http).notify(notification(document={"raw": "\ud800", "n": 2**70}), remote_id="")
    assert http.bodies()[0]["event"]["incident"] == {"raw": "\ud800", "n": 2**70}


def test_a_record_too_large_leaves_without_its_document_and_says_so() -> None:
    event = payload(notification(document={"raw": "x" * EVENT_BYTES_MAX}))
    assert event["event"]["incident_omitted"] is True
    assert "incident" not in event["event"]
    assert len(json.dumps(payload(hostile("語" * 100_000)), ensure_ascii=False).encode()) <= EVENT_BYTES_MAX


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (503, 9, True),
        (500, 8, True),
        (400, 6, False),
        (403, 4, False),
        (401, 2, False),
        (200, 6, False),
        (200, 9, True),
    ],
)
async def test_the_collector_s_codes_are_told_apart(status: int, code: int, retryable: bool) -> None:
    http = ScriptedHttp([answer(status, {"text": "no", "code": code})])
    with pytest.raises(ServiceError, match=str(code)) as caught:
        await connector(http).notify(notification(), remote_id="")
    assert caught.value.retryable is retryable
    assert not shown_secret(caught.value)


async def test_a_success_without_a_code_is_no_success() -> None:
    with pytest.raises(ServiceError):
        await connector(ScriptedHttp([answer(200, {"hello": 1})])).notify(notification(), remote_id="")


class Patient(FixedClock):
    """Sleeps without waiting."""

    async def sleep_ms(self, milliseconds: int) -> None:
        await anyio.lowlevel.checkpoint()


def case(http: Http, **settings: Any) -> Splunk:
    config = Config(token=SECRET, base_url="https://splunk.example:8088", **settings)
    return Splunk(config, http, clock=Patient(), channel="6f1c5b1e-6f1c-4b1e-8f1c-5b1e6f1c5b1e")


def events_in(request: HttpRequest) -> list[dict[str, Any]]:
    packed = request.headers.get("Content-Encoding") == "gzip"
    body = gzip.decompress(request.body) if packed else request.body
    return [json.loads(line) for line in body.splitlines()]


@dataclass
class Slow:
    """Holds the first request until it is let go; keeps what was asked, answers in order, the last answer for ever."""

    answers: list[HttpAnswer]
    sent: list[HttpRequest] = field(default_factory=list)
    go: anyio.Event = field(default_factory=anyio.Event)

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.sent.append(request)
        if len(self.sent) == 1:
            await self.go.wait()
        return self.answers[min(len(self.sent), len(self.answers)) - 1]


async def tell_many(splunk: Splunk, http: Slow, count: int) -> list[ServiceError | None]:
    """One first, then the others while its request is under way."""
    ends: list[ServiceError | None] = [None] * count

    async def one(number: int) -> None:
        try:
            await splunk.notify(notification(version=number + 1), remote_id="")
        except ServiceError as error:
            ends[number] = error

    async with anyio.create_task_group() as group:
        group.start_soon(one, 0)
        await anyio.wait_all_tasks_blocked()
        for number in range(1, count):
            group.start_soon(one, number)
        await anyio.wait_all_tasks_blocked()
        http.go.set()
    return ends


TAKEN = answer(200, {"text": "Success", "code": 0})


async def test_what_comes_while_a_request_is_under_way_leaves_in_one() -> None:
    http = Slow([TAKEN])
    assert await tell_many(case(http), http, 40) == [None] * 40
    assert [len(events_in(request)) for request in http.sent] == [1, 39]
    assert [one["event"]["version"] for one in events_in(http.sent[1])] == list(range(2, 41))
    assert http.sent[1].headers["Content-Encoding"] == "gzip"


async def tell(splunk: Splunk, told: Notification) -> None:
    await splunk.notify(told, remote_id="")


async def test_a_batch_is_bounded_in_bytes() -> None:
    big = notification(document={"x": "y" * 400_000})
    http = Slow([TAKEN])
    splunk = case(http)
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(tell, splunk, big)
        await anyio.wait_all_tasks_blocked()
        http.go.set()
    assert sum(len(events_in(request)) for request in http.sent) == 6
    assert all(len(events_in(request)) <= 2 for request in http.sent)


async def test_an_event_that_cannot_be_read_is_left_out_and_the_others_arrive() -> None:
    refused = answer(400, {"text": "Invalid data format", "code": 6, "invalid-event-number": 3})
    http = Slow([TAKEN, refused, TAKEN])
    ends = await tell_many(case(http), http, 10)
    assert [number for number, end in enumerate(ends) if end is not None] == [4]
    assert ends[4] is not None
    assert not ends[4].retryable
    assert [one["event"]["version"] for one in events_in(http.sent[2])] == [2, 3, 4, 6, 7, 8, 9, 10]


async def test_a_batch_that_fails_fails_for_each_of_its_events() -> None:
    http = Slow([TAKEN, answer(503, {"text": "Server is busy", "code": 9})])
    ends = await tell_many(case(http), http, 5)
    assert [end is not None and end.retryable for end in ends] == [False, True, True, True, True]


async def test_an_event_is_delivered_once_the_indexers_have_it(shared: Path) -> None:
    taken = answer(200, {"text": "Success", "code": 0, "ackId": 7})
    http = ScriptedHttp([taken, answer(200, {"acks": {"7": False}}), answer(200, {"acks": {"7": True}})])
    await case(http, ack=True).notify(notification(), remote_id="")
    assert [request.url.rpartition("/")[2].partition("?")[0] for request in http.sent] == ["event", "ack", "ack"]
    assert http.sent[1].url.endswith("/ack?channel=6f1c5b1e-6f1c-4b1e-8f1c-5b1e6f1c5b1e")
    assert Contract.of(shared, "splunk_hec", "ack").breaches(http.bodies()[1]) == []
    assert {request.headers["X-Splunk-Request-Channel"] for request in http.sent} == {
        "6f1c5b1e-6f1c-4b1e-8f1c-5b1e6f1c5b1e"
    }


@pytest.mark.parametrize(
    ("answers", "retryable"),
    [
        ([answer(200, {"text": "Success", "code": 0, "ackId": 7}), *[answer(200, {"acks": {"7": False}})] * 10], True),
        ([TAKEN], False),
        ([answer(200, {"text": "Success", "code": 0, "ackId": 7}), answer(200, {"acks": "yes"})] + [TAKEN] * 9, True),
    ],
)
async def test_what_nobody_acknowledged_is_not_delivered(answers: list[HttpAnswer], retryable: bool) -> None:
    with pytest.raises(ServiceError) as caught:
        await case(ScriptedHttp(answers), ack=True).notify(notification(), remote_id="")
    assert caught.value.retryable is retryable
