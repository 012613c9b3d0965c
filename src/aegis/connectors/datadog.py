"""Datadog: incidents as events (v1, or v2 where asked) that join by aggregation key, values as series (v2) in batches.

Tags come from a fixed vocabulary, because every new combination of tags is billed as a metric of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aegis.core.errors import ConfigError, ServiceError
from aegis.core.exchange import failure, to_json
from aegis.core.incidents import Severity
from aegis.core.notifications import MetricPoint, Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import headline, numbered, rfc3339, state

NAME = "datadog"

TITLE_MAX, TEXT_MAX, AGGREGATION_KEY_MAX, TAG_MAX = 500, 4_000, 100, 200
"""docs.datadoghq.com/api/latest/events and docs.datadoghq.com/getting_started/tagging: 4000, 100 and 200 are theirs."""

SUMMARY_MAX, ACTIONS_MAX, FACTS_MAX = 1_500, 1_200, 1_000
"""Parts of the text: together with the state line below `TEXT_MAX`, so no part is cut away by another."""

SERIES_MAX = 1_000
"""Series in one request: at some 300 bytes each below the 500 kB that the API takes
(docs.datadoghq.com/api/latest/metrics/#submit-metrics).
"""

TOO_LARGE = 413
"""The answer to a request above that size: docs.datadoghq.com/api/latest/metrics/#submit-metrics, responses."""

COUNT, GAUGE = 1, 3
"""Types of a series in the v2 API."""

COUNT_INTERVAL_SECONDS = 15
"""Over how long a count was counted: metric batches leave every 15 s."""

ALERT_TYPES = {Severity.LOW: "info", Severity.MEDIUM: "warning", Severity.HIGH: "error", Severity.CRITICAL: "error"}
"""The v1 API knows no `critical`; the severity is in the title and in a tag."""

STATUSES = {Severity.LOW: "ok", Severity.MEDIUM: "warn", Severity.HIGH: "error", Severity.CRITICAL: "error"}
PRIORITIES = {Severity.LOW: "5", Severity.MEDIUM: "3", Severity.HIGH: "2", Severity.CRITICAL: "1"}
"""Of an alert in the v2 API: docs.datadoghq.com/api/latest/events/#post-an-event."""
LINK_MAX = 2_048

TAGS_KEPT = 512
"""Tags whose stored form is remembered: the vocabulary is fixed, but for services, budgets and techniques."""

_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An API key of one organisation."""

    api_key: Secret = field(metadata={"help": "API key (not an application key)"})
    base_url: str = field(
        default="https://api.datadoghq.com", metadata={"help": "the site's API: https://api.datadoghq.eu, ..."}
    )
    events: str = field(default="v1", metadata={"help": "v1: the Events Explorer; v2: Event Management, as alerts"})
    events_url: str = field(
        default="", metadata={"help": "where v2 events go; empty: https://event-management-intake.SITE"}
    )

    def __post_init__(self) -> None:
        if self.events not in ("v1", "v2"):
            raise ConfigError("datadog: events must be v1 or v2")

    @property
    def intake(self) -> str:
        """Where v2 events go: a host of the same site (docs.datadoghq.com/api/latest/events)."""
        if self.events_url:
            return self.events_url.rstrip("/")
        return self.base_url.rstrip("/").replace("://api.", "://event-management-intake.", 1)


def payload(notification: Notification) -> dict[str, Any]:
    """The event, as the v1 API takes it."""
    return {
        "title": _title(notification),
        "text": _text(notification),
        "alert_type": "success" if notification.change == "resolved" else ALERT_TYPES[notification.severity],
        "priority": "low" if notification.severity is Severity.LOW else "normal",
        "aggregation_key": _aggregation_key(notification.dedup_key),
        "date_happened": int(notification.at.timestamp()),
        "source_type_name": "aegis",
        "tags": _tags(notification),
    }


def payload_v2(notification: Notification) -> dict[str, Any]:
    """The event as an alert, as the v2 API takes it. Its link is ours alone."""
    details: dict[str, Any] = {
        "status": "ok" if notification.change == "resolved" else STATUSES[notification.severity],
        "priority": PRIORITIES[notification.severity],
    }
    link = web_link(notification.link)
    if link and len(link) <= LINK_MAX:
        details["links"] = [{"category": "resource", "title": "Open in Aegis", "url": link}]
    attributes = {
        "title": _title(notification),
        "category": "alert",
        "message": _text(notification),
        "aggregation_key": _aggregation_key(notification.dedup_key),
        "timestamp": rfc3339(notification.at),
        "tags": _tags(notification),
        "attributes": details,
    }
    return {"data": {"type": "event", "attributes": attributes}}


def _title(notification: Notification) -> str:
    return fit(one_line(headline(notification)), TITLE_MAX, _encode)


def _text(notification: Notification) -> str:
    parts = [state(notification), fit(lines(notification.summary), SUMMARY_MAX, _encode)]
    if notification.actions:
        parts.append("What to do\n" + fit(lines(numbered(notification.actions)), ACTIONS_MAX, _encode))
    facts = "\n".join(f"{one_line(fact.label)}: {one_line(fact.value)}" for fact in notification.facts)
    parts.append(fit(facts, FACTS_MAX, _encode))
    return fit("\n\n".join(part for part in parts if part), TEXT_MAX)


def _tags(notification: Notification) -> list[str]:
    # `source:aegis` says whose event it is: an alert about it that comes back by a webhook is left alone.
    tags = {
        "source": "aegis",
        "severity": notification.severity.name,
        "status": notification.status,
        "change": notification.change,
    }
    return [_tag(name, value) for name, value in tags.items()] + [
        _tag("technique", name) for name in notification.techniques[:10] if _TECHNIQUE.fullmatch(name)
    ]


def series(points: Sequence[MetricPoint]) -> dict[str, Any]:
    """The body of a metric submission."""
    return {
        "series": [
            {
                "metric": re.sub(r"[^A-Za-z0-9_.]", "_", point.name)[:TAG_MAX],
                "points": [{"timestamp": int(point.at.timestamp()), "value": point.value}],
                "tags": [_tag(name, value) for name, value in sorted(point.tags.items())],
                **({"type": COUNT, "interval": COUNT_INTERVAL_SECONDS} if point.kind == "count" else {"type": GAUGE}),
            }
            for point in points
        ]
    }


def _encode(text: str) -> str:
    """No `@name` (it would notify) and no `%%%` (it would start Markdown): docs.datadoghq.com/events/guides."""
    plain = defang(text).replace("@", "[at]")
    return re.sub("%%+", "%", plain) if "%%" in plain else plain


def _aggregation_key(key: str) -> str:
    return key if len(key) <= AGGREGATION_KEY_MAX else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


@lru_cache(TAGS_KEPT)
def _tag(name: str, value: str) -> str:
    """A tag as Datadog would store it: lower case, no blanks."""
    return re.sub(r"[^a-z0-9_:./-]", "_", f"{name}:{value}".lower())[:TAG_MAX]


class Datadog:
    """`Notifier` (events) and `MetricSink` (series). The receipt's `remote_id` is the aggregation key."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - the key is ours
        """Submit the event."""
        if self._config.events == "v2":
            await self._submit(f"{self._config.intake}/api/v2/events", payload_v2(notification))
        else:
            await self._submit(f"{self._config.base_url.rstrip('/')}/api/v1/events", payload(notification))
        return Receipt(remote_id=_aggregation_key(notification.dedup_key))

    async def push(self, points: Sequence[MetricPoint]) -> None:
        """Submit the values, `SERIES_MAX` in one request, in halves where that is too large. Raises on the first batch
        that fails; earlier ones are in.
        """
        for start in range(0, len(points), SERIES_MAX):
            await self._push(points[start : start + SERIES_MAX])

    async def _push(self, points: Sequence[MetricPoint]) -> None:
        try:
            await self._submit(f"{self._config.base_url.rstrip('/')}/api/v2/series", series(points))
        except ServiceError as error:
            half = len(points) // 2
            if error.status != TOO_LARGE or not half:
                raise
            await self._push(points[:half])
            await self._push(points[half:])

    async def _submit(self, url: str, body: Mapping[str, Any]) -> None:
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=url,
                headers={"Content-Type": "application/json", "DD-API-KEY": self._config.api_key.reveal()},
                body=to_json(body),
            )
        )
        if answer.status not in (200, 202):
            # Datadog names the wait in a header of its own: docs.datadoghq.com/api/latest/rate-limits.
            headers = {"retry-after": answer.headers.get("x-ratelimit-reset", ""), **answer.headers}
            told = type(answer)(status=answer.status, headers=headers, body=b"")
            raise failure(NAME, told, now=self._clock.now())


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Datadog:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Datadog(config, http, clock=clock)
