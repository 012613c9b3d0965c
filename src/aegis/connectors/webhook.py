"""A webhook of your own: every change of an incident as signed JSON, for whatever has no connector.

Signed as Standard Webhooks says (standardwebhooks.com: `webhook-id`, `webhook-timestamp`, `webhook-signature`); the body
is a CloudEvents 1.0 envelope. A retry has the same `webhook-id`, so that the receiver can drop doubles.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aegis.core.addresses import is_loopback
from aegis.core.errors import ConfigError
from aegis.core.exchange import failure, to_json
from aegis.core.notifications import Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, HttpRequest, NewId, Probed
from aegis.core.secret import Secret
from aegis.core.wording import rfc3339

NAME = "webhook"
SCHEMA = "aegis.notification/1"
BODY_MAX = 256 * 1024
"""Bytes: what the largest hubs take. A body over it leaves the incident's document out and says so."""
TITLE_MAX, TEXT_MAX, LIST_MAX = 300, 4_000, 50
SECRET_PREFIX = "whsec_"  # noqa: S105 - what every such secret begins with
KEY_BYTES = range(24, 65)
"""standardwebhooks.com, signature scheme: 24 to 64 bytes of randomness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An address that takes signed JSON."""

    webhook: Secret = field(metadata={"help": "address that is posted to (https)"})
    secret: Secret = field(metadata={"help": "signing secret, whsec_ and base64 of 24 to 64 bytes"})
    old_secret: Secret | None = field(
        default=None, metadata={"help": "the secret before it: while it stands here, both sign"}
    )
    allow_private: bool = field(default=False, metadata={"help": "the address is a private one"})
    ca_file: str = field(
        default="", metadata={"help": "file of authorities (PEM) that are trusted instead of the system's"}
    )

    def __post_init__(self) -> None:
        parts = urlsplit(self.webhook.reveal())
        if not parts.hostname or not (
            parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
        ):
            raise ConfigError("webhook: webhook must be an https address (http only for this machine)")
        for name in ("secret", "old_secret"):
            value: Secret | None = getattr(self, name)
            if value is not None and key_of(value) is None:
                raise ConfigError(f"webhook: {name} must be whsec_ and base64 of 24 to 64 bytes")


def key_of(secret: Secret) -> bytes | None:
    """The key inside a signing secret, or None when it is none."""
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if text.startswith(SECRET_PREFIX) and len(key) in KEY_BYTES else None


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, `v1,` and the base64 of HMAC-SHA256 over id, time and the raw body, joined by dots."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def headers(config: Config, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers; while a secret is being changed two signatures stand in the last one."""
    keys = [key for secret in (config.secret, config.old_secret) if secret and (key := key_of(secret))]
    signatures = " ".join(sign(key, message_id, timestamp, body) for key in keys)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def message_id(notification: Notification) -> str:
    """The same for every attempt of the same version to the same person."""
    alone = f"\n{notification.recipient}" if notification.recipient else ""
    said = f"{notification.dedup_key}\n{notification.version}\n{notification.change}{alone}"
    return f"msg_{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:40]}"


def payload(notification: Notification) -> dict[str, Any]:
    """The envelope and in `data` the notification, its texts plain and without live addresses; `incident` is the record
    as it is, for programs.
    """
    return {
        "schema": SCHEMA,
        "specversion": "1.0",
        "id": message_id(notification),
        "source": "/aegis",
        "type": f"aegis.incident.{notification.change}",
        "subject": notification.incident_id,
        "time": rfc3339(notification.at),
        "datacontenttype": "application/json",
        "data": _data(notification),
    }


def _data(notification: Notification) -> dict[str, Any]:
    return {
        "incident": notification.incident_id,
        "version": notification.version,
        "change": notification.change,
        "severity": notification.severity.name,
        "status": notification.status.value,
        "title": fit(one_line(notification.title), TITLE_MAX, defang),
        "summary": _text(notification.summary),
        "source": fit(one_line(notification.source), TITLE_MAX, defang),
        "facts": [
            {"label": fit(one_line(fact.label), TITLE_MAX, defang), "value": _text(fact.value)}
            for fact in notification.facts[:LIST_MAX]
        ],
        "actions": [_text(action) for action in notification.actions[:LIST_MAX]],
        "techniques": [fit(one_line(one), TITLE_MAX, defang) for one in notification.techniques[:LIST_MAX]],
        "link": web_link(notification.link),
        **_note(notification),
        **({"again": True} if notification.again else {}),
        **({"to": notification.recipient.partition(":")[2][:100]} if notification.recipient else {}),
        "record": dict(notification.document),
    }


def _note(notification: Notification) -> dict[str, Any]:
    """What somebody wrote. Buttons stay out: their links act, and nobody knows who reads this."""
    note = notification.note
    if note is None:
        return {}
    return {"note": {"by": fit(one_line(note.by), TITLE_MAX, defang), "via": note.via[:50], "text": _text(note.text)}}


def _text(text: str) -> str:
    return fit(lines(text), TEXT_MAX, defang)


def body_of(notification: Notification) -> bytes:
    """The body as it is signed and sent."""
    whole = payload(notification)
    body = to_json(whole)
    if len(body) <= BODY_MAX:
        return body
    return to_json(
        whole | {"data": whole["data"] | {"record": {"left_out": "too large"}, "facts": whole["data"]["facts"][:10]}}
    )


class Webhook:
    """`Notifier`. The receipt's `remote_id` is the `webhook-id`."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - the id is ours
        """Post it. Any 2xx is a success; 410 means that the address wants no more (standardwebhooks.com, retries)."""
        body, number = body_of(notification), message_id(notification)
        signed = headers(self._config, number, int(self._clock.now().timestamp()), body)
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=self._config.webhook.reveal(),
                headers={"Content-Type": "application/json", **signed},
                body=body,
            )
        )
        if not 200 <= answer.status < 300:
            raise failure(NAME, answer, now=self._clock.now())
        return Receipt(remote_id=number)

    async def probe(self) -> Probed:
        """Nothing may be asked of an address that is only posted to."""
        return Probed(asked=False, text="an address that is only posted to; `aegis notify test webhook` posts a test")


class Webhooks:
    """`Messenger`: posts to an address of one person's own. `places` are configurations by the name that is told as their
    address.
    """

    name = NAME

    def __init__(self, places: Mapping[str, Config], http: Http, *, clock: Clock) -> None:
        self._webhooks = {name: Webhook(place, http, clock=clock) for name, place in places.items()}

    def accepts(self, to: str) -> bool:
        return to in self._webhooks

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:  # noqa: ARG002 - it is among the facts
        """One post to one person's address. Raises `ServiceError`."""
        return await self._webhooks[to].notify(notification, remote_id="")


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Webhook:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Webhook(config, http, clock=clock)
