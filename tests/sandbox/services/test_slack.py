"""Slack in the sandbox keeps messages, and refuses in Slack's words."""

from typing import Any

import pytest
from tests.sandbox.places import Client

pytestmark = pytest.mark.anyio

POST, UPDATE, HOOK = "/slack/api/chat.postMessage", "/slack/api/chat.update", "/slack/services/T0/B0/XtokenX"
TOKEN = "Bearer xoxb-canary-token"
RIGHT: dict[str, Any] = {
    "channel": "#incidents",
    "text": "CRITICAL: data leaves",
    "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "data leaves"}}],
}


async def test_a_posted_message_can_be_updated_by_its_channel_and_ts(client: Client) -> None:
    posted = (await client.post(POST, RIGHT, authorization=TOKEN)).json
    assert posted["ok"]
    again = {**RIGHT, "channel": posted["channel"], "ts": posted["ts"], "text": "resolved"}
    updated = (await client.post(UPDATE, again, authorization=TOKEN)).json
    assert (updated["ok"], updated["ts"], updated["text"]) == (True, posted["ts"], "resolved")
    (kept,) = client.world.documents("slack", "message")
    assert (kept["text"], kept["edits"]) == ("resolved", 1)


async def test_two_messages_of_one_second_have_different_ts_and_a_name_gives_one_channel(client: Client) -> None:
    first, second = [(await client.post(POST, RIGHT, authorization=TOKEN)).json for _ in range(2)]
    assert first["ts"] != second["ts"]
    assert first["channel"] == second["channel"]


async def test_history_shows_metadata_newest_first(client: Client) -> None:
    marks = {"event_type": "aegis_incident", "event_payload": {"id": "inc_1"}}
    posted = (await client.post(POST, {**RIGHT, "metadata": marks}, authorization=TOKEN)).json
    await client.post(POST, {**RIGHT, "text": "second"}, authorization=TOKEN)
    path = f"/slack/api/conversations.history?channel={posted['channel']}&include_all_metadata=true"
    newest, oldest = (await client.get(path, authorization=TOKEN)).json["messages"]
    assert (newest["text"], oldest["metadata"]) == ("second", marks)


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (POST, {"text": "no channel"}, "channel_not_found"),
        (POST, {"channel": "#x"}, "no_text"),
        (POST, {"channel": "#x", "text": "a" * 40_001}, "msg_too_long"),
        (POST, {**RIGHT, "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        (POST, {**RIGHT, "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        (
            POST,
            {**RIGHT, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "a" * 3001}}]},
            "invalid_blocks",
        ),
        (POST, {**RIGHT, "attachments": [{"blocks": [{"type": "nonsense"}]}]}, "invalid_attachments"),
        (POST, {**RIGHT, "colour": "red"}, "invalid_arguments"),
        (POST, {**RIGHT, "thread_ts": "1.2"}, "thread_not_found"),
        (UPDATE, {"channel": "#incidents", "ts": "1.2", "text": "x"}, "channel_not_found"),
        (UPDATE, {"channel": "C0123456789", "ts": "1.2", "text": "x"}, "message_not_found"),
        ("/slack/api/chat.nonsense", {}, "unknown_method"),
    ],
)
async def test_a_wrong_call_is_refused_with_200_and_its_error(
    client: Client, path: str, value: Any, error: str
) -> None:
    answer = await client.post(path, value, authorization=TOKEN)
    assert (answer.status, answer.json["ok"], answer.json["error"]) == (200, False, error)
    tally = client.world.received("slack")
    assert (tally.received, tally.rejected) == (0, 1)
    assert tally.records[0].refused


async def test_a_call_without_a_token_is_refused(client: Client) -> None:
    assert (await client.post(POST, RIGHT)).json["error"] == "not_authed"


async def test_a_webhook_answers_in_plain_words(client: Client) -> None:
    right = await client.post(HOOK, {"text": "hello"})
    wrong = await client.post(HOOK, data=b"{", content_type="application/json")
    empty = await client.post(HOOK, {"username": "x"})
    assert (right.status, right.body) == (200, b"ok")
    assert (wrong.status, wrong.body) == (400, b"invalid_payload")
    assert (empty.status, empty.body) == (400, b"no_text")
    assert client.world.received("slack").first_line == "hello"


async def test_the_webhooks_token_is_not_recorded(client: Client) -> None:
    await client.post(HOOK, {"text": "XtokenX leaked"})
    record = client.world.received("slack").records[0]
    assert (record.path, record.body) == ("/services/T0/B0/***", '{"text": "*** leaked"}')
