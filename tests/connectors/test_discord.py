"""Claims about what Discord gets and how its answers are read."""

import re

import pytest
from tests.connectors.stories import (
    CANARY,
    HOSTILE,
    HUGE,
    FixedClock,
    ScriptedHttp,
    answer,
    hostile,
    notification,
    shown_secret,
)

from aegis.connectors.discord import Config, Discord, payload
from aegis.core.errors import ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Button
from aegis.core.secret import Secret

pytestmark = pytest.mark.anyio

SENT = answer(200, {"id": "1183000000000000001"})


def connector(http: ScriptedHttp, query: str = "") -> Discord:
    address = Secret(f"https://discord.com/api/webhooks/9/{CANARY}{query}")
    return Discord(Config(webhook=address), http, clock=FixedClock())


@pytest.mark.parametrize("text", [*HOSTILE, HUGE])
def test_read_back_as_markdown_no_hostile_text_is_an_element(text: str) -> None:
    embed = payload(hostile(text))["embeds"][0]
    shown = [embed["title"], embed["description"].replace("**What to do**", ""), *embed["fields"][0].values()]
    for raw in (item for item in shown if isinstance(item, str)):
        unescaped = re.sub(r"\\[^0-9A-Za-z\s]", "", raw)
        assert not re.search(r"[*_~|`>#\[\]()<]", unescaped)
        assert not re.search(r"@[!&\w]", raw)
    assert not re.search(r"@[!&\w]", embed["footer"]["text"])
    assert "url" not in embed


def test_mentions_are_switched_off_for_the_whole_message() -> None:
    assert payload(notification())["allowed_mentions"] == {"parse": []}
    assert "content" not in payload(notification())


@pytest.mark.parametrize(
    ("severity", "colour"),
    [(Severity.LOW, 0x439FE0), (Severity.MEDIUM, 0xFFCC00), (Severity.HIGH, 0xFF6600), (Severity.CRITICAL, 0xFF0000)],
)
def test_the_embed_has_the_colour_of_the_severity(severity: Severity, colour: int) -> None:
    assert payload(notification(severity))["embeds"][0]["color"] == colour


async def test_a_first_message_waits_for_its_id() -> None:
    http = ScriptedHttp([SENT])
    receipt = await connector(http, "?thread_id=5").notify(notification(), remote_id="")
    assert receipt.remote_id == "1183000000000000001"
    assert http.sent[0].method == "POST"
    assert http.sent[0].url.endswith(f"/9/{CANARY}?wait=true&thread_id=5")


async def test_a_later_version_edits_the_same_message() -> None:
    http = ScriptedHttp([SENT])
    receipt = await connector(http).notify(notification(change="resolved", version=5), remote_id="77")
    assert (receipt.remote_id, http.sent[0].method) == ("77", "PATCH")
    assert http.sent[0].url.endswith(f"/9/{CANARY}/messages/77")


async def test_a_deleted_message_is_posted_anew() -> None:
    http = ScriptedHttp([answer(404, {"message": "Unknown Message", "code": 10008}), SENT])
    receipt = await connector(http).notify(notification(version=2), remote_id="77")
    assert (receipt.remote_id, [request.method for request in http.sent]) == ("1183000000000000001", ["PATCH", "POST"])


async def test_a_deleted_webhook_is_not_tried_again() -> None:
    http = ScriptedHttp([answer(404, {"message": "Unknown Webhook", "code": 10015})])
    with pytest.raises(ServiceError, match="10015") as caught:
        await connector(http).notify(notification(version=2), remote_id="77")
    assert not caught.value.retryable
    assert len(http.sent) == 1


async def test_the_wait_of_a_rate_limit_is_read_from_the_body_too() -> None:
    http = ScriptedHttp([answer(429, {"message": "x", "retry_after": 0.651, "global": False})])
    with pytest.raises(ServiceError) as caught:
        await connector(http).notify(notification(), remote_id="")
    assert (caught.value.retry_after_ms, caught.value.retryable) == (651, True)
    assert not shown_secret(caught.value)


async def test_a_handle_that_is_no_id_never_reaches_an_address() -> None:
    http = ScriptedHttp([answer(200, {"id": "../../x"})])
    receipt = await connector(http).notify(notification(), remote_id="../users/@me")
    assert (receipt.remote_id, http.sent[0].method) == ("", "POST")


async def test_a_note_is_a_message_of_its_own_and_the_incidents_stays_the_one_that_is_edited() -> None:
    http = ScriptedHttp([answer(200, {"id": "99"})])
    receipt = await connector(http).notify(notification(change="noted"), remote_id="1183")
    assert http.sent[0].method == "POST"
    assert receipt.remote_id == "1183"


def test_signed_links_stand_in_the_text_whole_or_not_at_all() -> None:
    good = Button(label="Acknowledge", verb="acknowledge", url="https://aegis.example/act/abc.def")
    bad = Button(label="Resolve", verb="resolve", url="https://aegis.example/act/a)b(c")
    long = Button(label="Reopen", verb="reopen", url="https://aegis.example/act/" + "a" * 1_000)
    said = payload(notification(buttons=(good, bad, long)))["embeds"][0]["description"]
    assert "[Acknowledge](https://aegis.example/act/abc.def)" in said
    assert "Resolve]" not in said
    assert "Reopen]" not in said
