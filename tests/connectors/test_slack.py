"""Claims about what Slack gets and how its answers are read."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.connectors.contracts import Contract
from tests.connectors.stories import (
    CANARY,
    EVERY,
    HOSTILE,
    HUGE,
    SECRET,
    FixedClock,
    ScriptedHttp,
    answer,
    hostile,
    notification,
    shown_secret,
    strings_in,
)

from aegis.connectors.slack import Config, Slack, payload
from aegis.core.errors import ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Button, Change
from aegis.core.secret import Secret

pytestmark = pytest.mark.anyio

POSTED = answer(200, {"ok": True, "channel": "C024BE91L", "ts": "1767323045.000100"})


def bot(http: ScriptedHttp) -> Slack:
    return Slack(Config(token=SECRET, channel="#incidents"), http, clock=FixedClock())


async def test_one_person_is_told_in_a_direct_message_once() -> None:
    http = ScriptedHttp([answer(200, {"ok": True, "channel": "D024BE91L", "ts": "1.2"})])
    slack, said = bot(http), notification(Severity.CRITICAL)
    first = await slack.send("U024BE7LH", said, bridge="+15550199")
    assert first.remote_id == "D024BE91L:1.2"
    (body,) = http.bodies()
    assert body["channel"] == "U024BE7LH"
    assert "+15550199" in json.dumps(body)
    assert (await slack.send("U024BE7LH", said)).note == "it was taken before"
    assert len(http.bodies()) == 1


@pytest.mark.parametrize("to", ["#incidents", "@anna", "C024BE91L", "u024be7lh", "U024BE7LH\n", ""])
async def test_only_the_id_of_a_member_is_a_person(to: str) -> None:
    http = ScriptedHttp([])
    assert not bot(http).accepts(to)
    with pytest.raises(ServiceError, match="member id"):
        await bot(http).send(to, notification())
    assert not hook(http).accepts("U024BE7LH"), "a webhook leads to one channel"


def hook(http: ScriptedHttp) -> Slack:
    address = Secret(f"https://hooks.slack.com/services/T0/B0/{CANARY}")
    return Slack(Config(webhook=address), http, clock=FixedClock())


@pytest.mark.parametrize(("severity", "change"), EVERY)
async def test_every_message_keeps_the_contract(shared: Path, severity: Severity, change: Change) -> None:
    http = ScriptedHttp([POSTED, answer(200, b"ok")])
    await bot(http).notify(notification(severity, change), remote_id="")
    await hook(http).notify(notification(severity, change), remote_id="")
    posted, hooked = http.bodies()
    assert Contract.of(shared, "slack", "chat_post_message").breaches(posted) == []
    assert Contract.of(shared, "slack", "incoming_webhook").breaches(hooked) == []
    assert Contract.of(shared, "slack", "limits").breaches(posted) == []


@pytest.mark.parametrize("text", [*HOSTILE, HUGE])
def test_hostile_text_keeps_the_contract_and_becomes_no_element(shared: Path, text: str) -> None:
    message = payload(hostile(text))
    assert Contract.of(shared, "slack", "limits").breaches(message) == []
    assert Contract.of(shared, "slack", "incoming_webhook").breaches(message) == []
    for shown in strings_in(message):
        assert "<" not in shown
        assert ">" not in shown
        assert re.sub(r"&(amp|lt|gt);", "", shown).count("&") == 0
        assert "://" not in shown
        assert "evil.example" not in shown
    kinds = {block["type"] for block in [*message["blocks"], *message["attachments"][0]["blocks"]]}
    assert kinds <= {"header", "section", "context"}
    assert '"mrkdwn"' not in json.dumps(message)


def test_text_is_read_back_as_it_was_written() -> None:
    shown = payload(notification(summary="a < b && c > d"))["attachments"][0]["blocks"][0]["text"]["text"]
    assert html.unescape(shown) == "a < b && c > d"


def test_a_clipped_message_keeps_the_severity_and_the_start_of_the_title() -> None:
    header = payload(notification(Severity.CRITICAL, title="x" * 100_000))["blocks"][0]["text"]["text"]
    assert header.startswith("CRITICAL: xxx")
    assert header.endswith("…")
    assert len(header) == 150


@pytest.mark.parametrize(
    ("severity", "colour"),
    [
        (Severity.LOW, "#439fe0"),
        (Severity.MEDIUM, "#ffcc00"),
        (Severity.HIGH, "#ff6600"),
        (Severity.CRITICAL, "#ff0000"),
    ],
)
def test_the_bar_has_the_colour_of_the_severity(severity: Severity, colour: str) -> None:
    assert payload(notification(severity))["attachments"][0]["color"] == colour


async def test_a_first_message_is_posted_and_its_handle_kept() -> None:
    http = ScriptedHttp([POSTED])
    receipt = await bot(http).notify(notification(), remote_id="")
    assert receipt.remote_id == "C024BE91L:1767323045.000100"
    assert http.sent[0].url == "https://slack.com/api/chat.postMessage"
    assert http.sent[0].headers["Authorization"] == f"Bearer {CANARY}"


async def test_a_later_version_edits_the_same_message() -> None:
    http = ScriptedHttp([POSTED])
    receipt = await bot(http).notify(notification(change="analysed", version=2), remote_id="C1:2.3")
    assert receipt.remote_id == "C1:2.3"
    assert http.sent[0].url.endswith("/api/chat.update")
    assert (http.bodies()[0]["channel"], http.bodies()[0]["ts"]) == ("C1", "2.3")


async def test_a_message_that_is_gone_is_posted_anew() -> None:
    http = ScriptedHttp([answer(200, {"ok": False, "error": "message_not_found"}), POSTED])
    receipt = await bot(http).notify(notification(version=2), remote_id="C1:2.3")
    assert (receipt.remote_id, len(http.sent)) == ("C024BE91L:1767323045.000100", 2)


async def test_a_webhook_gives_no_handle() -> None:
    receipt = await hook(ScriptedHttp([answer(200, b"ok")])).notify(notification(), remote_id="")
    assert receipt.remote_id == ""


@pytest.mark.parametrize(
    ("status", "body", "headers", "retryable", "wait_ms"),
    [
        (429, b"", {"retry-after": "30"}, True, 30_000),
        (500, b"<html>", {}, True, None),
        (503, b"", {}, True, None),
        (200, {"ok": False, "error": "ratelimited"}, {}, True, None),
        (200, {"ok": False, "error": "invalid_auth"}, {}, False, None),
        (200, {"ok": False, "error": f"{CANARY} with blanks"}, {}, False, None),
        (200, b"not json", {}, True, None),
        (200, {"hello": "world"}, {}, True, None),
        (302, b"", {"location": "https://evil.example"}, False, None),
        (404, b"", {}, False, None),
    ],
)
async def test_failures_are_told_apart(
    status: int, body: object, headers: dict[str, str], retryable: bool, wait_ms: int | None
) -> None:
    with pytest.raises(ServiceError) as caught:
        await bot(ScriptedHttp([answer(status, body, headers)])).notify(notification(), remote_id="")
    assert (caught.value.retryable, caught.value.retry_after_ms) == (retryable, wait_ms)
    assert not shown_secret(caught.value)


@pytest.mark.parametrize(("status", "word", "retryable"), [(410, b"channel_is_archived", False), (500, b"x", True)])
async def test_a_webhook_s_refusal_is_named(status: int, word: bytes, retryable: bool) -> None:
    with pytest.raises(ServiceError) as caught:
        await hook(ScriptedHttp([answer(status, word)])).notify(notification(), remote_id="")
    assert caught.value.retryable is retryable
    assert word.decode() in str(caught.value)
    assert not shown_secret(caught.value)


def test_a_config_needs_one_way_in() -> None:
    for wrong in ({}, {"token": SECRET}, {"token": SECRET, "channel": "#x", "webhook": SECRET}):
        with pytest.raises(ConfigError) as caught:
            Config(**wrong)
        assert not shown_secret(caught.value)
    assert CANARY not in repr(Config(token=SECRET, channel="#x"))


BUTTONS = (
    Button(label="Acknowledge", verb="acknowledge", url="https://aegis.example/act/abc.def"),
    Button(label="Resolve", verb="resolve"),
)


def elements(message: dict[str, Any]) -> list[dict[str, Any]]:
    (attachment,) = message["attachments"]
    return [one for block in attachment["blocks"] if block["type"] == "actions" for one in block["elements"]]


def test_buttons_open_their_signed_links_and_those_without_are_left_out() -> None:
    made = elements(payload(notification(buttons=BUTTONS)))
    assert [one["action_id"] for one in made] == ["aegis_open_acknowledge", "aegis_open"]
    assert made[0]["url"] == "https://aegis.example/act/abc.def"


def test_buttons_of_an_interactive_app_act_at_once() -> None:
    made = elements(payload(notification(buttons=BUTTONS), interactive=True))
    assert [(one["action_id"], one.get("value")) for one in made[:2]] == [
        ("aegis_acknowledge", "inc_01JG0000000000000000000001"),
        ("aegis_resolve", "inc_01JG0000000000000000000001"),
    ]
    assert not any("url" in one for one in made[:2])


@pytest.mark.parametrize("change", ["raised", "reopened", "escalated"])
async def test_what_people_have_to_hear_is_also_said_in_the_channel(change: Change) -> None:
    http = ScriptedHttp([POSTED, POSTED])
    receipt = await bot(http).notify(notification(change=change), remote_id="C1:2.3")
    assert [request.url.rpartition("/")[2] for request in http.sent] == ["chat.update", "chat.postMessage"]
    said = http.bodies()[1]
    assert (said["channel"], said["thread_ts"], said["reply_broadcast"]) == ("C1", "2.3", True)
    assert receipt.remote_id == "C1:2.3"


async def test_a_note_stands_in_the_thread_and_leaves_the_message_alone(shared: Path) -> None:
    http = ScriptedHttp([POSTED])
    receipt = await bot(http).notify(notification(change="noted"), remote_id="C1:2.3")
    said = http.bodies()[0]
    assert (said["thread_ts"], said["reply_broadcast"]) == ("2.3", False)
    assert said["blocks"][0]["text"]["text"] == "Note by Ada Lovelace in pagerduty: Locked the account."
    assert receipt.remote_id == "C1:2.3"
    assert Contract.of(shared, "slack", "chat_post_message").breaches(said) == []
