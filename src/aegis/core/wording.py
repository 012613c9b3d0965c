"""The few sentences that every channel says in the same words: headline, state, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from aegis.core.notifications import Change, Fact, Notification

KEPT_MAX = 256
"""Times whose words are remembered: that of an incident is told to eight services within moments."""

CHANGE_WORDS: Mapping[Change, str] = {
    "opened": "Opened",
    "raised": "Raised",
    "analysed": "Analysed",
    "updated": "Updated",
    "acknowledged": "Acknowledged",
    "resolved": "Resolved",
    "reopened": "Reopened",
    "noted": "Noted",
    "budget": "Budget",
    "test": "Test",
    "digest": "Told together",
    "unpaged": "Not paged",
    "escalated": "Escalated",
}


def headline(notification: Notification) -> str:
    """`CRITICAL: title`, `Resolved: title` when it is over, a digest's title. Hostile text: clean and encode it."""
    if notification.change == "digest":
        return notification.title
    word = notification.severity.name
    if notification.change in ("resolved", "acknowledged", "test"):
        word = CHANGE_WORDS[notification.change]
    return f"{word}: {notification.title}"


def state(notification: Notification) -> str:
    """One line on where the incident stands: change, severity, time, incident."""
    severity, change = notification.severity.name, CHANGE_WORDS[notification.change]
    which = "" if notification.change == "digest" else f" · {notification.incident_id}"
    again = " · sent again, it may have come before" if notification.again else ""
    return f"{change} · {severity} · {when(notification.at)}{which}{again}"


def told_note(notification: Notification) -> str:
    """`Note by Ada in PagerDuty: text` of a notification that carries one, else "". Hostile text."""
    note = notification.note
    if notification.change != "noted" or note is None:
        return ""
    where = f" in {note.via}" if note.via and note.via not in ("aegis", "cli", "api") else ""
    return f"Note by {note.by or 'somebody'}{where}: {note.text}"


@lru_cache(KEPT_MAX)
def when(at: datetime) -> str:
    """A time as people read it, in UTC to the second."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"


@lru_cache(KEPT_MAX)
def rfc3339(at: datetime, *, whole: bool = False) -> str:
    """A time as programs read it (RFC 3339, UTC): to the millisecond, or in `whole` seconds."""
    return at.astimezone(UTC).isoformat(timespec="seconds" if whole else "milliseconds").replace("+00:00", "Z")


def numbered(actions: Sequence[str]) -> str:
    """What to do, one numbered line each."""
    return "\n".join(f"{number}. {action}" for number, action in enumerate(actions, start=1))


def first_facts(facts: Sequence[Fact], limit: int) -> tuple[Fact, ...]:
    """At most `limit` facts; where some have to go, the last place says how many."""
    if len(facts) <= limit:
        return tuple(facts)
    return (*facts[: limit - 1], Fact("More", f"{len(facts) - limit + 1} further facts in Aegis"))
