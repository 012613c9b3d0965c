"""The incidents of record: memory and store in step, one change at a time, each committed whole before it is told.

Policy: the store has the last word. Events done, incidents and deliveries are one transaction; memory follows it; and
after a commit of which nobody knows whether it happened, memory is read anew from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, cast

import anyio

from aegis.core.errors import BadInput, StoreError
from aegis.core.incidents import Detection, Incident, Observable, Status
from aegis.core.notifications import Change, Delivery
from aegis.core.ports import Clock, Incidents, Work
from aegis.core.telemetry import DetectionMade, IncidentChanged, Observer
from aegis.incidents.grouping import Folded, Grouping
from aegis.incidents.outcome import Tell

RECENT_MAX = 1_000
"""Resolved incidents remembered after a restart, so that a repeat reopens them."""


class Plans(Protocol):
    """Who is told about a change: `routing.deliveries` with the installation's services and routes bound."""

    def __call__(self, incident: Incident, change: Change, *, now: datetime) -> tuple[Delivery, ...]: ...


@dataclass(slots=True, eq=False)
class _Wanted:
    """A change that somebody waits for, and what became of it."""

    incident_id: str
    apply: Callable[[Incident, datetime], Incident]
    tell: Callable[[Incident, Incident], Tell]
    after: Incident | None = None
    told: Tell = field(default_factory=Tell)
    error: BadInput | StoreError | None = None

    def decide(self, before: Incident | None, now: datetime) -> None:
        """Apply the change to the incident as it stands; one version further unless it changes nothing."""
        if before is None:
            self.error = BadInput(f"There is no incident {self.incident_id[:64]!r}", code="no_such_incident")
            return
        try:
            after = self.apply(before, now)
        except BadInput as refused:
            self.error = refused
            return
        self.after = before
        if after is not before:
            self.after = replace(after, version=before.version + 1, updated_at=now)
            self.told = self.tell(before, self.after)


class Record:
    """The one place that changes incidents."""

    def __init__(self, *, grouping: Grouping, store: Incidents, plan: Plans, clock: Clock, observe: Observer) -> None:
        self._grouping, self._store, self._plan = grouping, store, plan
        self._clock, self._observe = clock, observe
        self._turn = anyio.Lock()
        self._in_step = True
        self._wanted: list[_Wanted] = []

    async def fold(self, detections: Sequence[Detection], *, events_done: Sequence[str] = ()) -> Folded:
        """Group detections, commit them with the events that they came from, and tell. Raises `StoreError`."""
        async with self._turn:
            await self._catch_up()
            now = self._clock.now()
            folded = self._grouping.fold(detections, now=now)
            queued = [one for told in folded.emissions for one in self._plan(told.incident, told.change, now=now)]
            await self._commit(Work(events_done=events_done, incidents=folded.incidents, deliveries=queued))
        for detection in detections:
            self._observe(DetectionMade(at=now, detection=detection))
        for emission in folded.emissions:
            self._observe(IncidentChanged(at=now, incident=emission.incident, change=emission.change))
        return folded

    async def change(
        self,
        incident_id: str,
        apply: Callable[[Incident, datetime], Incident],
        *,
        tell: Callable[[Incident, Incident], Tell] = lambda _before, _after: Tell(),
    ) -> Incident:
        """Change an incident as it stands now, not as it stood when the work on it began; commit and tell. Raises
        `BadInput` when there is no such incident, and `StoreError`.
        """
        wanted = _Wanted(incident_id, apply, tell)
        self._wanted.append(wanted)
        try:
            async with self._turn:
                if wanted in self._wanted:  # nobody has done it along with his own
                    with anyio.CancelScope(shield=True):  # others wait for this commit as well
                        await self._change_wanted()
        finally:
            if wanted in self._wanted:
                self._wanted.remove(wanted)
        if wanted.error is not None:
            raise wanted.error
        assert wanted.after is not None, "what was wanted was done or refused"
        return wanted.after

    async def _change_wanted(self) -> None:
        """Do everything that is wanted by now, in one commit: while one change is committed the next ones gather."""
        wanted, self._wanted = self._wanted, []
        try:
            await self._catch_up()
            now = self._clock.now()
            changed: dict[str, Incident] = {}
            queued: list[Delivery] = []
            for one in wanted:
                before = changed.get(one.incident_id) or await self.get(one.incident_id)
                one.decide(before, now)
                if one.after is not None and one.after is not before:
                    changed[one.incident_id] = one.after
                    queued += self._plan(one.after, one.told.people, now=now) if one.told.people else ()
            if changed:
                await self._commit(Work(incidents=tuple(changed.values()), deliveries=queued))
        except StoreError as error:
            for one in wanted:
                one.error = one.error or StoreError(str(error))
            return
        for one in wanted:
            for change in one.told.observers if one.after else ():
                self._observe(IncidentChanged(at=now, incident=cast("Incident", one.after), change=change))

    async def get(self, incident_id: str) -> Incident | None:
        """The incident as it stands, or None when there is none such. Raises `StoreError`."""
        return self._grouping.get(incident_id) or await self._store.get(incident_id)

    def holding(self, entity: Observable) -> Sequence[Incident]:
        """The incidents in memory that hold an entity which may link."""
        return self._grouping.holding(entity)

    async def unresolved(self) -> Sequence[Incident]:
        """Every incident that is not over. Raises `StoreError`."""
        return await self._store.unresolved()

    async def restore(self) -> None:
        """After a start: take everything from the store. Raises `StoreError`."""
        async with self._turn:
            self._in_step = False
            await self._catch_up()

    async def _commit(self, work: Work) -> None:
        self._in_step = False
        await self._store.commit(work)
        self._grouping.keep(work.incidents)
        self._in_step = True

    async def _catch_up(self) -> None:
        if not self._in_step:
            resolved = [one for one in await self._store.recent(RECENT_MAX) if one.status is Status.RESOLVED]
            self._grouping.restore([*await self._store.unresolved(), *resolved])
            self._in_step = True
