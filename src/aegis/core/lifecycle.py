"""What people say about an incident, and where it stands afterwards: open, acknowledged, resolved, open again.

Policy: the newest word counts, by the time at which it was said and not by the time at which it arrived: an older one
never undoes a newer one, it is only noted. In whatever order words arrive, the newest one decides in the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from aegis.core.errors import BadInput
from aegis.core.incidents import Incident, Status, TimelineEntry
from aegis.core.notifications import Change
from aegis.core.plaintext import fit, one_line

Verb = Literal["acknowledge", "resolve", "reopen", "note", "assign"]

TEXT_CHARS = 2_000
"""Of a note: a paragraph; more belongs into the ticket."""
NAME_CHARS = 80
"""Of a person or a channel."""

MOVES: Mapping[Verb, tuple[Status, Change]] = {
    "acknowledge": (Status.ACKNOWLEDGED, "acknowledged"),
    "resolve": (Status.RESOLVED, "resolved"),
    "reopen": (Status.OPEN, "reopened"),
}
"""The words that move an incident: where to, and what people are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What somebody says about an incident: who (`by`), where (`via`: cli, api, slack, pagerduty, ...) and when it was
    said there (`at`). `text` is the note itself, the name of who takes it over, or a reason. All of it is plain text
    from outside.
    """

    verb: Verb
    by: str
    via: str
    at: datetime
    text: str = ""


def heard(incident: Incident, word: Word, now: datetime) -> Incident:
    """The incident after a word; the same object when the word changes nothing. A time in the future counts as `now`.

    Raises `BadInput` for acknowledging what is resolved (`resolved`), an empty note (`empty_note`) and an empty name
    (`empty_name`).
    """
    if word.verb not in MOVES:
        return _written(incident, word, now)
    status, change = MOVES[word.verb]
    at = min(word.at, now)
    newer = incident.status_at is None or at > incident.status_at
    if incident.status is status:  # said again: only its time counts, against an older word that is still under way
        return replace(incident, status_at=at) if newer else incident
    if not newer and at != incident.status_at:
        return _late(incident, word, now)
    if incident.status is Status.RESOLVED and status is Status.ACKNOWLEDGED:
        raise BadInput(f"{incident.id} is resolved; reopen it first", code="resolved")
    entry = _entry(now, change, f"{change.capitalize()} by {_who(word)}{_because(word)}", word)
    return replace(
        incident,
        status=status,
        status_at=at,
        status_by=fit(one_line(word.by), NAME_CHARS),
        status_via=fit(one_line(word.via), NAME_CHARS),
        timeline=(*incident.timeline, entry),
    )


def change_between(before: Incident, after: Incident) -> Change | None:
    """What people are told of a word: where it moved the incident to, or nothing."""
    if before.status is after.status:
        return None
    return next(change for status, change in MOVES.values() if status is after.status)


def _written(incident: Incident, word: Word, now: datetime) -> Incident:
    """A note, or a new name on the incident."""
    text = fit("\n".join(one_line(line) for line in word.text.splitlines()), TEXT_CHARS).strip()
    if word.verb == "note":
        if not text:
            raise BadInput("A note needs a text", code="empty_note")
        return replace(incident, timeline=(*incident.timeline, _entry(now, "note", text, word)))
    name = fit(one_line(word.text), NAME_CHARS)
    if not name:
        raise BadInput("Nobody is named to take the incident over", code="empty_name")
    if incident.assignee == name:
        return incident
    entry = _entry(now, "assigned", f"Given to {name} by {_who(word)}", word)
    return replace(incident, assignee=name, timeline=(*incident.timeline, entry))


def _late(incident: Incident, word: Word, now: datetime) -> Incident:
    """A word that something newer has overtaken: it is on record and changes nothing else."""
    said = f"{min(word.at, now):%Y-%m-%d %H:%M:%S} UTC"
    text = f"{word.verb.capitalize()} by {_who(word)} came late (said at {said}): it stays {incident.status.value}"
    if any(entry.kind == "late" and entry.text == text for entry in incident.timeline):
        return incident
    return replace(incident, timeline=(*incident.timeline, _entry(now, "late", text, word)))


def _entry(now: datetime, kind: str, text: str, word: Word) -> TimelineEntry:
    by, via = fit(one_line(word.by), NAME_CHARS), fit(one_line(word.via), NAME_CHARS)
    return TimelineEntry(at=now, kind=kind, text=text, attributes={"by": by, "via": via})


def _who(word: Word) -> str:
    by, via = fit(one_line(word.by), NAME_CHARS) or "somebody", fit(one_line(word.via), NAME_CHARS)
    return f"{by} in {via}" if via and via not in ("aegis", "cli") else by


def _because(word: Word) -> str:
    text = fit(one_line(word.text), TEXT_CHARS)
    return f": {text}" if text else ""
