"""Messages to people that cost money: each is asked of the governor first, then sent.

Policy: an alarm is covered only by budgets and switches that name its service; the longest that a message may be or a
call may take is what it is booked at, since nobody says at once what it came to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aegis.core.calls import Call, Priority, Usage
from aegis.core.errors import Billed, Refused, ServiceError
from aegis.core.notifications import Notification, Receipt
from aegis.core.ports import Governs, NewId


class Metered(Protocol):
    """What a metered way to people is asked. `recipients` are told by default; `priced` is what the price goes by."""

    name: str
    service: str
    operation: str
    recipients: Sequence[str]

    def accepts(self, to: str) -> bool: ...
    def priced(self, to: str) -> str: ...
    def taken(self, to: str, notification: Notification) -> Receipt | None: ...
    def worst(self, notification: Notification, *, bridge: str = "") -> Usage: ...
    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt: ...


class GovernedMessenger:
    """`Messenger` and `Notifier` around a metered way to people."""

    def __init__(self, way: Metered, *, governor: Governs, new_id: NewId) -> None:
        self.name, self._way, self._governor, self._new_id = way.name, way, governor, new_id

    @property
    def recipients(self) -> Sequence[str]:
        """Who is told by default."""
        return self._way.recipients

    def accepts(self, to: str) -> bool:
        return self._way.accepts(to)

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        """Tell one person. Raises `Refused` (nothing was sent or spent) and `ServiceError`."""
        if taken := self._way.taken(to, notification):
            return taken
        worst = self._way.worst(notification, bridge=bridge)
        call = Call(
            id=self._new_id("call"),
            service=self._way.service,
            operation=self._way.operation,
            models=(self._way.priced(to),),
            worst=worst,
            scope={"purpose": "alarm", "incident": notification.incident_id, "severity": notification.severity.name},
            priority=Priority[notification.severity.name],
            alarm=True,
        )
        async with self._governor.admit(call) as admitted:
            receipt = await self._way.send(to, notification, bridge=bridge)
            admitted.settle(worst)
        return receipt

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - a message is not edited
        """Tell everybody who is told by default; those who were told before are left out when it is tried again."""
        receipts: list[Receipt] = []
        errors: list[ServiceError] = []
        for to in self._way.recipients:
            try:
                receipts.append(await self.send(to, notification))
            except ServiceError as error:
                errors.append(error)
            except Refused as refusal:
                errors.append(_as_error(self.name, refusal))
        if errors and (passing := [error for error in errors if error.retryable]):
            raise passing[0]
        if errors and not receipts:
            raise errors[0]
        note = f"{len(errors)} of {len(self._way.recipients)} were refused: {errors[0]}" if errors else ""
        return Receipt(remote_id=receipts[-1].remote_id if receipts else "", note=note)


def _as_error(name: str, refusal: Refused) -> ServiceError:
    """A gate said no: nothing left, and asking again may help. Without a time to come back, which would stop the whole
    lane until then, also for what a gate would let through.
    """
    return ServiceError(name, f"not sent: {refusal}", retryable=True, billed=Billed.NO)
