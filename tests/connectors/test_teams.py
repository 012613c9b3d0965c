"""Claims about what Teams gets."""

import json
from typing import Any

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
)

from aegis.connectors.teams import Config, Teams, payload
from aegis.core.incidents import Severity
from aegis.core.notifications import Button
from aegis.core.secret import Secret

pytestmark = pytest.mark.anyio


def card(message: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = message["attachments"][0]["content"]
    return content


@pytest.mark.parametrize("text", [*HOSTILE, HUGE])
def test_hostile_text_stands_in_elements_that_know_no_markup(text: str) -> None:
    made = card(payload(hostile(text)))
    assert {block["type"] for block in made["body"]} == {"RichTextBlock"}
    runs = [run for block in made["body"] for run in block["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    assert all("{{" not in run["text"] and "selectAction" not in run for run in runs)
    assert "actions" not in made
    assert "entities" not in made["msteams"]


@pytest.mark.parametrize("text", ["x" * 100_000, "😀" * 100_000, '"\\' * 50_000, "\n" * 100_000, "語" * 100_000])
def test_a_message_stays_below_the_bound_and_keeps_severity_and_actions(text: str) -> None:
    message = payload(hostile(text, Severity.CRITICAL))
    assert len(json.dumps(message)) <= 28_000
    assert card(message)["body"][0]["inlines"][0]["text"].startswith("CRITICAL:")
    assert "What to do" in json.dumps(message)


@pytest.mark.parametrize(
    ("severity", "colour"),
    [
        (Severity.LOW, "good"),
        (Severity.MEDIUM, "warning"),
        (Severity.HIGH, "warning"),
        (Severity.CRITICAL, "attention"),
    ],
)
def test_the_headline_has_the_colour_of_the_severity(severity: Severity, colour: str) -> None:
    assert card(payload(notification(severity)))["body"][0]["inlines"][0]["color"] == colour


def test_the_button_opens_our_own_page() -> None:
    made = card(payload(notification()))
    assert [action["type"] for action in made["actions"]] == ["Action.OpenUrl"]
    assert made["actions"][0]["url"] == notification().link
    assert made["version"] == "1.4"


@pytest.mark.parametrize("status", [200, 202])
async def test_a_flow_gives_no_handle(status: int) -> None:
    http = ScriptedHttp([answer(status)])
    address = Secret(f"https://x.environment.api.powerplatform.com/workflows/1?api-version=1&sig={CANARY}%2B")
    receipt = await Teams(Config(webhook=address), http, clock=FixedClock()).notify(notification(), remote_id="")
    assert (receipt.remote_id, http.sent[0].url) == ("", address.reveal())


def test_a_card_offers_what_can_be_done_by_signed_links() -> None:
    offered = (
        Button(label="Acknowledge", verb="acknowledge", url="https://aegis.example/act/abc.def"),
        Button(label="Resolve", verb="resolve", url="javascript:alert(1)"),
    )
    card = payload(notification(buttons=offered))["attachments"][0]["content"]
    assert [(one["title"], one["url"]) for one in card["actions"]] == [
        ("Acknowledge", "https://aegis.example/act/abc.def"),
        ("Open in Aegis", "http://127.0.0.1:8787/incidents/inc_01JG0000000000000000000001"),
    ]


def test_a_note_is_a_small_card() -> None:
    card = payload(notification(change="noted"))["attachments"][0]["content"]
    assert card["body"][0]["inlines"][0]["text"] == "Note by Ada Lovelace in pagerduty: Locked the account."
