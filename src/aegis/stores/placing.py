"""How deliveries get into their lanes, and how a newer one takes the place of one that was never sent.

Runs inside the transaction of whoever commits: the incident's commit and the outbox's own ends of an attempt.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from aegis.core.deliveries import ALONE, Place, carry_on, place_of
from aegis.core.incidents import Severity
from aegis.core.notifications import Delivery, Notification
from aegis.stores.queries import read_queries
from aegis.stores.records import notification_to_text
from aegis.stores.times import from_us, to_us

ID_BYTES = 16
"""128 bits of BLAKE2b: two different texts never share an id by accident."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery with its text already written, so that the writer's thread does not have to."""

    delivery: Delivery
    text_id: str
    text: str


class Placing:
    """The queries of `placing.sql` with their rules."""

    def __init__(self) -> None:
        self._queries = read_queries("placing")

    def prepared(self, deliveries: Sequence[Delivery]) -> Sequence[Prepared]:
        """Each text is written once, however many services are told it."""
        texts: dict[int, tuple[str, str]] = {}
        for delivery in deliveries:
            said = delivery.notification
            if id(said) not in texts:
                texts[id(said)] = _text(said)
        return [Prepared(delivery, *texts[id(delivery.notification)]) for delivery in deliveries]

    def place(self, connection: sqlite3.Connection, prepared: Sequence[Prepared]) -> None:
        """Put deliveries into their lanes; those that were placed before are left alone."""
        kept: set[str] = set()
        for one in prepared:
            if self._added(connection, one) and one.text_id not in kept:
                kept.add(one.text_id)
                connection.execute(self._queries["keep_text"], _text_row(one))

    def _added(self, connection: sqlite3.Connection, one: Prepared) -> bool:
        """Add one delivery, in the place of those that it overtakes. False when it was known."""
        delivery, place = one.delivery, place_of(one.delivery)
        row = {
            "id": delivery.id,
            "incident_id": delivery.incident_id,
            "service": delivery.service,
            "recipient": delivery.notification.recipient,
            "version": delivery.notification.version,
            "notification_id": one.text_id,
        }
        if not connection.execute(self._queries["add"], row | from_place(place)).rowcount:
            return False
        if place.change in ALONE:
            return True
        overtaken = connection.execute(self._queries["overtaken"], row).fetchall()
        for found in overtaken:
            connection.execute(self._queries["supersede"], {"id": found[0], "now_us": to_us(delivery.created_at)})
            place = carry_on(place, to_place(found[1:]))
        if overtaken:
            connection.execute(self._queries["take_place"], {"id": delivery.id, **from_place(place)})
        return True

    def give_way(self, connection: sqlite3.Connection, row: Mapping[str, Any], *, now_us: int) -> bool:
        """Let a newer waiting delivery carry on in the place of this one, which waits too. `row` names `id`,
        `incident_id`, `service`, `recipient`, `version` and what `from_place` names. False when there is no newer one.
        """
        if row["change"] in ALONE:
            return False
        newer = connection.execute(self._queries["newer"], row).fetchone()
        if newer is None:
            return False
        older = to_place(tuple(row[name] for name in _PLACE))
        connection.execute(self._queries["supersede"], {"id": row["id"], "now_us": now_us})
        place = carry_on(to_place(newer[1:]), older)
        connection.execute(self._queries["take_place"], {"id": newer[0], **from_place(place)})
        return True


_PLACE = ("change", "priority", "attempts", "created_us", "due_us", "last_error", "doubtful")


def to_place(row: Sequence[Any]) -> Place:
    """A place from the columns change, priority, attempts, created_us, due_us, last_error, doubtful."""
    change, priority, attempts, created_us, due_us, last_error, doubtful = row
    return Place(
        change=change,
        priority=Severity(priority),
        created_at=from_us(created_us),
        due_at=from_us(due_us),
        attempts=attempts,
        last_error=last_error,
        doubtful=bool(doubtful),
    )


def from_place(place: Place) -> dict[str, Any]:
    """The columns of a place by name."""
    return {
        "change": place.change,
        "priority": int(place.priority),
        "attempts": place.attempts,
        "created_us": to_us(place.created_at),
        "due_us": to_us(place.due_at),
        "last_error": place.last_error,
        "doubtful": int(place.doubtful),
    }


def _text(notification: Notification) -> tuple[str, str]:
    text = notification_to_text(notification)
    return blake2b(text.encode(), digest_size=ID_BYTES).hexdigest(), text


def _text_row(one: Prepared) -> Mapping[str, Any]:
    delivery = one.delivery
    return {
        "id": one.text_id,
        "incident_id": delivery.incident_id,
        "stored_us": to_us(delivery.created_at),
        "body": one.text,
    }
