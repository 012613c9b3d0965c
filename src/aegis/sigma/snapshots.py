"""The state of correlations as plain data, and back: so that a restart loses no count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from aegis.core.errors import BadInput
from aegis.sigma.measures import Payload
from aegis.sigma.timelines import Entry
from aegis.sigma.trackers import CorrelationBounds, Tracker
from aegis.sigma.values import number_of

SCHEMA = "aegis.correlations/1"


def snapshot_of(trackers: Iterable[Tracker]) -> dict[str, Any]:
    """All groups of all correlations, the least recently used first."""
    groups = [
        {
            "correlation": tracker.correlation.id,
            "digest": tracker.digest,
            "key": list(key),
            "fired_at": timeline.fired_at,
            "entries": [[one.at, one.arrival, list(one.event_ids), str(one.payload)] for one in timeline.entries()],
        }
        for tracker in trackers
        for key, timeline in tracker.groups.items()
    ]
    return {"schema": SCHEMA, "groups": groups}


def restore_into(trackers: Sequence[Tracker], data: Mapping[str, Any], bounds: CorrelationBounds) -> tuple[int, int]:
    """Fills the trackers from a snapshot; returns how many groups came back and the last number of arrival."""
    if data.get("schema") != SCHEMA or not isinstance(data.get("groups"), list):
        raise BadInput("this is no snapshot of correlations", code="bad_snapshot")
    by_digest = {(tracker.correlation.id, tracker.digest): tracker for tracker in trackers}
    try:
        read = [
            (tracker, _group(group, tracker))
            for group in data["groups"]
            if (tracker := by_digest.get((group["correlation"], group["digest"]))) is not None
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"the snapshot of correlations is damaged: {error}", code="bad_snapshot") from None
    for tracker in trackers:
        tracker.groups.clear()
        tracker.entries = 0
    last = 0
    for tracker, (key, fired_at, entries) in read[-bounds.groups :]:
        timeline = tracker.group(key)
        timeline.fired_at = entries[-1].at  # nothing is reported again while the entries go back in
        for entry in entries:
            timeline.add(entry)
            last = max(last, entry.arrival)
        timeline.fired_at = fired_at
        tracker.entries += len(timeline.entries())
    return len(read), last


def _group(group: Mapping[str, Any], tracker: Tracker) -> tuple[tuple[str, ...], int | None, list[Entry]]:
    key = tuple(str(part) for part in group["key"])
    fired_at = None if group["fired_at"] is None else int(group["fired_at"])
    entries = sorted(
        Entry(int(at), int(arrival), tuple(str(one) for one in ids), _payload(payload, tracker))
        for at, arrival, ids, payload in group["entries"]
    )
    if not entries or len(key) != len(tracker.correlation.group_by):
        raise ValueError("a group has no entries or another key")
    return key, fired_at, entries


def _payload(text: str, tracker: Tracker) -> Payload:
    one = tracker.correlation
    if one.type == "value_count":
        return str(text)
    number = number_of(text)
    if number is None:
        raise ValueError("a payload is no number")
    if not one.type.startswith("value_"):
        step = int(number)
        if not 0 <= step <= len(one.rules):
            raise ValueError("a payload is no step")
        return step
    return Decimal(number)
