"""Silences, maintenance windows and inhibition: what holds messages about an incident back, for how long, and why.

Policy: a silence is silence: what it matches it holds back at every severity, CRITICAL too, unless it says that CRITICAL
passes; it has an owner, a reason and an end; it stops escalations; log platforms and metrics are told all the same; and
what it held back is told when it ends, if the incident is still open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from aegis.core.errors import BadInput
from aegis.core.incidents import Incident, Severity, Status
from aegis.core.matching import Labels, Matcher, all_hold
from aegis.core.notifications import Change
from aegis.core.plaintext import fit, one_line
from aegis.core.schedules import Span, Weekly
from aegis.core.standing import Hold

LONGEST = timedelta(days=30)
"""Of one silence: what is quiet longer than a month wants its rule changed, not a silence."""
LONGEST_RECURRING = timedelta(days=366)
"""Of a recurring window: once a year somebody has to look at it again."""
MATCHERS_MAX, SILENCES_MAX = 16, 1_000
WORDS_CHARS = 300
INHIBITS_FOR = timedelta(hours=24)
"""How long after its last detection an open incident still holds back those that depend on it."""

FIRST = frozenset[Change]({"opened", "raised", "reopened"})
"""Changes without which people do not know of the incident."""
_LOUD: tuple[Change, ...] = ("updated", "analysed", "escalated", "raised", "reopened", "opened")
"""Changes in the order of how much they say to somebody who heard none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Holds back what is told about incidents that all `matchers` fit, from `starts_at` to `ends_at`, of that only
    within `schedule` where there is one. `critical_passes`: CRITICAL incidents are told all the same. `ended_at` is
    when somebody ended it early; `held` counts the messages that it kept back.
    """

    id: str
    matchers: tuple[Matcher, ...]
    owner: str
    reason: str
    created_at: datetime
    starts_at: datetime
    ends_at: datetime
    schedule: Weekly | None = None
    critical_passes: bool = False
    ended_at: datetime | None = None
    held: int = 0

    @property
    def over_at(self) -> datetime:
        return min(self.ends_at, self.ended_at) if self.ended_at else self.ends_at

    def open_at(self, now: datetime) -> Span | None:
        """The stretch in which it holds back now, or None."""
        if not self.starts_at <= now < self.over_at:
            return None
        span = self.schedule.at(now) if self.schedule else Span(self.starts_at, self.over_at)
        return Span(max(span.starts_at, self.starts_at), min(span.ends_at, self.over_at)) if span else None

    def matches(self, labels: Labels) -> bool:
        """Whether it is about an incident with these labels, whatever the time."""
        critical = Severity.CRITICAL.name.lower() in labels.get("severity", ())
        return all_hold(self.matchers, labels) and not (self.critical_passes and critical)

    def state(self, now: datetime) -> Literal["open", "between", "planned", "over"]:
        if now >= self.over_at:
            return "over"
        if self.open_at(now):
            return "open"
        return "planned" if now < self.starts_at else "between"


def check(silence: Silence, *, now: datetime) -> Silence:
    """The silence with its words made plain, when it may be. Raises `BadInput` naming what is wrong."""
    made = replace(
        silence, owner=fit(one_line(silence.owner), WORDS_CHARS), reason=fit(one_line(silence.reason), WORDS_CHARS)
    )
    longest = LONGEST_RECURRING if silence.schedule else LONGEST
    if not made.owner or not made.reason:
        raise BadInput("A silence needs an owner and a reason: both are shown on what it holds back", code="no_owner")
    if not 1 <= len(silence.matchers) <= MATCHERS_MAX:
        raise BadInput(
            f"A silence needs 1 to {MATCHERS_MAX} matchers; `severity=*` matches everything", code="matchers"
        )
    if not silence.starts_at < silence.ends_at or silence.ends_at <= now:
        raise BadInput("A silence needs an end, in the future and after its start", code="no_end")
    if silence.ends_at - max(silence.starts_at, now) > longest:
        raise BadInput(f"A silence like this may last at most {longest.days} days", code="too_long")
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibition:
    """While an open incident fits `source`, incidents that fit `target` are held back, if both have a value in common in
    every field of `equal`. A milder incident never holds back a worse one.
    """

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()

    def links(self, source: Labels, target: Labels) -> bool:
        """Whether an incident with the first labels holds back one with the second."""
        return (
            all_hold(self.source, source)
            and all_hold(self.target, target)
            and all(source.get(field, frozenset()) & target.get(field, frozenset()) for field in self.equal)
        )


def silenced(labels: Labels, silences: Iterable[Silence], now: datetime, change: Change) -> Hold | None:
    """What the first silence that is open and fits makes of a message; the one that ends last, of several."""
    found = [(span, one) for one in silences if (span := one.open_at(now)) and one.matches(labels)]
    if not found:
        return None
    span, silence = max(found, key=lambda pair: (pair[0].ends_at, pair[1].id))
    until = f"{span.ends_at:%Y-%m-%d %H:%M} UTC"
    why = f"silence {silence.id} of {silence.owner} ({silence.reason}) until {until}"
    return Hold(kind="silence", by=silence.id, why=why, since=now, change=change)


def inhibited(
    incident: Incident,
    labels: Labels,
    rules: Sequence[Inhibition],
    others: Iterable[tuple[Incident, Labels]],
    now: datetime,
    change: Change,
) -> Hold | None:
    """What the oldest other incident that this one depends on makes of a message."""
    for other, theirs in sorted(others, key=lambda pair: (pair[0].opened_at, pair[0].id)):
        if not _may_hold(other, incident, now):
            continue
        for rule in rules:
            if rule.links(theirs, labels):
                why = f"incident {other.id} ({fit(one_line(other.title), 120)}), rule {rule.name}"
                return Hold(kind="inhibition", by=other.id, why=why, since=now, change=change)
    return None


def _may_hold(other: Incident, incident: Incident, now: datetime) -> bool:
    """An incident that is held back itself holds nothing back: nobody may be left who was told."""
    return (
        other.id != incident.id
        and other.status is not Status.RESOLVED
        and other.severity >= incident.severity
        and (other.opened_at, other.id) < (incident.opened_at, incident.id)
        and not (other.held and other.held.kind == "inhibition")
        and now - other.last_seen < INHIBITS_FOR
    )


def held_longer(before: Hold | None, hold: Hold, *, messages: int = 1) -> Hold:
    """One more message is held back."""
    if before is None:
        return replace(hold, messages=messages)
    return replace(
        hold, since=before.since, change=louder(before.change, hold.change), messages=before.messages + messages
    )


def louder(one: Change, other: Change) -> Change:
    """Of two changes the one that says more to somebody who heard neither."""
    return max(one, other, key=lambda change: _LOUD.index(change) if change in _LOUD else -1)
