"""Claims about hostile text, read back by the rules of each channel: 600 and more texts, none becomes anything."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.connectors import hostile as corpus
from tests.connectors.readers import READERS
from tests.connectors.services import CASES, NotifierCase, body_of
from tests.connectors.stories import ScriptedHttp, hostile, notification

from aegis.core.notifications import Button, Notification

pytestmark = pytest.mark.anyio

PAGE = "https://aegis.company.test/incidents/inc_1"
ACT = "https://aegis.company.test/act/abc.def"
OURS = frozenset({PAGE, ACT})
TEXTS = corpus.texts()
CONTRACT_EVERY = 150
"""Schemas are slow: so many texts apart are checked against the contract as well, another choice for each channel."""

by_service = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def told(text: str) -> Notification:
    """The text wherever text from outside can stand; links are ours, as they are in the product."""
    return replace(hostile(text), link=PAGE, buttons=(Button(label="Acknowledge", verb="acknowledge", url=ACT),))


def messages(case: NotifierCase, http: ScriptedHttp) -> list[Any]:
    """The bodies that people are shown."""
    shown = [request for request in http.sent if not request.url.endswith("/search/jql")]
    return [body_of(request) for request in shown]


def _put(message: Any, path: tuple[str | int, ...], value: object) -> Any:
    """A copy of a message with another value at a place."""
    if not path:
        return value
    copy = message.copy()
    copy[path[0]] = _put(message[path[0]], path[1:], value) if path[1:] else value
    return copy


def _plants(path: tuple[str | int, ...], *values: object) -> tuple[Any, ...]:
    return tuple(partial(_put, path=path, value=value) for value in values)


LINKED = ("see https://evil.example/x", "www.evil.example", "mailto:x@evil", "10.0.0.1", "a\u202eb")
SLACK = (*_plants(("text",), *LINKED, "<!channel>", "<@U1>"), *_plants(("blocks", 0, "text", "type"), "mrkdwn"))
CARD = ("attachments", 0, "content")
RECORD = ("fields", "description", "content", 0)
PLANTED: dict[str, tuple[Any, ...]] = {
    "slack": SLACK,
    "slack webhook": SLACK,
    "teams": (
        *_plants((*CARD, "body", 0, "inlines", 0, "text"), *LINKED, "{{DATE(2026-01-01)}}"),
        *_plants((*CARD, "body", 0, "type"), "TextBlock"),
        *_plants((*CARD, "actions", 0, "url"), "https://evil.example"),
        *_plants((*CARD, "msteams"), {"entities": []}),
    ),
    "discord": (
        *_plants(("embeds", 0, "description"), *LINKED, "@everyone", "<@1>", "**b**", "[x](y)", "# h", "`c`", "||s||"),
        *_plants(("allowed_mentions",), {}),
    ),
    "pagerduty": (
        *_plants(("payload", "summary"), *LINKED),
        *_plants(("links",), [{"href": "https://evil.example"}]),
        *_plants(("images",), [{"src": "x"}]),
    ),
    "jira": (
        *_plants((*RECORD, "content", 0, "text"), *LINKED),
        *_plants((*RECORD, "type"), "mention"),
        *_plants((*RECORD, "content", 0, "marks"), [{"type": "link", "attrs": {"href": "https://evil.example"}}]),
    ),
    "datadog": _plants(("text",), *LINKED, "%%% **b**", "@slack-ops"),
    "datadog v2": (
        *_plants(("data", "attributes", "message"), *LINKED, "%%% **b**", "@slack-ops"),
        *_plants(("data", "attributes", "attributes", "links"), [{"url": "https://evil.example"}]),
    ),
    "sentry": _plants(("logentry", "formatted"), *LINKED),
    "splunk": _plants(("event", "summary"), "a\u202eb"),
}


def test_there_are_enough_of_them() -> None:
    assert len(TEXTS) >= 500


@by_service
async def test_no_text_becomes_a_link_a_mention_or_an_element(shared: Path, case: NotifierCase) -> None:
    found: list[str] = []
    for number, text in enumerate(TEXTS):
        http = ScriptedHttp(case.taken)
        await case.make(http).notify(told(text), remote_id="")
        for message in messages(case, http):
            found += [f"{text[:60]!r}: {what}" for what in READERS[case.name](message, OURS)]
        if number % CONTRACT_EVERY == len(case.name):
            found += [fault for request in http.sent for fault in case.breaches(shared, request)]
    assert found == []


@by_service
async def test_the_readers_see_what_is_there(case: NotifierCase) -> None:
    """A reader that sees nothing proves nothing."""
    http = ScriptedHttp(case.taken)
    await case.make(http).notify(replace(notification(), link=PAGE), remote_id="")
    (message, *_) = messages(case, http)
    assert READERS[case.name](message, OURS) == []
    for planted in PLANTED[case.name]:
        assert READERS[case.name](planted(message), OURS), planted
