"""Tells one contact something on purpose: the test that shows whether they can be reached."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aegis.app.running import App
from aegis.app.services import free_channels, personal_channels
from aegis.app.trying import LASTING
from aegis.config.settings import Config
from aegis.core.contacts import Contact
from aegis.core.errors import BadInput, Refused, ServiceError
from aegis.core.escalations import Roster
from aegis.core.incidents import Severity, Status
from aegis.core.notifications import Notification


def usable_channels(config: Config) -> tuple[str, ...]:
    """The channels to single people that the configured connectors offer."""
    metered = ("sms", "phone") if "twilio" in config.connectors else ()
    return (*free_channels(config), *personal_channels(config), *metered)


def contact_named(roster: Roster, name: str) -> Contact:
    """Raises `BadInput`."""
    found = roster.contacts.get(name)
    if found is None:
        known = ", ".join(roster.contacts) or "none; they stand under contacts in aegis.yaml"
        raise BadInput(f"there is no contact {name[:64]}; the contacts are {known}", code="no_such_contact")
    return found


async def tell_test(app: App, name: str, *, by: str = "", who: str = "api") -> list[dict[str, Any]]:
    """Send a marked test by every channel of a contact, or the one named `by`; what became of each. Quiet hours do not
    count: `who` asked for it. Raises `BadInput`.
    """
    contact = contact_named(app.telling.roster, name)
    channels = [c for c in contact.addresses if c in app.messengers and by in ("", c)]
    if not channels:
        missing = (
            by
            or "channel that a connector carries (email, slack with a token, twilio; or a pagerduty or webhook of their own)"
        )
        raise BadInput(f"{name} has no {missing}", code="no_such_channel")
    number = app.new_id("test")
    now = app.clock.now()
    said = Notification(
        incident_id=number,
        dedup_key=number,
        version=1,
        change="test",
        severity=Severity.LOW,
        status=Status.OPEN,
        title=f"this is a test for {contact.title or contact.name}",
        summary="Aegis was asked whether it can reach you. Nothing has happened, and nothing is to be done.",
        at=now,
    )
    sent: list[dict[str, Any]] = []
    for channel in channels:
        try:
            receipt = await app.messengers[channel].send(contact.addresses[channel], said)
            if channel in LASTING:  # what the test opened is closed again
                over = replace(said, change="resolved", version=2, status=Status.RESOLVED)
                await app.messengers[channel].send(contact.addresses[channel], over)
        except (ServiceError, Refused) as error:
            sent.append({"channel": channel, "ok": False, "text": str(error)})
        else:
            sent.append({"channel": channel, "ok": True, "text": receipt.note or "taken"})
    await app.audit.note(who, "contact.tested", {"contact": name, "channels": ", ".join(channels)})
    return sent
