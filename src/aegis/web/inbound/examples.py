"""A correctly signed example of what each sender sends, to try a way in. None of them opens or changes an incident:
alerts that are over, pings, presses of a button that only opens a page.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import urlencode

import orjson

from aegis.core.errors import ConfigError
from aegis.core.wording import rfc3339
from aegis.web.inbound import datadog, grafana, standard
from aegis.web.inbound.signed import Door

JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Example:
    """One request: its headers hold a signature or the secret itself, so it is sent and never shown."""

    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Example({len(self.body)} bytes)"


_Make: TypeAlias = Callable[[Door, datetime], Example]


def example(sender: str, door: Door, now: datetime) -> Example:
    """What the sender would send now. Raises `ConfigError` for one whose signature nobody else can make."""
    make = _EXAMPLES.get(sender)
    if make is None or not door.secrets:
        raise ConfigError(f"inbound.{sender}: only the sender itself can sign; send a test message from there")
    return make(door, now)


def _hmac(door: Door, message: bytes) -> str:
    return hmac.new(door.secrets[0].reveal().encode(), message, hashlib.sha256).hexdigest()


def _epoch(now: datetime) -> str:
    return str(int(now.timestamp()))


def _pagerduty(door: Door, now: datetime) -> Example:
    event = {
        "id": f"aegis-test-{_epoch(now)}",
        "event_type": "pagey.ping",
        "resource_type": "pagey",
        "occurred_at": rfc3339(now),
        "data": {"message": "Hello from Aegis", "type": "ping"},
    }
    body = orjson.dumps({"event": event})
    return Example({**JSON, "x-pagerduty-signature": f"v1={_hmac(door, body)}"}, body)


def _slack(door: Door, now: datetime) -> Example:
    action = {"action_id": "aegis_open", "value": "test", "action_ts": f"{_epoch(now)}.000000", "type": "button"}
    payload = {"type": "block_actions", "user": {"id": "U0", "name": "aegis"}, "actions": [action]}
    body = urlencode({"payload": orjson.dumps(payload).decode()}).encode()
    sent = _epoch(now)
    signature = "v0=" + _hmac(door, f"v0:{sent}:".encode() + body)
    form = {"content-type": "application/x-www-form-urlencoded"}
    return Example({**form, "x-slack-signature": signature, "x-slack-request-timestamp": sent}, body)


def _jira(door: Door, now: datetime) -> Example:
    body = orjson.dumps({"timestamp": int(now.timestamp() * 1_000), "webhookEvent": "aegis:test"})
    return Example({**JSON, "x-hub-signature": f"sha256={_hmac(door, body)}"}, body)


def _alerts(version: str, now: datetime) -> bytes:
    """One alert that is over, in Alertmanager's format."""
    alert: dict[str, Any] = {
        "status": "resolved",
        "labels": {"alertname": "AegisTest", "severity": "info"},
        "annotations": {"summary": "A test of the way in"},
        "startsAt": rfc3339(now),
        "endsAt": rfc3339(now),
        "generatorURL": "",
        "fingerprint": "0" * 16,
    }
    both = {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "groupKey": "{}"}
    document = {"version": version, "status": "resolved", "receiver": "aegis", "alerts": [alert], **both}
    return orjson.dumps(document)


def _alertmanager(door: Door, now: datetime) -> Example:
    return Example({**JSON, "authorization": f"Bearer {door.secrets[0].reveal()}"}, _alerts("4", now))


def _grafana(door: Door, now: datetime) -> Example:
    body, sent = _alerts("1", now), _epoch(now)
    signature = _hmac(door, sent.encode() + b":" + body)
    return Example({**JSON, grafana.SIGNATURE: signature, door.header or grafana.TIMESTAMP: sent}, body)


def _datadog(door: Door, now: datetime) -> Example:
    said = {"transition": "Recovered", "title": "AegisTest", "monitor": "0", "at_ms": str(int(now.timestamp() * 1_000))}
    return Example({**JSON, door.header or datadog.HEADER: door.secrets[0].reveal()}, orjson.dumps(said))


def _sentry(door: Door, now: datetime) -> Example:
    body = orjson.dumps({"action": "created", "data": {"installation": {"at": rfc3339(now)}}})
    headers = {"sentry-hook-resource": "installation", "sentry-hook-timestamp": _epoch(now)}
    return Example({**JSON, **headers, "sentry-hook-signature": _hmac(door, body)}, body)


def _github(door: Door, now: datetime) -> Example:
    body = orjson.dumps({"zen": "Practicality beats purity.", "at": rfc3339(now)})
    return Example({**JSON, "x-github-event": "ping", "x-hub-signature-256": f"sha256={_hmac(door, body)}"}, body)


def _standard(door: Door, now: datetime) -> Example:
    data = {"key": "aegis-test", "name": "AegisTest", "status": "resolved", "severity": "info"}
    body, sent = orjson.dumps({"type": "alert", "timestamp": rfc3339(now), "data": data}), _epoch(now)
    message_id = f"msg_aegis_test_{sent}"
    signature = standard.signature(door.secrets[0], f"{message_id}.{sent}.".encode() + body)
    headers = {"webhook-id": message_id, "webhook-timestamp": sent, "webhook-signature": f"v1,{signature}"}
    return Example({**JSON, **headers}, body)


_EXAMPLES: Mapping[str, _Make] = {
    "pagerduty": _pagerduty,
    "slack": _slack,
    "jira": _jira,
    "alertmanager": _alertmanager,
    "grafana": _grafana,
    "datadog": _datadog,
    "sentry": _sentry,
    "github": _github,
    "standard": _standard,
}
