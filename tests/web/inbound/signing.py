"""What each sender would send, signed without any of our own code: plain hmac, cryptography, JSON written by hand."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from aegis.core.secret import Secret
from aegis.web.inbound.signed import Door

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET = "shared-secret-of-the-test"
INCIDENT = "inc_01J00000000000000000000000"
TOPIC = "arn:aws:sns:us-east-1:123456789012:budgets"
CERTIFICATE_URL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
DOOR = Door(secrets=(Secret(SECRET),), user="aegis", topics=frozenset({TOPIC}), partner=True)


@dataclass(frozen=True)
class Sent:
    """One request as it would come: header names in lower case."""

    sender: str
    headers: dict[str, str]
    body: bytes
    door: Door = DOOR


def hex_hmac(message: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def epoch(at: datetime) -> str:
    return str(int(at.timestamp()))


def pagerduty(
    kind: str = "incident.acknowledged",
    *,
    at: datetime = NOW,
    secret: str = SECRET,
    event_id: str = "01EVENT",
    by: str = "Ada Lovelace",
    incident: str = INCIDENT,
    **more: Any,
) -> Sent:
    data: dict[str, Any] = {"id": "PGR0VU2", "type": "incident", "incident_key": incident, "status": "acknowledged"}
    event = {
        "id": event_id,
        "event_type": kind,
        "resource_type": "incident",
        "occurred_at": stamp(at),
        "agent": {"id": "PLH1HKV", "type": "user_reference", "summary": by},
        "client": {"name": "PagerDuty"},
        "data": data | more,
    }
    body = json.dumps({"event": event}).encode()
    signature = f"v1={hex_hmac(body, 'the-next-secret')},v1={hex_hmac(body, secret)}"
    return Sent("pagerduty", {"x-pagerduty-signature": signature}, body)


def pagerduty_note(content: str, *, at: datetime = NOW, event_id: str = "01NOTE") -> Sent:
    """A note refers to the incident by PagerDuty's own id only."""
    sent = pagerduty("incident.annotated", at=at, event_id=event_id)
    document = json.loads(sent.body)
    document["event"]["data"] = {
        "type": "incident_note",
        "id": "P2LA89X",
        "content": content,
        "incident": {"id": "PGR0VU2", "type": "incident_reference"},
    }
    body = json.dumps(document).encode()
    return replace(sent, headers={"x-pagerduty-signature": f"v1={hex_hmac(body)}"}, body=body)


def slack(
    action: str = "aegis_acknowledge",
    *,
    at: datetime = NOW,
    secret: str = SECRET,
    incident: str = INCIDENT,
    by: str = "grace",
) -> Sent:
    from urllib.parse import urlencode

    payload = {
        "type": "block_actions",
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
        "user": {"id": "U1", "name": by, "username": by},
        "container": {"type": "message", "channel_id": "C1", "message_ts": "1732190000.000100"},
        "actions": [{"action_id": action, "value": incident, "action_ts": f"{epoch(at)}.000000", "type": "button"}],
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
    signature = "v0=" + hex_hmac(f"v0:{epoch(at)}:".encode() + body, secret)
    headers = {"x-slack-signature": signature, "x-slack-request-timestamp": epoch(at)}
    return Sent("slack", headers | {"content-type": "application/x-www-form-urlencoded"}, body)


def jira(*, at: datetime = NOW, secret: str = SECRET, category: str = "done", incident: str = INCIDENT) -> Sent:
    status = {"name": "Erledigt", "statusCategory": {"key": category}}
    document = {
        "timestamp": int(at.timestamp() * 1000),
        "webhookEvent": "jira:issue_updated",
        "user": {"displayName": "Mia Krystof", "accountId": "99:27935d01"},
        "issue": {"key": "SEC-7", "fields": {"labels": ["aegis", f"aegis-{incident}"], "status": status}},
        "changelog": {"items": [{"field": "status", "toString": "Erledigt"}]},
    }
    body = json.dumps(document).encode()
    return Sent("jira", {"x-hub-signature": f"sha256={hex_hmac(body, secret)}"}, body)


def alert(status: str = "firing", *, at: datetime = NOW, **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "HighErrorRate", "severity": "critical", "instance": "web-1:9100", **labels},
        "annotations": {"summary": "5xx above 5 %", "description": "The rate of errors is too high."},
        "startsAt": stamp(at - timedelta(minutes=1)),
        "endsAt": stamp(at) if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "https://prometheus.example/graph?g0.expr=x",
        "fingerprint": "".join(f"{ord(c):x}" for c in labels.get("zone", "a"))[:16].rjust(16, "0"),
    }


def _group(*alerts: dict[str, Any], version: str = "4") -> bytes:
    return json.dumps(
        {
            "version": version,
            "groupKey": '{}:{alertname="HighErrorRate"}',
            "status": alerts[0]["status"],
            "receiver": "aegis",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "https://alertmanager.example",
            "alerts": list(alerts),
        }
    ).encode()


def alertmanager(*alerts: dict[str, Any], secret: str = SECRET) -> Sent:
    return Sent("alertmanager", {"authorization": f"Bearer {secret}"}, _group(*(alerts or (alert(),))))


def grafana(*alerts: dict[str, Any], at: datetime = NOW, secret: str = SECRET) -> Sent:
    body = _group(*(alerts or (alert(),)), version="1")
    signature = hex_hmac(epoch(at).encode() + b":" + body, secret)
    headers = {"x-grafana-alerting-signature": signature, "x-grafana-alerting-timestamp": epoch(at)}
    return Sent("grafana", headers, body)


