"""PagerDuty Events v2: an incident is triggered, acknowledged and resolved under one dedup key, so retries are harmless.

A page carries the essentials and our own link; text from logs goes out with its addresses broken. Notes are written
through the REST API, and only where a token for it is configured. What only adds to an incident that is over is not sent:
PagerDuty would page for it as for a new one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from aegis.core.errors import ConfigError
from aegis.core.exchange import failure, from_json, json_object, to_json
from aegis.core.incidents import Severity, Status
from aegis.core.notifications import Change, Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, rfc3339, state, told_note

NAME = "pagerduty"
EVENTS_URL = "https://events.pagerduty.com"

SUMMARY_MAX, DEDUP_KEY_MAX = 1_024, 255
"""developer.pagerduty.com/docs/send-alert-event."""

DETAIL_MAX, DETAILS_MAX = 2_000, 25
"""Ours: keeps the event far below PagerDuty's 512 KB however many facts an incident has."""

ROUTING_KEY_LENGTH = 32

SEVERITIES = {
    Severity.LOW: "info",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "critical",
}
"""PagerDuty knows critical, error, warning and info only."""

Action = Literal["trigger", "acknowledge", "resolve"]
ACTIONS: dict[Change, Action] = {"acknowledged": "acknowledge", "resolved": "resolve"}
"""Every other change triggers: the same dedup key joins the open alert, whose people are not notified again."""

ADDING = frozenset[Change]({"analysed", "updated", "noted"})
"""Changes that only add to what was said."""

NOTE_MAX = 25_000
"""developer.pagerduty.com/api-reference, "Create a note on an incident": a note's content."""

