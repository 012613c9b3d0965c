"""Discord in the sandbox keeps messages by id, and nests its errors as the real one does."""

from typing import Any

import pytest
from tests.sandbox.places import Client, Contracts

pytestmark = pytest.mark.anyio

HOOK = "/discord/api/v10/webhooks/123456789012345678/canary-webhook-token"
RIGHT: dict[str, Any] = {
    "content": "",
    "embeds": [
        {"title": "data leaves", "description": "what", "color": 0xFF0000, "fields": [{"name": "a", "value": "b"}]}
    ],
    "allowed_mentions": {"parse": []},
}


async def test_a_message_can_be_waited_for_edited_and_read(client: Client, contracts: Contracts) -> None:
    posted = await client.post(f"{HOOK}?wait=true", RIGHT)
    number = posted.json["id"]
    edited = await client.ask("PATCH", f"{HOOK}/messages/{number}", value={"content": "resolved"})
    read = await client.get(f"{HOOK}/messages/{number}")
    assert (posted.status, edited.status, read.json["content"], read.json["id"]) == (200, 200, "resolved", number)
    assert read.json["embeds"][0]["title"] == "data leaves"
    assert contracts.breaches("discord", "execute_webhook.200", posted.json) == []
    assert contracts.breaches("discord", "update_webhook_message.200", edited.json) == []


async def test_without_wait_no_message_comes_back(client: Client) -> None:
    answer = await client.post("/discord/api/webhooks/123456789012345678/token", {"content": "x"})
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"content": "a" * 2_001}, ["content"]),
        ({"embeds": [{"title": "a" * 257}]}, ["embeds", "0", "title"]),
        ({"embeds": [{"title": "x"}] * 11}, ["embeds"]),
        ({"embeds": [{"fields": [{"name": "a"}]}]}, ["embeds", "0", "fields", "0", "value"]),
        ({"embeds": [{"description": "a" * 4_000}] * 2}, ["embeds"]),
        ({"content": "x", "allowed_mentions": {"parse": ["all"]}}, ["allowed_mentions", "parse", "0"]),
        ({"content": "x", "text": "y"}, ["text"]),
    ],
)
async def test_a_wrong_message_is_refused_at_its_place(client: Client, wrong: Any, where: list[str]) -> None:
    answer = await client.post(HOOK, wrong)
    assert (answer.status, answer.json["code"]) == (400, 50035)
    node = answer.json["errors"]
    for part in where:
        node = node[part]
    assert node["_errors"][0]["message"]


async def test_an_empty_message_and_an_unknown_one_have_their_codes(client: Client) -> None:
    assert (await client.post(HOOK, {"content": ""})).json["code"] == 50006
    assert (await client.ask("PATCH", f"{HOOK}/messages/1", value={"content": "x"})).json["code"] == 10008


async def test_a_limit_is_told_in_body_and_header(client: Client, contracts: Contracts) -> None:
    client.world.fault("discord", "429", count=1, retry_after_s=3)
    answer = await client.post(HOOK, RIGHT)
    assert (answer.status, answer.json["retry_after"], answer.headers["retry-after"]) == (429, 3.0, "3")
    assert contracts.breaches("discord", "execute_webhook.429", answer.json) == []


async def test_the_webhooks_token_is_not_recorded(client: Client) -> None:
    await client.post(HOOK, RIGHT)
    assert client.world.received("discord").records[0].path == "/api/v10/webhooks/123456789012345678/***"