def datadog(transition: str = "Triggered", *, at: datetime = NOW, secret: str = SECRET, tags: str = "") -> Sent:
    document = {
        "id": "1234567",
        "transition": transition,
        "type": "error",
        "cycle": "7700",
        "aggregate": "9bd4ac313a4d1e8fae2482df7b77628",
        "monitor": "1234",
        "title": "[Triggered] CPU is high",
        "text": "CPU above 90 %",
        "priority": "P1",
        "scope": "host:web-1,env:prod",
        "host": "web-1",
        "link": "https://app.datadoghq.com/event/jump_to?event_id=1234567",
        "at_ms": str(int(at.timestamp() * 1000)),
        "tags": tags,
    }
    return Sent("datadog", {"x-aegis-token": secret}, json.dumps(document).encode())


def sentry(
    action: str = "triggered", *, at: datetime = NOW, secret: str = SECRET, resource: str = "event_alert", **more: Any
) -> Sent:
    event = {"title": "ValueError: boom", "level": "fatal", "issue_id": "1170820242", "event_id": "e4874d66", **more}
    issue = {"id": "1170820242", "title": "ValueError: boom", "level": "fatal", "lastSeen": stamp(at), **more}
    metric = {"id": "4", "title": "Sacred Marmot", "alert_rule": {"name": "Too many errors"}, "date_started": stamp(at)}
    data: dict[str, Any] = {"event": event, "triggered_rule": "Very Important"}
    if resource == "issue":
        data = {"issue": issue}
    elif resource == "metric_alert":
        data = {"metric_alert": metric, "description_title": "Critical: Too many errors"}
    body = json.dumps({"action": action, "data": data, "installation": {"uuid": "a8e5d37a"}}).encode()
    headers = {
        "sentry-hook-resource": resource,
        "sentry-hook-timestamp": epoch(at),
        "sentry-hook-signature": hex_hmac(body, secret),
        "request-id": "4f7a3c",
    }
    return Sent("sentry", headers, body)


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: rsa.RSAPrivateKey = KEY, *, ends: datetime = NOW + timedelta(days=300)) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


BUDGET = """\
AWS Budget Notification November 21, 2026
AWS Account 123456789012

Dear AWS Customer,

You requested that we alert you when the ACTUAL Cost associated with your monthly-cost budget is greater than $40.00 for
the current month. The details can be found below:

Budget Name: monthly-cost
Budget Type: Cost
Budgeted Amount: $50.00
Alert Type: ACTUAL
Alert Threshold: > $40.00
ACTUAL Amount: $42.17
"""


def sns(
    message: str = BUDGET,
    *,
    at: datetime = NOW,
    version: str = "2",
    kind: str = "Notification",
    topic: str = TOPIC,
    key: rsa.RSAPrivateKey = KEY,
    **more: str,
) -> Sent:
    document = {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": topic,
        "Message": message,
        "Timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
        **more,
    }
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if kind == "SubscriptionConfirmation":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{document[name]}\n" for name in names if name in document)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    document["Signature"] = base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()
    body = json.dumps(document).encode()
    return Sent("sns", {}, body, replace(DOOR, keys={CERTIFICATE_URL: certificate()}))


PARTNER_KEY = ec.generate_private_key(ec.SECP256R1())
PARTNER_ID = "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d"


def partner_pem() -> bytes:
    return PARTNER_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def github_partner(token: str = "NMIfyYncKcRALEXAMPLE") -> Sent:
    found = {
        "token": token,
        "type": "mycompany_api_token",
        "url": "https://github.com/o/r/blob/1/f",
        "source": "content",
    }
    body = json.dumps([found]).encode()
    signature = base64.b64encode(PARTNER_KEY.sign(body, ec.ECDSA(hashes.SHA256()))).decode()
    headers = {"github-public-key-identifier": PARTNER_ID, "github-public-key-signature": signature}
    return Sent("github", headers, body, replace(DOOR, keys={PARTNER_ID: partner_pem()}))


def github(action: str = "created", *, at: datetime = NOW, secret: str = SECRET) -> Sent:
    document = {
        "action": action,
        "alert": {
            "number": 42,
            "created_at": stamp(at),
            "secret_type": "aws_access_key",
            "secret_type_display_name": "Amazon AWS Access Key ID",
            "validity": "active",
            "html_url": "https://github.com/octo/app/security/secret-scanning/42",
        },
        "repository": {"full_name": "octo/app"},
    }
    body = json.dumps(document).encode()
    headers = {"x-hub-signature-256": f"sha256={hex_hmac(body, secret)}", "x-github-event": "secret_scanning_alert"}
    return Sent("github", headers | {"x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}, body)


def standard(
    kind: str = "alert", *, at: datetime = NOW, secret: str = SECRET, message_id: str = "msg_1", **data: Any
) -> Sent:
    given = data or {"key": "disk", "name": "Disk full", "status": "firing", "severity": "high", "host": "db-1"}
    body = json.dumps({"type": kind, "timestamp": stamp(at), "data": given}).encode()
    whsec = "whsec_" + base64.b64encode(SECRET.encode()).decode()
    signed = f"{message_id}.{epoch(at)}.".encode() + body
    signature = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": message_id, "webhook-timestamp": epoch(at), "webhook-signature": f"v1,xxxx v1,{signature}"}
    return Sent("standard", headers, body, replace(DOOR, secrets=(Secret(whsec),)))
