"""Prometheus Alertmanager's webhook, version 4: each alert of a group by itself, firing or resolved.

Sources: prometheus.io/docs/alerting/latest/configuration (`webhook_config` with `http_config.authorization` or
`basic_auth`: there is no signature) and the body's format there. Grafana sends the same alerts: see `grafana`.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from aegis.core.errors import BadInput
from aegis.core.inbound import Alert, Received
from aegis.core.incidents import Severity
from aegis.web.inbound.signed import (
    ID_CHARS,
    Door,
    Headers,
    digest,
    from_rfc3339,
    items,
    parsed_object,
    require,
    text,
    text_matches,
    texts,
    unsigned,
)

NAME = "alertmanager"
ALERTS_MAX = 1_000
"""In one message; `max_alerts` in Alertmanager's configuration makes groups smaller."""

SEVERITIES = {
    "critical": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "p1": Severity.CRITICAL,
    "error": Severity.HIGH,
    "high": Severity.HIGH,
    "major": Severity.HIGH,
    "p2": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "minor": Severity.MEDIUM,
    "p3": Severity.MEDIUM,
    "info": Severity.LOW,
    "low": Severity.LOW,
    "none": Severity.LOW,
    "p4": Severity.LOW,
}
"""By the label `severity`: the usual words. Another one, or none, is MEDIUM."""


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the webhook says. Raises `Untrusted` and `BadInput`."""
    require(matched=_is_right(headers.get("authorization", ""), door))
    document = parsed_object(body)
    if document.get("version") != "4":
        raise BadInput("The body is no Alertmanager webhook of version 4", code="unknown_version")
    return Received(service=NAME, ids=(digest(body),), alerts=alerts_of(document, NAME, now))


def alerts_of(document: dict[str, Any], product: str, now: datetime) -> tuple[Alert, ...]:
    """The alerts of a body in Alertmanager's format."""
    return tuple(_alert(one, product, now) for one in items(document, "alerts")[:ALERTS_MAX])


def _alert(one: dict[str, Any], product: str, now: datetime) -> Alert:
    labels, annotations = texts(one.get("labels")), texts(one.get("annotations"))
    firing = text(one, "status") != "resolved"
    started = text(one, "startsAt")
    return Alert(
        product=product,
        key=text(one, "fingerprint")[:ID_CHARS] or repr(sorted(labels.items())),
        name=labels.get("alertname", "alert"),
        firing=firing,
        severity=SEVERITIES.get(labels.get("severity", "").lower(), Severity.MEDIUM),
        at=from_rfc3339(started if firing else one.get("endsAt"), otherwise=now),
        round=started,
        host=host_of(labels.get("host") or labels.get("hostname") or labels.get("instance", "")),
        summary=annotations.get("summary") or annotations.get("message", ""),
        description=annotations.get("description", ""),
        link=text(one, "generatorURL"),
        labels=labels,
    )


def host_of(instance: str) -> str:
    """The host of an `instance` label: without its port."""
    host, colon, port = instance.rpartition(":")
    return host.strip("[]") if colon and port.isdigit() else instance


def _is_right(authorization: str, door: Door) -> bool:
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return text_matches(door.secrets, value.strip())
        case "basic":
            try:
                user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return False
            return text_matches(door.secrets, password) and user == door.user
    raise unsigned("Authorization")
