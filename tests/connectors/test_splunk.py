"""Claims about what Splunk gets and how the collector's codes are read."""

import json

import pytest
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
