"""Discord: one embed per incident through a webhook, edited in place as the incident changes.

Mentions are switched off for the whole message, Markdown is escaped and addresses are broken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aegis.core.errors import ServiceError
from aegis.core.exchange import failure, from_json, json_object, to_json
from aegis.core.incidents import Severity
from aegis.core.notifications import Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, numbered, rfc3339, state, told_note

NAME = "discord"

TITLE_MAX, SUMMARY_MAX, ACTIONS_MAX, FIELDS_MAX, LABEL_MAX, VALUE_MAX, FOOTER_MAX = 256, 1_200, 900, 10, 50, 200, 200
"""docs.discord.com/developers/resources/message#embed-object-embed-limits: title 256, description 4096, 25 fields of
256 and 1024, footer 2048, and 6000 over all. Ours add up to less, so the sum holds whatever the text.
"""

LINKS_MAX = 900
"""Of the description, for our own links."""

COLOURS = {Severity.LOW: 0x439FE0, Severity.MEDIUM: 0xFFCC00, Severity.HIGH: 0xFF6600, Severity.CRITICAL: 0xFF0000}
RESOLVED_COLOUR = 0x2EB67D

UNKNOWN_MESSAGE = 10_008
"""docs.discord.com/developers/topics/opcodes-and-status-codes#json: the message was deleted by somebody."""

_ID = re.compile(r"[0-9]{1,20}")
_MARKUP = re.compile(r"[\\*_~|`>#\-+\[\]()<]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A webhook of one channel."""

    webhook: Secret = field(metadata={"help": "webhook address, https://discord.com/api/webhooks/ID/TOKEN"})


def payload(notification: Notification) -> dict[str, Any]:
    """The message: one embed, no content, no mentions."""
    if notification.change == "noted":
        return _note(notification)
    parts = [fit(lines(notification.summary), SUMMARY_MAX, _encode)]
    if links := _links(notification):
        parts.append(links)
    if notification.actions:
        parts.append("**What to do**\n" + fit(lines(numbered(notification.actions)), ACTIONS_MAX - 20, _encode))
    resolved = notification.change == "resolved"
    embed: dict[str, Any] = {
        "title": fit(one_line(headline(notification)), TITLE_MAX, _encode),
        "description": "\n\n".join(part for part in parts if part),
        "color": RESOLVED_COLOUR if resolved else COLOURS[notification.severity],
        "timestamp": rfc3339(notification.at),
        "footer": {
            "text": fit(one_line(" · ".join((state(notification), *notification.techniques))), FOOTER_MAX, _no_mention)
        },
        "fields": [
            {
                "name": fit(one_line(fact.label), LABEL_MAX, _encode) or "-",
                "value": fit(lines(fact.value), VALUE_MAX, _encode) or "-",
                "inline": True,
            }
            for fact in first_facts(notification.facts, FIELDS_MAX)
        ],
    }
    if link := web_link(notification.link):
        embed["url"] = link
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _note(notification: Notification) -> dict[str, Any]:
    """A small message that holds a note: a webhook can neither answer to a message nor open a thread."""
    embed = {
        "title": fit(one_line(headline(notification)), TITLE_MAX, _encode),
        "description": fit(lines(told_note(notification)), SUMMARY_MAX, _encode) or "-",
        "color": COLOURS[notification.severity],
        "timestamp": rfc3339(notification.at),
        "footer": {"text": fit(one_line(state(notification)), FOOTER_MAX, _no_mention)},
        "fields": [],
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _links(notification: Notification) -> str:
    """Our own signed links, side by side. A link is left out whole rather than cut."""
    made: list[str] = []
    for offered in notification.buttons:
        link = web_link(offered.url)
        one = f"[{fit(one_line(offered.label), LABEL_MAX, _encode)}]({link})"
        if link and not re.search(r"[()<>\[\]\\]", link) and len(" · ".join((*made, one))) <= LINKS_MAX:
            made.append(one)
    return " · ".join(made)


def _encode(text: str) -> str:
    """Markdown escaped (docs.discord.com/developers/reference#message-formatting: any punctuation may be)."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", _no_mention(text))


def _no_mention(text: str) -> str:
    """A zero-width blank after every @, so that nothing even looks like a mention to a client or a bot."""
    return defang(text).replace("@", "@\u200b")


class Discord:
    """`Notifier`. The receipt's `remote_id` is the message's id."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        """Post, or edit the message that `remote_id` names; a message that was deleted is posted anew."""
        message = payload(notification)
        noted = notification.change == "noted"
        if _ID.fullmatch(remote_id) and not noted:
            answer = await self._send("PATCH", f"/messages/{remote_id}", "", message)
            if answer.status == 200:
                return Receipt(remote_id=remote_id)
            if (json_object(answer) or {}).get("code") != UNKNOWN_MESSAGE:
                raise self._failure(answer)
        answer = await self._send("POST", "", "wait=true", message)
        if answer.status != 200:
            raise self._failure(answer)
        message_id = str(from_json(NAME, answer).get("id", ""))
        if noted:  # later changes edit the incident's message, never a note
            return Receipt(remote_id=remote_id)
        note = "the earlier message is gone, posted anew" if remote_id else ""
        return Receipt(remote_id=message_id if _ID.fullmatch(message_id) else "", note=note)

    def _failure(self, answer: HttpAnswer) -> ServiceError:
        """Discord says in seconds with decimals, in the body too, how long a rate limit lasts."""
        said = json_object(answer) or {}
        headers = dict(answer.headers)
        if answer.status == 429 and isinstance(said.get("retry_after"), int | float):
            headers.setdefault("retry-after", f"{said['retry_after']:.3f}")
        told = HttpAnswer(status=answer.status, headers=headers, body=b"")
        return failure(NAME, told, now=self._clock.now(), code=str(said.get("code", "")))

    async def _send(self, method: str, path: str, query: str, body: Mapping[str, Any]) -> HttpAnswer:
        address, _, own_query = self._config.webhook.reveal().partition("?")  # a forum's webhook has ?thread_id=
        queries = "&".join(part for part in (query, own_query) if part)
        return await self._http.send(
            HttpRequest(
                service=NAME,
                method=method,
                url=f"{address.rstrip('/')}{path}" + (f"?{queries}" if queries else ""),
                headers={"Content-Type": "application/json"},
                body=to_json(body),
            )
        )


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Discord:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Discord(config, http, clock=clock)
