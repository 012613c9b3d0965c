"""Datadog: incidents as events (v1) that join by aggregation key, measured values as series (v2) in batches.

Tags come from a fixed vocabulary, because every new combination of tags is billed as a metric of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aegis.core.errors import ServiceError
from aegis.core.exchange import failure, to_json
from aegis.core.incidents import Severity
from aegis.core.notifications import MetricPoint, Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line
from aegis.core.ports import Clock, Http, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import headline, numbered, state

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

_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An API key of one organisation."""

    api_key: Secret = field(metadata={"help": "API key (not an application key)"})
    base_url: str = field(
        default="https://api.datadoghq.com", metadata={"help": "the site's API: https://api.datadoghq.eu, ..."}
    )


def payload(notification: Notification) -> dict[str, Any]:
    """The event."""
    parts = [state(notification), fit(lines(notification.summary), SUMMARY_MAX, _encode)]
    if notification.actions:
        parts.append("What to do\n" + fit(lines(numbered(notification.actions)), ACTIONS_MAX, _encode))
    facts = "\n".join(f"{one_line(fact.label)}: {one_line(fact.value)}" for fact in notification.facts)
    parts.append(fit(facts, FACTS_MAX, _encode))
    # `source:aegis` says whose event it is: an alert about it that comes back by a webhook is left alone.
    tags = {
        "source": "aegis",
        "severity": notification.severity.name,
        "status": notification.status,
        "change": notification.change,
    }
    return {
        "title": fit(one_line(headline(notification)), TITLE_MAX, _encode),
        "text": fit("\n\n".join(part for part in parts if part), TEXT_MAX),
        "alert_type": "success" if notification.change == "resolved" else ALERT_TYPES[notification.severity],
        "priority": "low" if notification.severity is Severity.LOW else "normal",
        "aggregation_key": _aggregation_key(notification.dedup_key),
        "date_happened": int(notification.at.timestamp()),
        "source_type_name": "aegis",
        "tags": [_tag(name, value) for name, value in tags.items()]
        + [_tag("technique", name) for name in notification.techniques[:10] if _TECHNIQUE.fullmatch(name)],
    }


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
    return re.sub("%%+", "%", defang(text)).replace("@", "[at]")


def _aggregation_key(key: str) -> str:
    return key if len(key) <= AGGREGATION_KEY_MAX else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


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
        event = payload(notification)
        await self._submit("/api/v1/events", event)
        return Receipt(remote_id=str(event["aggregation_key"]))

    async def push(self, points: Sequence[MetricPoint]) -> None:
        """Submit the values, `SERIES_MAX` in one request, in halves where that is too large. Raises on the first batch
        that fails; earlier ones are in.
        """
        for start in range(0, len(points), SERIES_MAX):
            await self._push(points[start : start + SERIES_MAX])

    async def _push(self, points: Sequence[MetricPoint]) -> None:
        try:
            await self._submit("/api/v2/series", series(points))
        except ServiceError as error:
            half = len(points) // 2
            if error.status != TOO_LARGE or not half:
                raise
            await self._push(points[:half])
            await self._push(points[half:])

    async def _submit(self, path: str, body: Mapping[str, Any]) -> None:
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=f"{self._config.base_url.rstrip('/')}{path}",
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
