"""Reviews in a running Aegis: who owns one, and telling them once when it is overdue.

Policy: it never rings: mail or a direct message, never a text or a call; told once for each day on which it was due, and
again only after it was done and is overdue anew. A message that does not leave is tried again an hour later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aegis.core.contacts import CHANNELS, WAKING, Contact
from aegis.core.errors import Refused, ServiceError
from aegis.core.escalations import Roster
from aegis.core.incidents import Severity, Status
from aegis.core.notifications import Notification
from aegis.core.ports import Messenger, NewId
from aegis.core.reviews import Review, shipped
from aegis.loops import Tick
from aegis.stores.database import Database
from aegis.stores.reviews import SqliteReviews

if TYPE_CHECKING:
    from aegis.app.running import App

LOOK_MS: Final = 3_600_000
"""Days are what counts: once an hour is soon enough."""
LEADS: Final = "lead"
"""The role whose bearer owns what nobody was named for."""


def owner_of(review: Review, roster: Roster) -> Contact | None:
    """The contact who owns a review: the one it names, else whoever leads, else the first; None where there is nobody."""
    if review.owner:
        return roster.contacts.get(review.owner)
    leads = [one for one in roster.contacts.values() if LEADS in one.roles]
    return next(iter(leads or roster.contacts.values()), None)


def owner_name(review: Review, roster: Roster) -> str:
    """How a review's owner is called; empty where there is nobody."""
    found = owner_of(review, roster)
    return review.owner or (found.name if found else "")


async def on_record(kept: SqliteReviews, now: datetime) -> Sequence[Review]:
    """Every review; the shipped lists are put on record at the first look. Raises `StoreError`."""
    found = await kept.all()
    known = {review.id for review in found}
    if missing := [review for review in shipped(now.date()) if review.id not in known]:
        await kept.begin(missing)
        found = await kept.all()
    return found


class Reviewing:
    """`tick` tells owners what is overdue."""

    def __init__(
        self, kept: SqliteReviews, *, roster: Roster, messengers: Callable[[], Mapping[str, Messenger]], new_id: NewId
    ) -> None:
        self._kept, self._roster, self._messengers, self._new_id = kept, roster, messengers, new_id

    async def tick(self, now: datetime) -> None:
        """Raises `StoreError`; the next tick goes on."""
        for review in await on_record(self._kept, now):
            if review.overdue(now.date()) and review.told != review.due and await self._tell(review, now):
                await self._kept.told(review)

    async def _tell(self, review: Review, now: datetime) -> bool:
        """Whether its owner was told; a service that does not take it is not asked twice in a tick."""
        contact = owner_of(review, self._roster)
        if contact is None:
            return False
        known = self._messengers()
        for way in [way for way in CHANNELS if way in contact.addresses and way in known and way not in WAKING]:
            try:
                await known[way].send(contact.addresses[way], _said(review, self._new_id("rev"), now))
            except (ServiceError, Refused):
                continue
            return True
        return False


def reviewing(app: App, database: Database) -> tuple[str, int, Tick]:
    """Reviews as a loop of a running Aegis: its name, how often it turns, what it does. The ways to people are looked up when
    they are needed: they are wired later.
    """
    kept = SqliteReviews(database)
    loop = Reviewing(kept, roster=app.telling.roster, messengers=lambda: app.messengers, new_id=app.new_id)
    return "reviews", LOOK_MS, loop.tick


def _said(review: Review, number: str, now: datetime) -> Notification:
    return Notification(
        incident_id=number,
        dedup_key=f"review-{review.id}-{review.due.isoformat()}",
        version=1,
        change="updated",
        severity=Severity.LOW,
        status=Status.OPEN,
        title=f"a review is overdue: {review.title}",
        summary=f"It was due on {review.due.isoformat()} and is done every {review.every}. This is said once.",
        at=now,
        actions=(review.how, f"aegis review done {review.id}") if review.how else (f"aegis review done {review.id}",),
    )
