"""Splunk: every version of an incident as one HTTP Event Collector event, for search and for keeping.

JSON values carry log text as it is (a search must find it); only the readable fields are cleaned and clipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aegis.core.errors import ServiceError
from aegis.core.exchange import failure, from_json, json_object, to_json
from aegis.core.notifications import Notification, Receipt
from aegis.core.plaintext import fit, lines, one_line
from aegis.core.ports import Clock, Http, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, rfc3339

NAME = "splunk"

EVENT_BYTES_MAX = 1_000_000
"""Ours: the collector's default is far higher, but an indexed event beyond `TRUNCATE` is cut where nobody chose."""

TEXT_MAX, ITEM_MAX, ITEMS_MAX = 10_000, 2_000, 50

PASSING_CODES = frozenset({8, 9, 18, 26, 27})
"""Internal error, server busy, and the queue or channel limits that pass by waiting
(help.splunk.com, "Troubleshoot HTTP Event Collector", possible error codes).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A token of an HTTP Event Collector."""

    token: Secret = field(metadata={"help": "token of the HTTP Event Collector"})
    base_url: str = field(metadata={"help": "https://http-inputs-NAME.splunkcloud.com or https://HOST:8088"})
    index: str = field(default="", metadata={"help": "index to write to; empty: the token's own default"})
    host: str = field(default="aegis", metadata={"help": "the host field of the events"})
    allow_private: bool = field(default=False, metadata={"help": "the collector stands on a private address"})


def payload(notification: Notification, *, index: str = "", host: str = "aegis") -> dict[str, Any]:
    """The event. A record too large is sent without the incident document and says so."""
    event = _event(notification, index=index, host=host)
    if len(to_json(event)) > EVENT_BYTES_MAX:
        del event["event"]["incident"]
        event["event"]["incident_omitted"] = True
    return event


def _event(notification: Notification, *, index: str, host: str) -> dict[str, Any]:
    severity = notification.severity.name
    record: dict[str, Any] = {
        "schema": "aegis.notification/1",
        "event_id": f"{notification.dedup_key}:{notification.version}",
        "incident_id": notification.incident_id,
        "version": notification.version,
        "change": notification.change,
        "severity": severity,
        "status": notification.status.value,
        "at": rfc3339(notification.at),
        "title": fit(one_line(notification.title), ITEM_MAX),
        "summary": fit(lines(notification.summary), TEXT_MAX),
        "facts": {
            fit(one_line(fact.label), 100): fit(lines(fact.value), ITEM_MAX)
            for fact in first_facts(notification.facts, ITEMS_MAX)
        },
        "actions": [fit(lines(action), ITEM_MAX) for action in notification.actions[:ITEMS_MAX]],
        "techniques": [fit(one_line(technique), 100) for technique in notification.techniques[:ITEMS_MAX]],
        "link": fit(one_line(notification.link), ITEM_MAX),
        "incident": notification.document,
    }
    event = {
        "time": round(notification.at.timestamp(), 3),
        "host": host,
        "source": "aegis",
        "sourcetype": "aegis:incident",
        "event": record,
        "fields": {"severity": severity, "change": notification.change, "incident_id": notification.incident_id},
    }
    return {**event, "index": index} if index else event


class Splunk:
    """`Notifier`. The receipt's `remote_id` is our own event id: the collector keeps none and joins nothing."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - no handle
        """Write the event; a success is 200 with code 0."""
        event = payload(notification, index=self._config.index, host=self._config.host)
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=f"{self._config.base_url.rstrip('/')}/services/collector/event",
                headers={
                    "Content-Type": "application/json",
                    "Authorization": f"Splunk {self._config.token.reveal()}",
                },
                body=to_json(event),
                timeout_ms=15_000,
            )
        )
        if answer.status != 200:
            code = _code(json_object(answer) or {})
            passing = True if code in PASSING_CODES else None
            raise failure(NAME, answer, now=self._clock.now(), code=f"code-{code}", retryable=passing)
        if (code := _code(from_json(NAME, answer))) != 0:
            raise ServiceError(NAME, f"answered code {code}", retryable=code < 0 or code in PASSING_CODES, status=200)
        return Receipt(remote_id=str(event["event"]["event_id"]))


def _code(said: Mapping[str, Any]) -> int:
    """The collector's own code, -1 where it gave none."""
    code = said.get("code")
    return code if isinstance(code, int) else -1


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Splunk:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Splunk(config, http, clock=clock)
