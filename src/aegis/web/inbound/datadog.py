"""Datadog's webhooks integration: a monitor's transitions, in the template that our documentation gives.

Source: docs.datadoghq.com/integrations/webhooks (own payload and own headers in JSON; variables `$ALERT_TRANSITION`,
`$ALERT_CYCLE_KEY`, ...; an internal error or a 5xx is tried again, five times). There is no signature: a shared secret in
a header of ours.
"""

from __future__ import annotations

from datetime import UTC, datetime

from aegis.core.inbound import Alert, Received
from aegis.core.incidents import Severity
from aegis.web.inbound.signed import (
    ID_CHARS,
    Door,
    Headers,
    digest,
    parsed_object,
    require,
    text,
    text_matches,
    unsigned,
)

NAME = "datadog"
HEADER = "x-aegis-token"

TEMPLATE = """\
{
  "id": "$ID", "transition": "$ALERT_TRANSITION", "type": "$ALERT_TYPE", "cycle": "$ALERT_CYCLE_KEY",
  "aggregate": "$AGGREG_KEY", "monitor": "$ALERT_ID", "title": "$EVENT_TITLE", "text": "$TEXT_ONLY_MSG",
  "priority": "$ALERT_PRIORITY", "scope": "$ALERT_SCOPE", "host": "$HOSTNAME", "link": "$LINK", "at_ms": "$DATE",
  "tags": "$TAGS"
}"""
"""The payload to put into the integration."""

OURSELVES = "source:aegis"
"""The tag of our own events: an alert about them would go round for ever."""
OVER = frozenset({"recovered", "warn recovered", "no data recovered"})
"""Values of `$ALERT_TRANSITION` that end an alert, in lower case."""
PRIORITIES = {
    "P1": Severity.CRITICAL,
    "P2": Severity.HIGH,
    "P3": Severity.MEDIUM,
    "P4": Severity.LOW,
    "P5": Severity.LOW,
}
TYPES = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "info": Severity.LOW, "success": Severity.LOW}


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the webhook says. Raises `Untrusted` and `BadInput`."""
    given = headers.get((door.header or HEADER).lower(), "")
    if not given:
        raise unsigned(door.header or HEADER)
    require(matched=text_matches(door.secrets, given))
    said = parsed_object(body)
    transition = text(said, "transition").lower()
    cycle = text(said, "cycle") or text(said, "aggregate")
    alert = Alert(
        product=NAME,
        key=f"{text(said, 'monitor') or cycle}:{text(said, 'scope')}"[:ID_CHARS],
        name=text(said, "title"),
        firing=transition not in OVER,
        severity=PRIORITIES.get(text(said, "priority")) or TYPES.get(text(said, "type"), Severity.MEDIUM),
        at=_at(text(said, "at_ms"), now),
        round=f"{cycle}:{transition}",
        host=text(said, "host"),
        summary=text(said, "text"),
        link=text(said, "link"),
        labels={
            name: value for name, _, value in (tag.partition(":") for tag in text(said, "scope").split(",")) if value
        },
    )
    ours = OURSELVES in text(said, "tags").split(",")
    return Received(service=NAME, ids=(digest(body),), alerts=() if ours else (alert,))


def _at(milliseconds: str, now: datetime) -> datetime:
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) <= 13):
        return now
    return min(datetime.fromtimestamp(int(milliseconds) // 1_000, UTC), now)
