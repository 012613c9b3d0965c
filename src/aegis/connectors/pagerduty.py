"""PagerDuty Events v2: an incident is triggered, acknowledged and resolved under one dedup key, so retries are harmless.

A page carries the essentials and our own link; text from logs goes out with its addresses broken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from aegis.core.errors import ConfigError
from aegis.core.exchange import failure, json_object, to_json
from aegis.core.incidents import Severity
from aegis.core.notifications import Change, Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, rfc3339, state

NAME = "pagerduty"

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
"""Every other change triggers: the same dedup key joins the open alert and updates what it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An Events API v2 integration of one PagerDuty service."""

    routing_key: Secret = field(metadata={"help": "integration key of an Events API v2 integration (32 characters)"})
    base_url: str = field(
        default="https://events.pagerduty.com",
        metadata={"help": "https://events.eu.pagerduty.com for accounts in the EU service region"},
    )

    def __post_init__(self) -> None:
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

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - the key is ours
        """Send the event. 429 and 5xx may pass by waiting, everything else does not (the vendor's own rule)."""
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


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> PagerDuty:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return PagerDuty(config, http, clock=clock)