_ID = re.compile(r"[A-Za-z0-9]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An Events API v2 integration of one PagerDuty service."""

    routing_key: Secret = field(metadata={"help": "integration key of an Events API v2 integration (32 characters)"})
    base_url: str = field(
        default=EVENTS_URL,
        metadata={"help": "https://events.eu.pagerduty.com for accounts in the EU service region"},
    )

    rest_token: Secret | None = field(
        default=None, metadata={"help": "REST API token, only to write notes; without it notes stay in Aegis"}
    )
    rest_from: str = field(default="", metadata={"help": "e-mail address of the user that notes are written as"})
    rest_url: str = field(
        default="https://api.pagerduty.com",
        metadata={"help": "https://api.eu.pagerduty.com for accounts in the EU service region"},
    )

    def __post_init__(self) -> None:
        if self.rest_token and not re.fullmatch(r"[\x21-\x7e]+@[\x21-\x7e]+", self.rest_from):
            raise ConfigError("pagerduty: a rest_token needs rest_from, the e-mail address of a user")
        if len(self.routing_key.reveal()) != ROUTING_KEY_LENGTH:
            raise ConfigError(f"pagerduty: routing_key must have {ROUTING_KEY_LENGTH} characters")


def payload(notification: Notification) -> dict[str, Any]:
    """The event without its routing key."""
    event: dict[str, Any] = {
        "event_action": ACTIONS.get(notification.change, "trigger"),
        "dedup_key": dedup_key(notification.dedup_key),
        "client": "Aegis",
        "payload": {
            "summary": _text(headline(notification), SUMMARY_MAX),
            "source": _text(notification.source, DEDUP_KEY_MAX),
            "severity": SEVERITIES[notification.severity],
            "timestamp": rfc3339(notification.at),
            "class": "incident",
            "custom_details": _details(notification),
        },
    }
    if link := web_link(notification.link):
        event |= {"client_url": link, "links": [{"href": link, "text": "Open in Aegis"}]}
    return event


def dedup_key(key: str) -> str:
    """The key as it is, or its digest where PagerDuty's bound would cut two keys to the same one."""
    return key if len(key) <= DEDUP_KEY_MAX else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _details(notification: Notification) -> dict[str, Any]:
    details: dict[str, Any] = {"state": state(notification), "summary": _lines(notification.summary)}
    if notification.actions:
        details["what to do"] = [_lines(action) for action in notification.actions[:DETAILS_MAX]]
    if notification.techniques:
        details["techniques"] = [_text(technique, 50) for technique in notification.techniques[:DETAILS_MAX]]
    facts = first_facts(notification.facts, DETAILS_MAX)
    if facts:
        details["facts"] = {_text(fact.label, 100): _lines(fact.value) for fact in facts}
    return details


def _text(text: str, limit: int) -> str:
    return fit(one_line(text), limit, defang) or "-"


def _lines(text: str) -> str:
    return fit(lines(text), DETAIL_MAX, defang)


class PagerDuty:
    """`Notifier`. The receipt's `remote_id` is the dedup key."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        """Send the event, or write the note. 429 and 5xx may pass by waiting, everything else does not (the vendor's own
        rule).
        """
        if notification.status is Status.RESOLVED and notification.change in ADDING:
            return Receipt(remote_id=remote_id, note="over already: not told, it would page")
        if notification.change == "noted":
            return Receipt(remote_id=remote_id, note=await self._note(notification))
        event = payload(notification)
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=f"{self._config.base_url.rstrip('/')}/v2/enqueue",
                headers={"Content-Type": "application/json"},
                body=to_json({"routing_key": self._config.routing_key.reveal(), **event}),
            )
        )
        if answer.status != 202:
            raise failure(NAME, answer, now=self._clock.now(), code=(json_object(answer) or {}).get("status"))
        return Receipt(remote_id=str(event["dedup_key"]))

    async def _note(self, notification: Notification) -> str:
        """Write the note on PagerDuty's own incident; returns what became of it."""
        if self._config.rest_token is None:
            return "the note stays in Aegis: no rest_token"
        key = quote(dedup_key(notification.dedup_key), safe="")
        query = f"incident_key={key}&date_range=all&statuses%5B%5D=triggered&statuses%5B%5D=acknowledged&limit=1"
        answer = await self._rest("GET", f"/incidents?{query}", self._config.rest_token)
        found = from_json(NAME, answer).get("incidents")
        first = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}
        incident_id = first.get("id")
        if not (isinstance(incident_id, str) and _ID.fullmatch(incident_id)):
            return "the note stays in Aegis: PagerDuty has no open incident for it"
        content = fit(lines(told_note(notification)), NOTE_MAX, defang)
        body = to_json({"note": {"content": content}})
        await self._rest("POST", f"/incidents/{incident_id}/notes", self._config.rest_token, body)
        return "noted"

    async def _rest(self, method: str, path: str, token: Secret, body: bytes = b"") -> HttpAnswer:
        """One call of the REST API (developer.pagerduty.com/docs/rest-api-overview)."""
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method=method,
                url=f"{self._config.rest_url.rstrip('/')}{path}",
                headers={
                    "Authorization": f"Token token={token.reveal()}",
                    "Accept": "application/vnd.pagerduty+json;version=2",
                    "Content-Type": "application/json",
                    "From": self._config.rest_from,
                },
                body=body,
            )
        )
        if answer.status not in (200, 201):
            raise failure(NAME, answer, now=self._clock.now())
        return answer


class Pagers:
    """`Messenger`: pages one person through a PagerDuty service of their own. `places` are configurations by the name that
    is told as their address. The incident has the same dedup key there, so that what paged them is closed again.
    """

    name = NAME

    def __init__(self, places: Mapping[str, Config], http: Http, *, clock: Clock) -> None:
        self._pagers = {name: PagerDuty(place, http, clock=clock) for name, place in places.items()}

    def accepts(self, to: str) -> bool:
        return to in self._pagers

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:  # noqa: ARG002 - it is among the facts
        """One event to one person's service. Raises `ServiceError`."""
        return await self._pagers[to].notify(notification, remote_id="")


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> PagerDuty:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return PagerDuty(config, http, clock=clock)
