"""The timeline of an incident: what happened to it, in order, bounded.

The first entries say how it began and the last how it stands; what a flood puts in between is dropped first.
"""

from __future__ import annotations

from dataclasses import replace

from aegis.core.incidents import Incident, TimelineEntry

ENTRIES_MAX = 200
"""More than a person reads; 200 entries of about 200 bytes keep a stored incident under 64 kB."""
FIRST_KEPT = 40
"""Entries that are never dropped: how the incident began."""


def bounded(entries: tuple[TimelineEntry, ...]) -> tuple[TimelineEntry, ...]:
    """The entries, without the middle when there are more than `ENTRIES_MAX`."""
    if len(entries) <= ENTRIES_MAX:
        return entries
    return entries[:FIRST_KEPT] + entries[-(ENTRIES_MAX - FIRST_KEPT) :]


def with_entries(incident: Incident, *entries: TimelineEntry) -> Incident:
    """The incident with entries added at the end; nothing else changes."""
    return replace(incident, timeline=bounded((*incident.timeline, *entries)))
