"""Grouping: detections become incidents. A pure state machine; time and ids come in, nothing goes out.

Repeats (same rule, same entity) are folded; detections that share an entity within a sliding gap are linked; the rest
open an incident of their own level. Severity only rises. `fold` plans and changes nothing; `keep` takes the planned
incidents in once they are committed, so a failed commit or a crash loses and doubles nothing. The whole state is
derived from the incidents themselves: after a restart it goes on exactly where the store stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aegis.core.incidents import Detection, Incident, Observable, Status
from aegis.core.notifications import Change
from aegis.core.ports import NewId
from aegis.incidents.draft import SPEND, Draft
from aegis.incidents.links import links


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far an incident reaches. Times are those of the events."""

    gap: timedelta = timedelta(hours=1)
    """Longest silence between linked detections, sliding."""
    age_max: timedelta = timedelta(hours=24)
    """Longest reach of links: a day's shifts can still oversee it."""
    repeat_max: timedelta = timedelta(days=7)
    """How long the same fingerprint folds into, or reopens, its incident."""
    spend_repeat_max: timedelta = timedelta(hours=12)
    """The same for a budget's level, which the next daily window may cross again."""
    fingerprints_max: int = 500
    """Different things in one incident; what comes after them opens the next one."""
    hub_hosts_max: int = 20
    """An entity seen on more hosts than this is shared by strangers and links no further host."""
    holders_max: int = 32
    """Incidents that one entity can lead to; the newest count."""
    live_max: int = 20_000
    """Incidents held in memory; those untouched longest are let go and stay in the store."""


