"""The lanes to single people: each channel (`email`, `slack`, `sms`, `phone`) has one, beside or around its notifier.

Policy: a delivery names the contact, not the address: who changed the number is reached at the new one, also by what
waits from before. What a gate of the governor refuses is tried again; what no address fits is a dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from aegis.core.contacts import Channel, Contact
from aegis.core.errors import Billed, Refused, ServiceError
from aegis.core.notifications import Notification, Receipt
from aegis.core.ports import Messenger, Notifier


class ToPeople:
    """The port `Notifier` of one channel: what is for one contact goes through the messenger, what is for everybody
    through the channel's notifier.
    """

    def __init__(
        self, messenger: Messenger, contacts: Mapping[str, Contact], *, everybody: Notifier | None = None
    ) -> None:
        self.name, self._messenger, self._contacts, self._everybody = messenger.name, messenger, contacts, everybody

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        """Tell the contact it is for, else everybody. Raises `ServiceError`."""
        if not notification.recipient:
            if self._everybody is None:
                raise self._impossible("nobody is told by default")
            return await self._everybody.notify(notification, remote_id=remote_id)
        to = self._address(notification.recipient)
        try:
            return await self._messenger.send(to, notification, bridge=notification.bridge)
        except Refused as refusal:
            # Without a time to come back: one that a budget keeps from LOW must not stop the lane for CRITICAL.
            why = f"not sent: {refusal}"
            raise ServiceError(self.name, why, retryable=True, billed=Billed.NO) from refusal

    def _address(self, recipient: str) -> str:
        channel, _, name = recipient.partition(":")
        contact = self._contacts.get(name)
        to = contact.addresses.get(cast("Channel", channel), "") if contact else ""
        if not to:
            raise self._impossible(f"{name[:64]} has no {channel[:16]} under contacts any more")
        if not self._messenger.accepts(to):
            raise self._impossible(f"the {channel[:16]} of {name[:64]} is no address that it takes")
        return to

    def _impossible(self, why: str) -> ServiceError:
        return ServiceError(self.name, why, retryable=False, billed=Billed.NO)


def with_people(
    notifiers: Sequence[Notifier], messengers: Mapping[str, Messenger], contacts: Mapping[str, Contact]
) -> tuple[Notifier, ...]:
    """The notifiers, each channel's one also for single people; and a lane for every channel that has none yet."""
    if not contacts:
        return tuple(notifiers)
    known = {one.name: one for one in notifiers}
    lanes = {name: ToPeople(way, contacts, everybody=known.get(name)) for name, way in messengers.items()}
    return (*(lanes.pop(name, one) for name, one in known.items()), *lanes.values())
