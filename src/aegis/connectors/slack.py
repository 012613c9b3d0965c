"""Slack: one message per incident, edited in place as the incident changes (bot token), or posted anew (webhook).

One person is told in a direct message, always a new one. An edit rings for nobody, so what people have to hear (a raise, a reopening, an escalation) is also said in the message's
thread and shown in the channel; notes stand in the thread only.
All text is `plain_text`, escaped and without live addresses: log text becomes no mention, link, emoji or markup.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.exchange import code_word, failure, from_json, to_json
from aegis.core.incidents import Severity
from aegis.core.notifications import Change, Fact, Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, numbered, state, told_note

NAME = "slack"

HEADER_MAX, SECTION_MAX, FIELDS_MAX, FIELD_MAX = 150, 3_000, 10, 2_000
"""docs.slack.dev/reference/block-kit/blocks: header-block, section-block."""

BUTTON_MAX, VALUE_MAX, ELEMENTS_MAX = 75, 2_000, 25
"""docs.slack.dev/reference/block-kit: button-element, actions-block."""

FALLBACK_MAX = 4_000
"""docs.slack.dev/reference/methods/chat.postMessage: what Slack recommends for `text`."""

COLOURS = {Severity.LOW: "#439fe0", Severity.MEDIUM: "#ffcc00", Severity.HIGH: "#ff6600", Severity.CRITICAL: "#ff0000"}
RESOLVED_COLOUR = "#2eb67d"

PASSING_ERRORS = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
"""docs.slack.dev/reference/methods/chat.postMessage, errors: the ones that may pass by waiting."""

LOUD = frozenset[Change]({"raised", "reopened", "escalated"})
"""Changes that somebody has to hear of although the message is there already."""

GONE_ERRORS = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
"""docs.slack.dev/reference/methods/chat.update, errors: the message cannot be edited any more, a new one can be sent."""

USER = re.compile(r"[UW][A-Z0-9]{2,30}")
"""A member's id (in Slack: profile, "Copy member ID"). As the channel of chat.postMessage it is that person's direct
message: docs.slack.dev/reference/methods/chat.postMessage, "Channels".
"""

REMEMBERED_MAX = 1_000
"""Direct messages of which a second copy is told apart from a first: those of the last hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A bot token with a channel, or an incoming webhook's address."""

    token: Secret | None = field(default=None, metadata={"help": "bot token (xoxb-...) with the scope chat:write"})
    channel: str = field(default="", metadata={"help": "channel id or #name that the bot was invited to"})
    webhook: Secret | None = field(default=None, metadata={"help": "incoming webhook address, instead of a token"})
    interactive: bool = field(
        default=False, metadata={"help": "the app's interactivity leads to this Aegis: buttons act at once"}
    )
    base_url: str = field(default="https://slack.com", metadata={"help": "where Slack's API stands"})

    def __post_init__(self) -> None:
        if bool(self.token) == bool(self.webhook):
            raise ConfigError("slack: give either token and channel, or webhook")
        if self.token and not self.channel:
            raise ConfigError("slack: a token needs a channel")


def payload(notification: Notification, *, interactive: bool = False) -> dict[str, Any]:
    """The message: a header, and under a bar in the severity's colour the summary, facts, actions and buttons.

    `interactive` buttons come back as interactions; others open their signed links.
    """
    resolved = notification.change == "resolved"
    blocks: list[dict[str, Any]] = []
    if notification.summary.strip():
        blocks.append({"type": "section", "text": _plain(notification.summary, SECTION_MAX)})
    facts = [_plain(f"{fact.label}:\n{fact.value}", FIELD_MAX) for fact in first_facts(notification.facts, FIELDS_MAX)]
    if facts:
        blocks.append({"type": "section", "fields": facts})
    if notification.actions:
        blocks.append({"type": "section", "text": _plain(f"What to do\n{numbered(notification.actions)}", SECTION_MAX)})
    where = " · ".join((state(notification), *notification.techniques))
    blocks.append({"type": "context", "elements": [_plain(where, FIELD_MAX)]})
    if elements := _buttons(notification, interactive=interactive):
        blocks.append({"type": "actions", "elements": elements})
    title = one_line(headline(notification))
    return {
        "text": fit(title, FALLBACK_MAX, _encode),
        "blocks": [{"type": "header", "text": _plain(title, HEADER_MAX)}],
        "attachments": [
            {"color": RESOLVED_COLOUR if resolved else COLOURS[notification.severity], "blocks": blocks},
        ],
    }


def thread_payload(notification: Notification) -> dict[str, Any]:
    """What stands in the thread: a note as it was written, else the headline and how it stands."""
    said, top = lines(told_note(notification)), one_line(headline(notification))
    if not said:
        said = f"{top}\n{state(notification)}"
    return {
        "text": fit(one_line(said), FALLBACK_MAX, _encode),
        "blocks": [{"type": "section", "text": _plain(said, SECTION_MAX)}],
    }