@dataclass(frozen=True, slots=True)
class Emission:
    """A change that people are told about."""

    incident: Incident
    change: Change


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch of detections changes: every incident touched, and the changes worth telling."""

    incidents: tuple[Incident, ...] = ()
    emissions: tuple[Emission, ...] = ()


class Grouping:
    """The incidents that a detection may still join. `hubs` are the installation's own shared names (gateways,
    scanners, service accounts): they never link.
    """

    def __init__(self, *, new_id: NewId, bounds: Bounds | None = None, hubs: Iterable[str] = ()) -> None:
        self._new_id = new_id
        self._bounds = bounds or Bounds()
        self._hubs = frozenset(hub.lower() for hub in hubs)
        self._index = _Index(self._bounds, self._hubs)

    def restore(self, incidents: Iterable[Incident]) -> None:
        """Begin again from what the store holds: unresolved incidents, and recent resolved ones, which a repeat
        reopens.
        """
        self._index = _Index(self._bounds, self._hubs)
        self.keep(sorted(incidents, key=_age))

    def get(self, incident_id: str) -> Incident | None:
        """The incident as last kept, or None when it is not held in memory."""
        return self._index.live.get(incident_id)

    def holding(self, entity: Observable) -> Sequence[Incident]:
        """The incidents in memory that an entity which may link leads to, oldest first."""
        return [self._index.live[one] for one in self._index.by_entity.get(entity, {}) if one in self._index.live]

    def fold(self, detections: Sequence[Detection], *, now: datetime) -> Folded:
        """Plan where each detection goes. The state stays as it is until `keep`."""
        batch = _Batch(self._index, self._new_id, now)
        for detection in sorted(detections, key=lambda detection: detection.at):
            batch.place(detection)
        return batch.folded()

    def keep(self, incidents: Iterable[Incident]) -> None:
        """Take committed incidents in: the state that the next `fold` starts from."""
        for incident in incidents:
            self._index.keep(incident)


def _age(incident: Incident) -> tuple[datetime, str]:
    return incident.opened_at, incident.id


class _Index:
    """Live incidents by id, by fingerprint and by entity; all of it derived from the incidents."""

    def __init__(self, bounds: Bounds, hubs: frozenset[str]) -> None:
        self.bounds, self.hubs = bounds, hubs
        self.live: dict[str, Incident] = {}
        self.by_fingerprint: dict[str, str] = {}
        self.by_entity: dict[Observable, dict[str, None]] = {}

    def keep(self, incident: Incident) -> None:
        self.live.pop(incident.id, None)  # to the end: the longest untouched stand first
        self.live[incident.id] = incident
        for fingerprint in incident.repeats:
            holder = self.live.get(self.by_fingerprint.get(fingerprint, ""))
            if holder is None or _age(holder) <= _age(incident):
                self.by_fingerprint[fingerprint] = incident.id
        if incident.kind != SPEND:
            for entity in links((incident.entity, *incident.observables), hubs=self.hubs):
                hold(self.by_entity, entity, incident.id, self.bounds.holders_max)
        if len(self.live) > self.bounds.live_max:
            self._let_go(self.live[next(iter(self.live))])

    def _let_go(self, incident: Incident) -> None:
        del self.live[incident.id]
        for fingerprint in incident.repeats:
            if self.by_fingerprint.get(fingerprint) == incident.id:
                del self.by_fingerprint[fingerprint]
        for entity in (incident.entity, *incident.observables):
            holders = self.by_entity.get(entity, {})
            holders.pop(incident.id, None)
            if not holders:
                self.by_entity.pop(entity, None)


def hold(by_entity: dict[Observable, dict[str, None]], entity: Observable, incident_id: str, holders_max: int) -> None:
    """Note that the entity leads to the incident; the first of too many is dropped."""
    holders = by_entity.setdefault(entity, {})
    holders[incident_id] = None
    if len(holders) > holders_max:
        del holders[next(iter(holders))]


class _Batch:
    """One batch on top of the index: drafts of the incidents that it looks at."""

    def __init__(self, index: _Index, new_id: NewId, now: datetime) -> None:
        self._index, self._new_id, self._now = index, new_id, now
        self._drafts: dict[str, Draft] = {}
        self._by_fingerprint: dict[str, str] = {}
        self._by_entity: dict[Observable, dict[str, None]] = {}

    def place(self, detection: Detection) -> None:
        """Fold the detection into its incident, link it to a related one, or open a new one for it."""
        through: tuple[Observable, ...] = ()
        if detection.source != SPEND:
            through = links((detection.entity, *detection.observables), hubs=self._index.hubs)
        draft = self._repeated(detection) or self._related(detection, through)
        if draft is None:
            draft = Draft.open(self._new_id("inc"), detection, now=self._now)
            self._drafts[draft.id] = draft
        else:
            draft.join(detection, now=self._now)
        self._by_fingerprint[detection.fingerprint] = draft.id
        for entity in through:
            hold(self._by_entity, entity, draft.id, self._index.bounds.holders_max)

    def folded(self) -> Folded:
        incidents: list[Incident] = []
        emissions: list[Emission] = []
        for draft in self._drafts.values():
            if draft.changed:
                incident = draft.freeze(now=self._now)
                incidents.append(incident)
                if (change := draft.change()) is not None:
                    emissions.append(Emission(incident, change))
        return Folded(tuple(incidents), tuple(emissions))

    def _repeated(self, detection: Detection) -> Draft | None:
        """The incident that already holds this fingerprint, unless it reaches too far back."""
        fingerprint = detection.fingerprint
        draft = self._draft(self._by_fingerprint.get(fingerprint) or self._index.by_fingerprint.get(fingerprint, ""))
        if draft is None:
            return None
        bounds = self._index.bounds
        reach = bounds.spend_repeat_max if draft.kind == SPEND else bounds.repeat_max
        return draft if draft.span_with(detection.at) <= reach else None

    def _related(self, detection: Detection, through: Sequence[Observable]) -> Draft | None:
        """The oldest incident that shares an entity with the detection and may still take it."""
        ids: dict[str, None] = {}
        for entity in through:
            ids |= self._index.by_entity.get(entity, {}) | self._by_entity.get(entity, {})
        drafts = [draft for known in ids if (draft := self._draft(known)) and self._takes(draft, detection)]
        return min(drafts, key=lambda draft: (draft.opened_at, draft.id), default=None)

    def _takes(self, draft: Draft, detection: Detection) -> bool:
        bounds = self._index.bounds
        return (
            draft.status is not Status.RESOLVED
            and draft.silence_before(detection.at) <= bounds.gap
            and draft.span_with(detection.at) <= bounds.age_max
            and len(draft.repeats) < bounds.fingerprints_max
            and draft.hosts_with(detection) <= bounds.hub_hosts_max
        )

    def _draft(self, incident_id: str) -> Draft | None:
        draft = self._drafts.get(incident_id)
        if draft is None and (incident := self._index.live.get(incident_id)) is not None:
            draft = self._drafts[incident_id] = Draft.of(incident)
        return draft
