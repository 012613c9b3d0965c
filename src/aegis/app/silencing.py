"""Silences as people ask for them: read from words, and looked at from both ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from aegis.config import scalars
from aegis.core.errors import BadInput
from aegis.core.incidents import Incident
from aegis.core.matching import Team, labels_of, parse_matcher
from aegis.core.schedules import parse
from aegis.core.silences import Silence, check


def silence_of(
    silence_id: str,
    *,
    now: datetime,
    matchers: Sequence[str],
    owner: str,
    reason: str,
    length: str = "",
    until: str = "",
    begins: str = "",
    every: str = "",
    critical_passes: bool = False,
) -> Silence:
    """A silence from what somebody wrote: it lasts for `length` (2h) or `until` a time. Raises `BadInput`."""
    if bool(length) is bool(until):
        raise BadInput("A silence needs an end: say either how long or until when", code="no_end")
    try:
        starts = moment(begins) if begins else now
        ends = moment(until) if until else starts + timedelta(milliseconds=scalars.duration(length))
        made = Silence(
            id=silence_id,
            matchers=tuple(parse_matcher(text) for text in matchers),
            owner=owner,
            reason=reason,
            created_at=now,
            starts_at=starts,
            ends_at=ends,
            schedule=parse(every) if every else None,
            critical_passes=critical_passes,
        )
    except (ValueError, OverflowError) as error:
        raise BadInput(f"The silence {error}", code="bad_silence") from None
    return check(made, now=now)


def moment(text: str) -> datetime:
    """A time with its offset, RFC 3339. Raises `ValueError` that says what it must be."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("must have times with their offset, such as 2026-12-01T06:00:00+01:00")
    return found.astimezone(UTC)


def held_by(silence: Silence, incidents: Iterable[Incident]) -> list[Incident]:
    """The incidents that a silence holds back."""
    return [one for one in incidents if one.held is not None and one.held.by == silence.id]


def matching(incident: Incident, silences: Iterable[Silence], teams: Sequence[Team]) -> list[Silence]:
    """The silences that are about an incident, whether their time has come or not."""
    labels = labels_of(incident, teams)
    return [one for one in silences if one.matches(labels)]
