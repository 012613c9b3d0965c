"""The rules of the outbox: who goes first, and what becomes of a message that a newer one overtakes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis.core.incidents import Severity
from aegis.core.notifications import Change, Delivery, DeliveryState, Fact

AGE_STEP = timedelta(minutes=5)
"""A delivery gains one priority for every five minutes of waiting: a LOW one stands beside a fresh HIGH after ten."""

FIRST = frozenset[Change]({"opened", "raised", "reopened"})
"""Changes that page somebody. Nobody has heard of the incident (or how bad it is) until one of them arrives."""
ALONE = frozenset[Change]({"noted"})
"""Changes that are a message of their own: nothing newer says what they say, and they say nothing of what is older."""
LATER = frozenset[Change]({"analysed", "updated"})
"""Changes that only add to what was said."""
RECORDING = frozenset({"datadog", "splunk", "sentry"})
"""Services that keep a record and wake nobody: they are told of an incident that is held back as well."""
CLOSING = frozenset[Change]({"acknowledged", "resolved"})
"""Changes that somebody made: they close what was told. Who was told of nothing needs no such word."""


def is_held_back(service: str, change: Change) -> bool:
    """Whether a message that waits is taken back when its incident is held back."""
    return service not in RECORDING and change not in CLOSING | ALONE


def is_for_the_unaware(delivery: Delivery, recipients: Iterable[str]) -> bool:
    """Whether a delivery tells one person the end of what they never heard of: `recipients` (`sms:anna`) are those to
    whom something about the incident has left. What was still to leave is taken back when somebody acts.
    """
    said = delivery.notification
    if not said.recipient or said.change not in CLOSING:
        return False
    contact = said.recipient.partition(":")[2]
    return all(one.partition(":")[2] != contact for one in recipients)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a delivery stands in its lane, apart from what it says. `created_at` is its place in the queue."""

    change: Change
    priority: Severity
    created_at: datetime
    due_at: datetime
    attempts: int
    last_error: str
    doubtful: bool = False


def rank(priority: Severity, waited: timedelta) -> int:
    """The effective priority after waiting. Waiting lifts nothing to CRITICAL, so nothing ever stands before one."""
    if priority is Severity.CRITICAL:
        return int(priority)
    return min(int(Severity.HIGH), int(priority) + max(timedelta(0), waited) // AGE_STEP)


def is_page(delivery: Delivery) -> bool:
    """Whether a delivery is the first word of a HIGH or CRITICAL incident: somebody has to hear it soon."""
    return delivery.notification.change in FIRST and delivery.priority >= Severity.HIGH


def stand_in_mark(service: str) -> str:
    """What the id of a delivery ends in that stands in for another one, so that writing it twice is harmless."""
    return f">{service}"


def stand_in(page: Delivery, to: str, now: datetime) -> Delivery:
    """The same page for another service, which says that the pager did not take it."""
    said = page.notification
    since = f"{page.created_at:%H:%M:%S} UTC"
    unpaged = replace(
        said,
        change="unpaged",
        title=f"Nobody was paged: {said.title}",
        facts=(Fact("Not delivered", f"{page.service} has not taken this page since {since}"), *said.facts),
    )
    return replace(
        page,
        id=page.id + stand_in_mark(to),
        service=to,
        notification=unpaged,
        state=DeliveryState.READY,
        attempts=0,
        last_error="",
        doubtful=False,
        remote_id="",
        created_at=now,
        due_at=now,
    )


def carry_on(newer: Place, older: Place) -> Place:
    """The place of a delivery that overtakes one which was never sent and now never will be.

    It keeps the older one's place in the queue, its priority if that was higher, its pause after failed attempts, and
    the word of a first page: what people have not heard of yet reaches them as new, never as a mere update.
    """
    unheard = older.change in FIRST and newer.change in LATER
    return Place(
        change=older.change if unheard else newer.change,
        priority=max(newer.priority, older.priority),
        created_at=min(newer.created_at, older.created_at),
        due_at=older.due_at if older.attempts else min(newer.due_at, older.due_at),
        attempts=newer.attempts + older.attempts,
        last_error=newer.last_error or older.last_error,
        doubtful=newer.doubtful or older.doubtful,
    )


def place_of(delivery: Delivery) -> Place:
    """Where a delivery stands."""
    return Place(
        change=delivery.notification.change,
        priority=delivery.priority,
        created_at=delivery.created_at,
        due_at=delivery.due_at,
        attempts=delivery.attempts,
        last_error=delivery.last_error,
        doubtful=delivery.doubtful,
    )


def in_place(delivery: Delivery, place: Place) -> Delivery:
    """The same message in another place."""
    said = delivery.notification
    return replace(
        delivery,
        notification=said if said.change == place.change else replace(said, change=place.change),
        priority=place.priority,
        created_at=place.created_at,
        due_at=place.due_at,
        attempts=place.attempts,
        last_error=place.last_error,
        doubtful=place.doubtful,
    )
