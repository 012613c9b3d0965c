"""Sentry: every version of an incident as an event in an envelope, grouped by the incident.

The event's id comes from incident and version, so the same version sent twice is one event.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from aegis import __version__
from aegis.core.errors import ConfigError
from aegis.core.exchange import failure, to_json
from aegis.core.incidents import Severity
from aegis.core.notifications import Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, rfc3339

NAME = "sentry"

MESSAGE_MAX, TAG_MAX = 8_192, 200
"""develop.sentry.dev/sdk/data-model/event-payloads: lengths of a message and of a tag's value."""

ITEM_MAX, ITEMS_MAX = 1_000, 40
"""Ours: keeps the event far below the 1 MB that Sentry takes."""

LEVELS = {Severity.LOW: "info", Severity.MEDIUM: "warning", Severity.HIGH: "error", Severity.CRITICAL: "fatal"}

RETRY_AFTER_DEFAULT_SECONDS = 60
"""develop.sentry.dev/sdk/expected-features/rate-limiting: what to wait after a 429 that says nothing."""

_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")
_LIMIT = re.compile(r"\s*([0-9]{1,9}):([a-z_;]*)(?::|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The client key (DSN) of one project."""

    dsn: Secret = field(metadata={"help": "client key of the project, https://KEY@HOST/PROJECT"})
    environment: str = field(default="production", metadata={"help": "the environment that events are filed under"})
    crashes: bool = field(
        default=False, metadata={"help": "report Aegis' own crashes as well; needs the extra aegis[sentry]"}
    )
    allow_private: bool = field(default=False, metadata={"help": "Sentry stands on a private address"})
    ca_file: str = field(
        default="", metadata={"help": "file of authorities (PEM) that are trusted instead of the system's"}
    )

    def __post_init__(self) -> None:
        parse_dsn(self.dsn)


@dataclass(frozen=True, slots=True)
class Target:
    """Where envelopes go and the public key that goes with them."""

    url: str = field(repr=False)
    key: str = field(repr=False)


def parse_dsn(dsn: Secret) -> Target:
    """A DSN's parts (develop.sentry.dev/sdk/overview, parsing the DSN). Raises `ConfigError`, never showing it."""
    parts = urlsplit(dsn.reveal())
    path, _, project = parts.path.rpartition("/")
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        project = port = ""
    if parts.scheme not in ("https", "http") or not (parts.username and parts.hostname and project.isdigit()):
        raise ConfigError("sentry: dsn must look like https://KEY@HOST/PROJECT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Target(f"{parts.scheme}://{host}{port}{path}/api/{project}/envelope/", parts.username)


def event_id(notification: Notification) -> str:
    """32 hexadecimal digits, the same for the same version of the same incident."""
    name = f"{notification.dedup_key}\0{notification.version}".encode("utf-8", "replace")
    return hashlib.sha256(name).hexdigest()[:32]


def payload(notification: Notification, *, environment: str = "production") -> dict[str, Any]:
    """The event."""
    return {
        "event_id": event_id(notification),
        "timestamp": rfc3339(notification.at),
        "platform": "other",
        "logger": "aegis",
        "level": LEVELS[notification.severity],
        "environment": fit(one_line(environment), 64),
        "release": f"aegis@{__version__}",
        "logentry": {"formatted": fit(one_line(headline(notification)), MESSAGE_MAX, defang)},
        "fingerprint": ["aegis", notification.dedup_key],
        "tags": {
            "severity": notification.severity.name,
            "status": notification.status.value,
            "change": notification.change,
            "incident": fit(one_line(notification.incident_id), TAG_MAX),
            "technique": next((name for name in notification.techniques if _TECHNIQUE.fullmatch(name)), "none"),
        },
        "extra": {
            "summary": fit(lines(notification.summary), MESSAGE_MAX, defang),
            "actions": [fit(lines(action), ITEM_MAX, defang) for action in notification.actions[:ITEMS_MAX]],
            "techniques": [fit(one_line(name), TAG_MAX, defang) for name in notification.techniques[:ITEMS_MAX]],
            "facts": {
                fit(one_line(fact.label), TAG_MAX, defang): fit(lines(fact.value), ITEM_MAX, defang)
                for fact in first_facts(notification.facts, ITEMS_MAX)
            },
        },
    }


def envelope(event: Mapping[str, Any], *, sent_at: datetime) -> bytes:
    """The event as an envelope of one item (develop.sentry.dev/sdk/data-model/envelopes)."""
    body = to_json(event)
    header = to_json({"event_id": event["event_id"], "sent_at": rfc3339(sent_at)})
    return b"\n".join((header, to_json({"type": "event", "length": len(body)}), body, b""))


class Sentry:
    """`Notifier`. The receipt's `remote_id` is the event's id."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock
        self._target = parse_dsn(config.dsn)

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - the id is ours
        """Send the envelope."""
        event = payload(notification, environment=self._config.environment)
        auth = f"Sentry sentry_version=7, sentry_key={self._target.key}, sentry_client=aegis/{__version__}"
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=self._target.url,
                headers={"Content-Type": "application/x-sentry-envelope", "X-Sentry-Auth": auth},
                body=envelope(event, sent_at=self._clock.now()),
            )
        )
        if answer.status == 429:
            answer = HttpAnswer(status=429, headers={"retry-after": wait_seconds(answer.headers)}, body=b"")
        if answer.status != 200:
            raise failure(NAME, answer, now=self._clock.now())
        return Receipt(remote_id=str(event["event_id"]))


def wait_seconds(headers: Mapping[str, str]) -> str:
    """How long errors are limited for: the longest limit that covers them, else `Retry-After`, else a minute."""
    limits = [_LIMIT.match(part) for part in headers.get("x-sentry-rate-limits", "").split(",")[:20]]
    waits = [int(limit[1]) for limit in limits if limit and (not limit[2] or "error" in limit[2].split(";"))]
    return str(max(waits)) if waits else headers.get("retry-after") or str(RETRY_AFTER_DEFAULT_SECONDS)


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Sentry:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Sentry(config, http, clock=clock)
