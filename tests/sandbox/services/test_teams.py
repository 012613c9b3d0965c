"""Teams in the sandbox takes Adaptive Cards, answers 202 and says what is wrong."""

from typing import Any

import pytest
from tests.sandbox.places import Client, Contracts

pytestmark = pytest.mark.anyio

PATH = "/teams/workflows/one/invoke?api-version=1&sig=canary-signature"
TEXT: dict[str, Any] = {"type": "TextBlock", "text": "data leaves"}


def message(*body: Any, **card: Any) -> dict[str, Any]:
    content = {"type": "AdaptiveCard", "version": "1.4", "body": list(body or (TEXT,)), **card}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [attachment]}


async def test_a_card_is_accepted_and_its_first_text_is_what_people_see(client: Client) -> None:
    run = {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "CRITICAL: data leaves"}]}
    answer = await client.post(PATH, message(run, TEXT))
    assert (answer.status, answer.body) == (202, b"")
    assert client.world.received("teams").first_line == "CRITICAL: data leaves"


@pytest.mark.parametrize(
    "wrong",
    [
        message(version="1.6"),
        message({"type": "Nonsense"}),
        message({"type": "TextBlock"}),
        message(actions=[{"type": "Action.Submit", "title": "x"}]),
        message(actions=[{"type": "Action.OpenUrl", "title": "x", "url": "javascript:x"}]),
        {**message(), "type": "card"},
        {"type": "message", "attachments": []},
        {"text": "the old form"},
        [],
    ],
)
async def test_a_wrong_card_is_refused(client: Client, wrong: Any) -> None:
    answer = await client.post(PATH, wrong)
    assert (answer.status, answer.json["error"]["code"]) == (400, "TriggerInputSchemaMismatch")
    assert client.world.received("teams").rejected == 1


async def test_a_card_of_more_than_28_kb_is_refused(client: Client) -> None:
    assert (await client.post(PATH, message({"type": "TextBlock", "text": "a" * 29_000}))).status == 413


async def test_the_right_card_keeps_the_contract(contracts: Contracts) -> None:
    assert contracts.breaches("teams", "workflow_webhook", message(), "requests") == []


async def test_the_signature_is_not_recorded(client: Client) -> None:
    await client.post(PATH, message({"type": "TextBlock", "text": "canary-signature"}))
    record = client.world.received("teams").records[0]
    assert record.query["sig"] == ["***"]
    assert "canary-signature" not in f"{record.body}{record.line}"
