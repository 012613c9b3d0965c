"""Many incidents as one message: what a channel is told in a flood, when it could not take each by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from aegis.core.deliveries import FIRST, LATER
from aegis.core.incidents import Severity, Status
from aegis.core.notifications import Delivery, Fact, Notification
from aegis.core.plaintext import fit

NAMED = 10
"""Incidents that a digest names, the worst first; nobody reads more of them in a chat."""
NAME_CHARS = 150


def may_fold(delivery: Delivery) -> bool:
    """Whether a delivery may be told together with others: a new message for everybody in the channel, not CRITICAL."""
    said = delivery.notification
    everybody = not (delivery.remote_id or said.recipient)
    return everybody and delivery.priority < Severity.CRITICAL and said.change in FIRST | LATER


def digest(told: Sequence[Delivery], at: datetime) -> Notification:
    """One notification in place of many (at least one): how many of which severity, and the worst by name."""
    worst = sorted(told, key=lambda one: (-one.priority, one.created_at, one.id))
    first = worst[0].notification
    return Notification(
        incident_id=f"digest-{first.incident_id}",
        dedup_key=f"digest-{worst[0].id}",
        version=first.version,
        change="digest",
        severity=worst[0].priority,
        status=Status.OPEN,
        title=f"{_kinds(told)}: {_counted(told)}",
        summary="So much happened at once that these are told together. Nothing was left out of the list of incidents.",
        at=at,
        facts=tuple(_named(one) for one in worst[:NAMED]),
        actions=("Look through them with: aegis incident list",),
        link=first.link.rpartition("/")[0],
    )


def _kinds(told: Sequence[Delivery]) -> str:
    new = sum(one.notification.change in FIRST for one in told)
    named = ((new, "incidents"), (len(told) - new, "updates"))
    return ", ".join(f"{count} {name}" for count, name in named if count)


def _counted(told: Sequence[Delivery]) -> str:
    counts = Counter(one.priority for one in told)
    return ", ".join(f"{counts[severity]} {severity.name}" for severity in reversed(Severity) if counts[severity])


def _named(one: Delivery) -> Fact:
    return Fact(one.priority.name, fit(one.notification.title, NAME_CHARS))
