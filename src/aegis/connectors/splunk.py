"""Splunk: every version of an incident as one HTTP Event Collector event, for search and for keeping.

JSON values carry log text as it is (a search must find it); only the readable fields are cleaned and clipped. While one
request is under way, events gather for the next: a busy lane sends few requests with many events, each bounded.
"""

from __future__ import annotations

import gzip
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from aegis.core.errors import Billed, ServiceError
from aegis.core.exchange import failure, from_json, json_object, to_json
from aegis.core.notifications import Notification, Receipt
from aegis.core.plaintext import fit, lines, one_line
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, rfc3339

NAME = "splunk"

EVENT_BYTES_MAX = 1_000_000
"""Ours: the collector's default is far higher, but an indexed event beyond `TRUNCATE` is cut where nobody chose."""

BATCH_EVENTS_MAX, BATCH_BYTES_MAX = 1_000, 1_000_000
"""Of one request: what Splunk's own forwarders keep to."""

GZIP_LEVEL = 6
"""zlib's own middle: the highest takes twice the time for a hundredth of the size."""
GZIP_FROM = 1_400
"""Bytes that fit one packet gain nothing from being packed."""

REFUSED_MAX = 10
"""Events that are taken out of one batch because the collector cannot read them; then the rest waits for another turn."""

ACK_TRIES, ACK_EVERY_MS = 10, 2_000
"""How often it is asked whether the indexers have an event: most have it after a few seconds, and an attempt of a lane
may take 45 s.
"""

INVALID_FORMAT = 6

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
    ack: bool = field(
        default=False,
        metadata={"help": "the token has indexer acknowledgement on: an event is delivered once the indexers have it"},
    )
    allow_private: bool = field(default=False, metadata={"help": "the collector stands on a private address"})
    ca_file: str = field(
        default="", metadata={"help": "file of authorities (PEM) that are trusted instead of the system's"}
    )


def payload(notification: Notification, *, index: str = "", host: str = "aegis") -> dict[str, Any]:
    """The event. A record too large is sent without the incident document and says so."""
    return _fitting(notification, index=index, host=host)[0]


def _fitting(notification: Notification, *, index: str, host: str) -> tuple[dict[str, Any], bytes]:
    """The event, and the same as it is sent."""
    event = _event(notification, index=index, host=host)
    body = to_json(event)
    if len(body) > EVENT_BYTES_MAX:
        del event["event"]["incident"]
        event["event"]["incident_omitted"] = True
        body = to_json(event)
    return event, body


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


@dataclass(slots=True, eq=False)
class _Waiting:
    """An event that somebody waits for, and what became of it."""

    body: bytes
    sent: bool = False
    error: ServiceError | None = None


class Splunk:
    """`Notifier`. The receipt's `remote_id` is our own event id: the collector keeps none and joins nothing. `channel` is
    a GUID of this process, which acknowledgements are counted by.
    """

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock, channel: str = "") -> None:
        self._config, self._http, self._clock, self._channel = config, http, clock, channel
        self._turn = anyio.Lock(fast_acquire=True)
        self._waiting: list[_Waiting] = []

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - no handle
        """Write the event, along with those that wait meanwhile; a success is 200 with code 0."""
        event, body = _fitting(notification, index=self._config.index, host=self._config.host)
        one = _Waiting(body)
        self._waiting.append(one)
        try:
            async with self._turn:
                if one in self._waiting:  # nobody has sent it along with his own
                    await self._send_waiting()
        finally:
            if one in self._waiting:
                self._waiting.remove(one)
        if one.error is not None:
            raise one.error
        if not one.sent:
            raise ServiceError(NAME, "the request that carried it was cut", retryable=True, billed=Billed.UNKNOWN)
        return Receipt(remote_id=str(event["event"]["event_id"]))

    async def _send_waiting(self) -> None:
        """Send what waits, as much as one request holds, and note how each event ended."""
        batch = self._taken()
        for _ in range(REFUSED_MAX):
            try:
                refused = await self._send(batch)
            except ServiceError as error:
                for one in batch:
                    one.error = error
                return
            if refused is None:
                for one in batch:
                    one.sent = True
                return
            batch.remove(refused)
            if not batch:
                return

    def _taken(self) -> list[_Waiting]:
        """The next batch, oldest first; one event is always taken."""
        size, count = 0, 0
        for one in self._waiting[:BATCH_EVENTS_MAX]:
            if count and size + len(one.body) > BATCH_BYTES_MAX:
                break
            size, count = size + len(one.body), count + 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _send(self, batch: Sequence[_Waiting]) -> _Waiting | None:
        """One request. Returns the event that the collector cannot read, where it names one: the others are sent anew.
        Raises `ServiceError` for all of them.
        """
        answer = await self._post("/services/collector/event", b"\n".join(one.body for one in batch))
        if answer.status == 400 and len(batch) > 1:
            said = json_object(answer) or {}
            number = said.get("invalid-event-number")
            if _code(said) == INVALID_FORMAT and type(number) is int and 0 <= number < len(batch):
                batch[number].error = self._failure(answer)
                return batch[number]
        if answer.status != 200:
            raise self._failure(answer)
        said = from_json(NAME, answer)
        if (code := _code(said)) != 0:
            raise ServiceError(NAME, f"answered code {code}", retryable=code < 0 or code in PASSING_CODES, status=200)
        if self._config.ack:
            await self._acknowledged(said.get("ackId"))
        return None

    async def _acknowledged(self, ack_id: object) -> None:
        """Return once the indexers have what was sent (help.splunk.com, "About HTTP Event Collector Indexer
        Acknowledgment"). Raises `ServiceError` when they do not say so in time: it is sent again then.
        """
        if type(ack_id) is not int:
            raise ServiceError(NAME, "gave no ackId; its token acknowledges nothing", retryable=False, status=200)
        for _ in range(ACK_TRIES):
            query = to_json({"acks": [ack_id]})
            answer = await self._post(f"/services/collector/ack?channel={self._channel}", query)
            if answer.status != 200:
                raise self._failure(answer)
            acks = from_json(NAME, answer).get("acks")
            if isinstance(acks, dict) and acks.get(str(ack_id)) is True:
                return
            await self._clock.sleep_ms(ACK_EVERY_MS)
        raise ServiceError(NAME, "did not acknowledge in time", retryable=True, billed=Billed.UNKNOWN, status=200)

    async def _post(self, path: str, body: bytes) -> HttpAnswer:
        headers = {"Content-Type": "application/json", "Authorization": f"Splunk {self._config.token.reveal()}"}
        if self._config.ack:
            headers["X-Splunk-Request-Channel"] = self._channel
        if len(body) >= GZIP_FROM:
            headers["Content-Encoding"], body = "gzip", gzip.compress(body, GZIP_LEVEL, mtime=0)
        return await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=f"{self._config.base_url.rstrip('/')}{path}",
                headers=headers,
                body=body,
                timeout_ms=15_000,
            )
        )

    def _failure(self, answer: HttpAnswer) -> ServiceError:
        code = _code(json_object(answer) or {})
        passing = True if code in PASSING_CODES else None
        return failure(NAME, answer, now=self._clock.now(), code=f"code-{code}", retryable=passing)


def _code(said: Mapping[str, Any]) -> int:
    """The collector's own code, -1 where it gave none."""
    code = said.get("code")
    return code if isinstance(code, int) else -1


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Splunk:
    """The connector from its config."""
    digest = hashlib.sha256(new_id("hec").encode()).digest()
    return Splunk(config, http, clock=clock, channel=str(uuid.UUID(bytes=digest[:16], version=4)))
