"""Grafana Alerting's webhook contact point with an HMAC signature (Grafana 12 and later).

Source: grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier
(the header, `X-Grafana-Alerting-Signature` by default, holds the bare hex HMAC-SHA256 of the body; with a timestamp
header it is that of `TIMESTAMP:BODY`). Alerts have Alertmanager's form.
"""

from __future__ import annotations

from datetime import datetime

from aegis.core.inbound import Received
from aegis.web.inbound.alertmanager import alerts_of
from aegis.web.inbound.signed import (
    Door,
    Headers,
    digest,
    from_epoch,
    hmac_matches,
    parsed_object,
    require,
    require_fresh,
    unsigned,
)

NAME = "grafana"
SIGNATURE = "x-grafana-alerting-signature"
TIMESTAMP = "x-grafana-alerting-timestamp"
"""What the field "Timestamp Header" has to say: without it a message could be sent again later."""


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the webhook says. Raises `Untrusted` and `BadInput`."""
    signature = headers.get(SIGNATURE, "")
    sent = headers.get((door.header or TIMESTAMP).lower(), "")
    if not signature:
        raise unsigned("X-Grafana-Alerting-Signature")
    if not sent:
        raise unsigned(door.header or "X-Grafana-Alerting-Timestamp")
    at = from_epoch(sent)
    require(matched=hmac_matches(door.secrets, sent.encode() + b":" + body, [signature]))
    require_fresh(at, now)
    return Received(service=NAME, ids=(digest(sent.encode() + body),), alerts=alerts_of(parsed_object(body), NAME, now))
