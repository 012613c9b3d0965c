"""Any sender that signs by Standard Webhooks: alerts in a form of ours, or acts on our incidents.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md (`webhook-id`, `webhook-timestamp`,
`webhook-signature: v1,BASE64 v1,BASE64`: HMAC-SHA256 of `ID.TIMESTAMP.BODY`; the secret is base64 behind `whsec_`).

    {"type": "alert", "data": {"key": "...", "name": "...", "status": "firing", "severity": "high", "host": "..."}}
    {"type": "incident.acknowledge", "data": {"incident": "inc_...", "by": "...", "text": "..."}}
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Any, cast, get_args

from aegis.core.errors import BadInput
from aegis.core.inbound import Act, Alert, Received, Verb
from aegis.core.incidents import Severity
from aegis.core.secret import Secret
from aegis.web.inbound.alertmanager import SEVERITIES
from aegis.web.inbound.signed import (
    ID_CHARS,
    SIGNATURES_MAX,
    Door,
    Headers,
    from_epoch,
    from_rfc3339,
    parsed_object,
    part,
    require,
    require_fresh,
    text,
    texts,
    unsigned,
)

NAME = "standard"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
VERBS = frozenset(get_args(Verb))


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the webhook says. Raises `Untrusted` and `BadInput`."""
    message_id, sent = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    given = [one.removeprefix("v1,") for one in headers.get(SIGNATURE, "").split(" ") if one.startswith("v1,")]
    if not message_id or not given:
        raise unsigned("webhook-id or webhook-signature")
    at = from_epoch(sent)
    require(matched=_matches(door.secrets, f"{message_id}.{sent}.".encode() + body, given[:SIGNATURES_MAX]))
    require_fresh(at, now)
    document = parsed_object(body)
    kind, data = text(document, "type"), part(document, "data")
    when = from_rfc3339(document.get("timestamp"), otherwise=min(at, now))
    ids = (f"id:{message_id[: 2 * ID_CHARS]}",)
    if kind == "alert":
        return Received(service=NAME, ids=ids, alerts=(_alert(data, when),))
    verb = kind.removeprefix("incident.")
    if kind.startswith("incident.") and verb in VERBS:
        return Received(service=NAME, ids=ids, acts=(_act(cast("Verb", verb), data, when),))
    raise BadInput("The type is neither `alert` nor `incident.VERB`", code="unknown_type")


def key_of(secret: Secret) -> bytes:
    """The key behind `whsec_`: base64, or the text itself where it is none."""
    written = secret.reveal()
    try:
        return base64.b64decode(written.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return written.encode()


def signature(secret: Secret, message: bytes) -> str:
    """The signature of `ID.TIMESTAMP.BODY`, base64."""
    return base64.b64encode(hmac.new(key_of(secret), message, hashlib.sha256).digest()).decode()


def _matches(secrets: tuple[Secret, ...], message: bytes, given: list[str]) -> bool:
    return any(
        hmac.compare_digest(signature(secret, message).encode(), one.encode()) for one in given for secret in secrets
    )


def _alert(data: dict[str, Any], at: datetime) -> Alert:
    return Alert(
        product=NAME,
        key=(text(data, "key") or text(data, "name"))[: 2 * ID_CHARS],
        name=text(data, "name"),
        firing=text(data, "status") != "resolved",
        severity=SEVERITIES.get(text(data, "severity").lower(), Severity.MEDIUM),
        at=at,
        round=text(data, "started_at") or at.isoformat(),
        host=text(data, "host"),
        summary=text(data, "summary"),
        description=text(data, "description"),
        link=text(data, "link"),
        labels=texts(data.get("labels")),
    )


def _act(verb: Verb, data: dict[str, Any], at: datetime) -> Act:
    return Act(
        verb=verb,
        via=NAME,
        by=text(data, "by") or "somebody",
        at=at,
        incident_id=text(data, "incident"),
        text=text(data, "text"),
    )
