"""Claims that hold for every service people or log platforms are told through."""

import re
from pathlib import Path

import pytest
from tests.connectors.services import CASES, NotifierCase, body_of
from tests.connectors.stories import (
    EVERY,
    HOSTILE,
    HUGE,
    ScriptedHttp,
    answer,
    hostile,
    notification,
    shown_secret,
    strings_in,
)

from aegis.core.errors import Billed, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Change

pytestmark = pytest.mark.anyio

by_service = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)


@by_service
@pytest.mark.parametrize(("severity", "change"), EVERY)
async def test_every_request_keeps_the_contract(
    shared: Path, case: NotifierCase, severity: Severity, change: Change
) -> None:
    http = ScriptedHttp(case.answers(change))
    await case.make(http).notify(notification(severity, change), remote_id="")
    assert http.sent
    assert [fault for request in http.sent for fault in case.breaches(shared, request)] == []


@by_service
@pytest.mark.parametrize("text", [*HOSTILE, HUGE], ids=range(len(HOSTILE) + 1))
async def test_hostile_text_keeps_the_contract(shared: Path, case: NotifierCase, text: str) -> None:
    http = ScriptedHttp(case.taken)
    await case.make(http).notify(hostile(text), remote_id="")
    assert [fault for request in http.sent for fault in case.breaches(shared, request)] == []


@by_service
@pytest.mark.parametrize("text", [*HOSTILE, HUGE], ids=range(len(HOSTILE) + 1))
async def test_hostile_text_carries_no_live_address_and_nothing_hidden(case: NotifierCase, text: str) -> None:
    http = ScriptedHttp(case.taken)
    await case.make(http).notify(hostile(text), remote_id="")
    for request in http.sent:
        body = body_of(request)
        if case.name == "splunk":
            body["event"].pop("incident", None)  # the record itself stays as it was: a search must find it
        body.get("attachments", [{}])[0].get("content", {}).pop("$schema", None)
        for shown in strings_in(body):
            assert not HIDDEN.search(shown)
            if case.name != "splunk":
                assert "://" not in shown
                assert "evil.example" not in shown.lower()


@by_service
async def test_an_empty_notification_keeps_the_contract(shared: Path, case: NotifierCase) -> None:
    http = ScriptedHttp(case.taken)
    bare = notification(title="", summary="", facts=(), actions=(), techniques=(), link="", source="", document={})
    await case.make(http).notify(bare, remote_id="")
    assert [fault for request in http.sent for fault in case.breaches(shared, request)] == []


@by_service
@pytest.mark.parametrize(
    ("status", "headers", "retryable", "wait_ms"),
    [
        (429, {"retry-after": "7"}, True, 7_000),
        (429, {"retry-after": "1.25"}, True, 1_250),
        (429, {"retry-after": "Fri, 02 Jan 2026 03:04:35 GMT"}, True, 29_000),
        (429, {"retry-after": "999999999"}, True, 86_400_000),
        (500, {}, True, None),
        (502, {}, True, None),
        (503, {"retry-after": "120"}, True, 120_000),
        (400, {}, False, None),
        (401, {}, False, None),
        (403, {}, False, None),
        (404, {}, False, None),
        (413, {}, False, None),
        (302, {"location": "https://elsewhere.example/"}, False, None),
    ],
)
async def test_what_an_answer_means_for_a_retry(
    case: NotifierCase, status: int, headers: dict[str, str], retryable: bool, wait_ms: int | None
) -> None:
    http = ScriptedHttp([answer(status, b"<html>no</html>", headers)])
    with pytest.raises(ServiceError) as caught:
        await case.make(http).notify(notification(), remote_id="")
    error = caught.value
    assert (error.retryable, error.retry_after_ms, error.status) == (retryable, wait_ms, status)
    assert error.billed is (Billed.NO if status < 500 else Billed.UNKNOWN)
    assert not shown_secret(error)


@by_service
async def test_no_secret_shows_in_what_a_person_might_print(case: NotifierCase) -> None:
    http = ScriptedHttp(case.taken)
    made = case.make(http)
    await made.notify(notification(), remote_id="")
    assert "canary" not in f"{made!r} {vars(made)} {http.sent!r}"


@by_service
async def test_a_failure_of_the_connection_passes_through(case: NotifierCase) -> None:
    cut = ServiceError(case.make(ScriptedHttp([])).name, "the connection was cut", retryable=True)
    with pytest.raises(ServiceError) as caught:
        await case.make(ScriptedHttp([cut])).notify(notification(), remote_id=case.remote_id)
    assert caught.value is cut


@by_service
async def test_the_same_version_sent_twice_is_the_same_request(case: NotifierCase) -> None:
    first, second = ScriptedHttp(case.taken), ScriptedHttp(case.taken)
    await case.make(first).notify(notification(), remote_id="")
    await case.make(second).notify(notification(), remote_id="")
    assert [request.body for request in first.sent] == [request.body for request in second.sent]
