"""Microsoft Teams: one Adaptive Card per version of an incident, posted to a Workflows address.

All text stands in `TextRun`s, which know no Markdown, with addresses broken: log text becomes no mention, link or markup.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aegis.core.exchange import failure, to_json
from aegis.core.incidents import Severity
from aegis.core.notifications import Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, numbered, state, told_note

NAME = "teams"

MESSAGE_BYTES_MAX = 28_000
"""learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using: 28 KB, some to spare."""

CARD_VERSION = "1.4"
"""Every client renders it; all elements used are of 1.2 (adaptivecards.io/explorer)."""

COLOURS = {Severity.LOW: "good", Severity.MEDIUM: "warning", Severity.HIGH: "warning", Severity.CRITICAL: "attention"}
HEADLINE_MAX, NOTE_MAX, LABEL_MAX = 300, 2_000, 40
ACTIONS_MAX = 6
"""Clients show the first six (learn.microsoft.com/adaptive-cards, host capabilities); ours are at most three."""

LENGTHS = ((4_000, 20, 500), (1_500, 12, 200), (500, 8, 100))
"""Summary and actions each, number of facts, one fact: the richest that fits the bound is sent; the last always fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A Workflows (Power Automate) flow that starts with "When a Teams webhook request is received"."""

    webhook: Secret = field(metadata={"help": "address of the flow; it holds a signature, so it is a secret"})


def payload(notification: Notification) -> dict[str, Any]:
    """The message with its card, at most `MESSAGE_BYTES_MAX` long however it is escaped."""
    if notification.change == "noted":
        return _note_message(notification)
    for lengths in LENGTHS:
        message = _message(notification, *lengths)
        # Escaped, a text is at most three times as long as in UTF-8.
        if 3 * len(to_json(message)) <= MESSAGE_BYTES_MAX or len(json.dumps(message)) <= MESSAGE_BYTES_MAX:
            break
    return message


def _message(notification: Notification, text_max: int, facts_max: int, fact_max: int) -> dict[str, Any]:
    title = fit(one_line(headline(notification)), HEADLINE_MAX, _encode)
    colour = "good" if notification.change == "resolved" else COLOURS[notification.severity]
    body = [_block(_run(title, weight="bolder", size="large", color=colour))]
    if notification.summary.strip():
        body.append(_block(_run(fit(lines(notification.summary), text_max, _encode))))
    for fact in first_facts(notification.facts, facts_max):
        label = fit(one_line(fact.label), 100, _encode)
        value = fit(lines(fact.value), fact_max, _encode)
        body.append(_block(_run(f"{label}: ", weight="bolder"), _run(value)))
    if notification.actions:
        body.append(_block(_run("What to do", weight="bolder")))
        body.append(_block(_run(fit(lines(numbered(notification.actions)), text_max, _encode))))
    where = " · ".join((state(notification), *notification.techniques))
    body.append(_block(_run(fit(one_line(where), fact_max, _encode), isSubtle=True, size="small")))
    return _carried(body, title, notification)


def _carried(body: list[dict[str, Any]], title: str, notification: Notification) -> dict[str, Any]:
    """The message that carries a card with this body."""
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": CARD_VERSION,
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": body,
    }
    if actions := _actions(notification):
        card["actions"] = actions
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _note_message(notification: Notification) -> dict[str, Any]:
    """A small card that holds a note and what it is about."""
    title = fit(one_line(headline(notification)), HEADLINE_MAX, _encode)
    said = fit(lines(told_note(notification)), NOTE_MAX, _encode)
    return _carried([_block(_run(said)), _block(_run(title, isSubtle=True, size="small"))], title, notification)


def _actions(notification: Notification) -> list[dict[str, Any]]:
    """Buttons open links, the only thing that works in a card that no bot stands behind; each page asks before it acts."""
    links = [(offered.label, offered.url) for offered in notification.buttons] + [("Open in Aegis", notification.link)]
    return [
        {"type": "Action.OpenUrl", "title": fit(one_line(label), LABEL_MAX, _encode), "url": url}
        for label, url in links[:ACTIONS_MAX]
        if web_link(url)
    ]


def _block(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **look: str | bool) -> dict[str, Any]:
    return {"type": "TextRun", "text": text or "-", **look}


def _encode(text: str) -> str:
    """Addresses broken, and no `{{DATE(...)}}`: clients replace such functions in card text."""
    return defang(text).replace("{{", "{ {")


class Teams:
    """`Notifier`. A flow gives no handle, so every version is a card of its own and `remote_id` stays empty."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - no handle
        """Post the card; 202 says that the flow took it, not that it was shown."""
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=self._config.webhook.reveal(),
                headers={"Content-Type": "application/json"},
                body=to_json(payload(notification)),
            )
        )
        if answer.status not in (200, 202):
            raise failure(NAME, answer, now=self._clock.now())
        return Receipt()


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Teams:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Teams(config, http, clock=clock)
