"""PagerDuty v3 webhooks: what people do to our incidents in PagerDuty.

Sources: developer.pagerduty.com/docs/webhooks-overview (events, payloads, retries for 48 hours) and
/docs/verifying-webhook-signatures (`X-PagerDuty-Signature: v1=HEX,v1=HEX`, HMAC-SHA256 of the raw body, one match
suffices). The time and the id of the event are inside the signed body.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from aegis.core.inbound import Act, Received, Verb
from aegis.web.inbound.signed import (
    ID_CHARS,
    Door,
    Headers,
    from_rfc3339,
    hmac_matches,
    items,
    parsed_object,
    part,
    require,
    require_fresh,
    text,
    unsigned,
)

NAME = "pagerduty"
SIGNATURE = "x-pagerduty-signature"
RETRIED = timedelta(hours=72)
"""PagerDuty delivers again for 48 hours; a day more for a paused subscription's first attempt."""

VERBS: dict[str, Verb] = {
    "incident.acknowledged": "acknowledge",
    "incident.unacknowledged": "reopen",
    "incident.resolved": "resolve",
    "incident.reopened": "reopen",
    "incident.annotated": "note",
    "incident.escalated": "escalate",
    "incident.reassigned": "assign",
    "incident.delegated": "assign",
    "incident.responder.added": "assign",
}
OURSELVES = "inbound_integration_reference"
"""How PagerDuty names an Events API integration as the one who acted: that was us."""


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the webhook says. Raises `Untrusted` and `BadInput`."""
    given = [one.strip() for one in headers.get(SIGNATURE, "").split(",")]
    signatures = [one.removeprefix("v1=") for one in given if one.startswith("v1=")]
    if not signatures:
        raise unsigned("X-PagerDuty-Signature")
    require(matched=hmac_matches(door.secrets, body, signatures))
    event = part(parsed_object(body), "event")
    at = from_rfc3339(event.get("occurred_at"), otherwise=now)
    require_fresh(at, now, within=RETRIED)
    data = part(event, "data")
    incident = part(data, "incident") or data
    handle, incident_id = text(incident, "id")[:ID_CHARS], text(incident, "incident_key")
    acts: tuple[Act, ...] = ()
    verb = VERBS.get(text(event, "event_type"))
    if verb is not None and not text(event, "agent", "type").endswith(OURSELVES):
        by = text(event, "agent", "summary") or "PagerDuty"
        said = _said(verb, data)
        acts = (Act(verb=verb, via=NAME, by=by, at=at, incident_id=incident_id, handle=handle, text=said),)
    return Received(
        service=NAME,
        ids=(f"event:{text(event, 'id')[:ID_CHARS]}",),
        acts=acts,
        handles={handle: incident_id} if handle and incident_id else {},
    )


def _said(verb: Verb, data: dict[str, object]) -> str:
    if verb == "note":
        return text(data, "content")
    if verb in ("assign", "escalate"):
        names = [text(one, "summary") for one in items(data, "assignees")] or [text(data, "user", "summary")]
        return ", ".join(name for name in names if name)
    return ""
