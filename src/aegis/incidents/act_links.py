"""Signed links in messages: whoever has one may acknowledge, resolve or reopen that incident once, after a confirm page.

A token is `PAYLOAD.SIGNATURE`, both base64url: the incident, the verb, when it ends, whom it was sent to; signed with
HMAC-SHA256 under the installation's own key (RFC 2104, cut to 128 bits as its section 5 allows). It gives nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias, cast

from aegis.core.errors import BadInput
from aegis.core.incidents import Incident, Status
from aegis.core.notifications import Button

LinkVerb: TypeAlias = Literal["acknowledge", "resolve", "reopen"]

VALID = timedelta(days=7)
"""A long weekend and a holiday: after that a person signs in."""
SIGNATURE_BYTES = 16
TOKEN_CHARS_MAX = 512
CONTACT_CHARS = 80
_SEPARATOR = "\n"
"""Stands in no incident's id, verb or number, and is taken out of contacts."""

LABELS: dict[LinkVerb, str] = {"acknowledge": "Acknowledge", "resolve": "Resolve", "reopen": "Reopen"}
OFFERED: dict[Status, tuple[LinkVerb, ...]] = {
    Status.OPEN: ("acknowledge", "resolve"),
    Status.ACKNOWLEDGED: ("resolve",),
    Status.RESOLVED: ("reopen",),
}
"""What can be done to an incident by where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedAct:
    """What a link stands for. `contact` is whom it was sent to; empty when it stands in a channel of many."""

    incident_id: str
    verb: LinkVerb
    ends_at: datetime
    contact: str
    token: str

    @property
    def name(self) -> str:
        """What the link is remembered by once it was used: a digest, never the token."""
        return f"link:{hashlib.sha256(self.token.encode()).hexdigest()}"


def buttons(incident: Incident) -> tuple[Button, ...]:
    """What the reader of a message can do, without links."""
    return tuple(Button(label=LABELS[verb], verb=verb) for verb in OFFERED[incident.status])


class ActLinks:
    """Makes and reads links. `base` is the address that people reach Aegis by; `key` is secret."""

    def __init__(self, key: bytes, *, base: str) -> None:
        self._key, self._base = key, base.rstrip("/")

    def links(self, incident: Incident, *, contact: str = "") -> tuple[Button, ...]:
        """What the reader of a message about this version of the incident can do, each with its link."""
        ends_at = incident.updated_at + VALID
        return tuple(
            Button(label=LABELS[verb], verb=verb, url=self._url(incident.id, verb, ends_at, contact))
            for verb in OFFERED[incident.status]
        )

    def read(self, token: str, *, now: datetime) -> LinkedAct:
        """What a token stands for. Raises `BadInput` (`bad_link`, `link_ended`)."""
        act = self._checked(token)
        if now >= act.ends_at:
            raise BadInput("This link has ended; open the incident in Aegis instead", code="link_ended")
        return act

    def _url(self, incident_id: str, verb: LinkVerb, ends_at: datetime, contact: str) -> str:
        ends = str(int(ends_at.timestamp()))
        who = " ".join(contact.split())[:CONTACT_CHARS]
        payload = _SEPARATOR.join((incident_id, verb, ends, who)).encode()
        return f"{self._base}/act/{_text(payload)}.{_text(self._signature(payload))}"

    def _signature(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, hashlib.sha256).digest()[:SIGNATURE_BYTES]

    def _checked(self, token: str) -> LinkedAct:
        wrong = BadInput("This link is not one of ours, or was cut on its way", code="bad_link")
        payload_text, _, signature_text = token.partition(".")
        if len(token) > TOKEN_CHARS_MAX:
            raise wrong
        try:
            payload, signature = _bytes(payload_text), _bytes(signature_text)
        except (binascii.Error, ValueError):
            raise wrong from None
        if not hmac.compare_digest(self._signature(payload), signature):
            raise wrong
        incident_id, verb, ends, contact = payload.decode().split(_SEPARATOR)
        return LinkedAct(
            incident_id=incident_id,
            verb=cast("LinkVerb", verb),
            ends_at=datetime.fromtimestamp(int(ends), UTC),
            contact=contact,
            token=f"{_text(payload)}.{_text(signature)}",
        )


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