def _buttons(notification: Notification, *, interactive: bool) -> list[dict[str, Any]]:
    """Buttons that act, where they can, and the one that opens the incident's page."""
    made: list[dict[str, Any]] = []
    for offered in notification.buttons:
        button = {"type": "button", "text": _plain(offered.label, BUTTON_MAX)}
        if interactive and len(notification.incident_id) <= VALUE_MAX:
            made.append({**button, "action_id": f"aegis_{offered.verb}", "value": notification.incident_id})
        elif link := web_link(offered.url):
            made.append({**button, "action_id": f"aegis_open_{offered.verb}", "url": link})
    if link := web_link(notification.link):
        opening = _plain("Open in Aegis", BUTTON_MAX)
        made.append({"type": "button", "text": opening, "url": link, "action_id": "aegis_open"})
    return made[:ELEMENTS_MAX]


class Slack:
    """`Notifier`, and with a bot token `Messenger`. The receipt's `remote_id` is `channel:ts`, empty with a webhook."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock
        self._taken: OrderedDict[tuple[str, str, int, Change], str] = OrderedDict()

    def accepts(self, to: str) -> bool:
        return self._config.token is not None and USER.fullmatch(to) is not None

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        """One direct message to one member. The same version is sent once, while this process remembers."""
        if not self.accepts(to):
            raise ServiceError(NAME, "that is no member id (U...), or no token", retryable=False, billed=Billed.NO)
        key = (to, notification.dedup_key, notification.version, notification.change)
        if key in self._taken:
            return Receipt(remote_id=self._taken[key], note="it was taken before")
        if bridge and bridge not in (fact.value for fact in notification.facts):
            notification = replace(notification, facts=(Fact("Conference", bridge), *notification.facts))
        message = payload(notification, interactive=self._config.interactive)
        self._taken[key] = await self._post(message, channel=to)
        if len(self._taken) > REMEMBERED_MAX:
            self._taken.popitem(last=False)
        return Receipt(remote_id=self._taken[key])

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        """Post, or edit the message that `remote_id` names; a message that is gone is posted anew. A note goes into the
        message's thread, or into the channel where there is none.
        """
        noted = notification.change == "noted"
        message = payload(notification, interactive=self._config.interactive)
        if self._config.webhook:
            await self._post_to_webhook(self._config.webhook, thread_payload(notification) if noted else message)
            return Receipt()
        channel, _, ts = remote_id.partition(":")
        if noted:
            await self._post(thread_payload(notification), channel=channel, thread=ts)
            return Receipt(remote_id=remote_id)
        if channel and ts and await self._edited(channel, ts, message):
            if notification.change in LOUD:
                await self._post(thread_payload(notification), channel=channel, thread=ts, shown_in_channel=True)
            return Receipt(remote_id=remote_id)
        note = "the earlier message is gone, posted anew" if remote_id else ""
        return Receipt(remote_id=await self._post(message), note=note)

    async def _edited(self, channel: str, ts: str, message: Mapping[str, Any]) -> bool:
        """Whether the message could be edited; False when it is gone."""
        answer = await self._call("chat.update", {"channel": channel, "ts": ts, "parse": "none", **message})
        return answer.get("ok") is True

    async def _post(
        self, message: Mapping[str, Any], *, channel: str = "", thread: str = "", shown_in_channel: bool = False
    ) -> str:
        """Post a message, into a thread where one is named; returns its handle."""
        quiet = {"parse": "none", "mrkdwn": False, "link_names": False, "unfurl_links": False, "unfurl_media": False}
        place: dict[str, Any] = {"channel": channel or self._config.channel}
        if thread:
            place |= {"thread_ts": thread, "reply_broadcast": shown_in_channel}
        answer = await self._call("chat.postMessage", {**place, **quiet, **message})
        return f"{answer.get('channel', '')}:{answer.get('ts', '')}"

    async def _call(self, method: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A Web API call. Slack answers 200 with `ok: false` to most errors; a message that is gone is returned."""
        token = self._config.token.reveal() if self._config.token else ""
        url = f"{self._config.base_url.rstrip('/')}/api/{method}"
        http_answer = await self._send(url, body, {"Authorization": f"Bearer {token}"})
        if http_answer.status != 200:
            raise failure(NAME, http_answer, now=self._clock.now())
        answer = from_json(NAME, http_answer)
        error = code_word(answer.get("error"))
        if answer.get("ok") is True or (method == "chat.update" and error in GONE_ERRORS):
            return answer
        passing = error in PASSING_ERRORS or answer.get("ok") is not False  # neither yes nor no: not Slack's own words
        raise ServiceError(
            NAME, f"refused: {error or 'no reason given'}", retryable=passing, billed=Billed.NO, status=200
        )

    async def _post_to_webhook(self, webhook: Secret, message: Mapping[str, Any]) -> None:
        quiet = {"link_names": False, "unfurl_links": False, "unfurl_media": False}
        answer = await self._send(webhook.reveal(), {**quiet, **message}, {})
        if answer.status != 200:
            # A webhook answers its errors as one word of text: invalid_payload, no_service, channel_is_archived.
            raise failure(NAME, answer, now=self._clock.now(), code=answer.body[:64].decode("ascii", "replace"))

    async def _send(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> HttpAnswer:
        return await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=url,
                headers={"Content-Type": "application/json; charset=utf-8", **headers},
                body=to_json(body),
            )
        )


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": fit(lines(text), limit, _encode) or "-", "emoji": False}


def _encode(text: str) -> str:
    """Slack's three control characters as entities (docs.slack.dev/messaging/formatting-message-text, escaping)."""
    return defang(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Slack:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Slack(config, http, clock=clock)
