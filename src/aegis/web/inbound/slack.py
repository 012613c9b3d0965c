"""Slack interactivity: the buttons of our own messages.

Sources: docs.slack.dev/authentication/verifying-requests-from-slack (`X-Slack-Signature: v0=HEX`, HMAC-SHA256 of
`v0:TIMESTAMP:BODY`, five minutes) and /reference/interaction-payloads/block_actions-payload (form field `payload`;
`actions[].action_id`, `value`, `action_ts`; an empty 200 within three seconds).
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs

from aegis.core.errors import BadInput
from aegis.core.inbound import Act, Received, Verb
from aegis.web.inbound.signed import (
    ID_CHARS,
    Door,
    Headers,
    from_epoch,
    hmac_matches,
    items,
    parsed_object,
    require,
    require_fresh,
    text,
    unsigned,
)

NAME = "slack"
SIGNATURE, TIMESTAMP = "x-slack-signature", "x-slack-request-timestamp"
FIELDS_MAX = 8
"""Of the form: Slack sends one."""

VERBS: dict[str, Verb] = {
    "aegis_acknowledge": "acknowledge",
    "aegis_resolve": "resolve",
    "aegis_reopen": "reopen",
    "aegis_escalate": "escalate",
}
"""The `action_id` of each button that changes something; its `value` is the incident's id."""


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the interaction says. Raises `Untrusted` and `BadInput`."""
    signature, sent = headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, "")
    if not signature.startswith("v0="):
        raise unsigned("X-Slack-Signature")
    at = from_epoch(sent)
    require(matched=hmac_matches(door.secrets, b"v0:" + sent.encode() + b":" + body, [signature.removeprefix("v0=")]))
    require_fresh(at, now)
    payload = parsed_object(_payload(body))
    acts: list[Act] = []
    ids: list[str] = []
    by = text(payload, "user", "name") or text(payload, "user", "username") or "somebody"
    channel, ts = text(payload, "container", "channel_id"), text(payload, "container", "message_ts")
    for action in items(payload, "actions"):
        ids.append(f"{text(payload, 'trigger_id')}:{text(action, 'action_id')}:{text(action, 'action_ts')}"[:ID_CHARS])
        if verb := VERBS.get(text(action, "action_id")):
            pressed = _pressed(text(action, "action_ts"), otherwise=min(at, now))
            target = {"incident_id": text(action, "value"), "handle": f"{channel}:{ts}"}
            acts.append(Act(verb=verb, via=NAME, by=by, at=pressed, **target))
    return Received(service=NAME, ids=tuple(ids) or (f"{sent}:{signature}",), acts=tuple(acts))


def _payload(body: bytes) -> bytes:
    try:
        fields = parse_qs(body.decode(), max_num_fields=FIELDS_MAX)
    except ValueError:
        raise BadInput("The body is no form", code="not_form") from None
    return next(iter(fields.get("payload", [])), "").encode()


def _pressed(action_ts: str, *, otherwise: datetime) -> datetime:
    """`1732196000.123456` as a time."""
    seconds, _, fraction = action_ts.partition(".")
    if not (seconds.isdigit() and len(seconds) <= 10):
        return otherwise
    micros = int(fraction[:6].ljust(6, "0")) if fraction.isdigit() else 0
    return min(datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=micros), otherwise)
