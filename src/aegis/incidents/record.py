"""The incidents of record: memory and store in step, one change at a time, each committed whole before it is told.

Policy: the store has the last word. Events done, incidents and deliveries are one transaction; memory follows it; and
after a commit of which nobody knows whether it happened, memory is read anew from the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, cast

import anyio

from aegis.core.errors import BadInput, StoreError
from aegis.core.incidents import Detection, Incident, Observable, Status
from aegis.core.notifications import Change, Delivery
from aegis.core.ports import Clock, Incidents, Work
from aegis.core.telemetry import DetectionMade, HeldBack, IncidentChanged, Observer
from aegis.incidents.grouping import Emission, Folded, Grouping
from aegis.incidents.outcome import Tell
from aegis.incidents.telling import Telling

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


@dataclass(slots=True)
class _Step:
    """One commit in the making: what is decided about each change, and what follows from it."""

    telling: Telling
    plan: Plans
    now: datetime
    queued: list[Delivery] = field(default_factory=list)
    held: list[Incident] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    hushed: list[str] = field(default_factory=list)

    def tell(self, incident: Incident, change: Change) -> Incident:
        """Decide about a change and queue what is told of it; the incident as it is to be committed."""
        decided = self.telling.decide(incident, change, self.now)
        after = decided.incident
        if after.held is not None and after.held is not incident.held:
            self.held.append(after)
        if change in ("acknowledged", "resolved"):
            self.withdrawn.append(after.id)
        if after.held is not None:
            self.hushed.append(after.id)
        self.queued += self.plan(after, decided.change, now=self.now)
        return after

    def work(self, incidents: Iterable[Incident], *, events_done: Sequence[str] = ()) -> Work:
        counted = Counter(one.held.by for one in self.held if one.held and one.held.kind == "silence")
        return Work(
            events_done=events_done,
            incidents=tuple(incidents),
            deliveries=self.queued,
            held=counted,
            withdrawn=self.withdrawn,
            hushed=self.hushed,
        )

    def observe(self, observe: Observer) -> None:
        """Tell, once it is committed, what was held back."""
        for one in self.held:
            assert one.held is not None
            observe(HeldBack(at=self.now, incident_id=one.id, kind=one.held.kind, by=one.held.by, why=one.held.why))


class Record:
    """The one place that changes incidents."""

    def __init__(
        self,
        *,
        grouping: Grouping,
        store: Incidents,
        plan: Plans,
        clock: Clock,
        observe: Observer,
        telling: Telling | None = None,
    ) -> None:
        """Without `telling` nothing is held back and nobody is escalated to."""
        self._grouping, self._store, self._plan = grouping, store, plan
        self._telling = telling or Telling()
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
            step = _Step(self._telling, self._plan, now)
            self._telling.note(folded.incidents)  # one of them may hold back another
            emissions = tuple(Emission(step.tell(told.incident, told.change), told.change) for told in folded.emissions)
            changed = {one.id: one for one in folded.incidents} | {one.incident.id: one.incident for one in emissions}
            folded = Folded(tuple(changed.values()), emissions)
            await self._commit(step.work(changed.values(), events_done=events_done))
        for detection in detections:
            self._observe(DetectionMade(at=now, detection=detection))
        for emission in folded.emissions:
            self._observe(IncidentChanged(at=now, incident=emission.incident, change=emission.change))
        step.observe(self._observe)
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
            step = _Step(self._telling, self._plan, now)
            for one in wanted:
                before = changed.get(one.incident_id) or await self.get(one.incident_id)
                one.decide(before, now)
                if one.after is not None and one.after is not before:
                    if one.told.people:
                        one.after = step.tell(one.after, one.told.people)
                    elif one.after.held is not None and before is not None and before.held is not one.after.held:
                        step.hushed.append(one.after.id)
                    changed[one.incident_id] = one.after
            if changed:
                await self._commit(step.work(changed.values()))
        except StoreError as error:
            for one in wanted:
                one.error = one.error or StoreError(str(error))
            return
        for one in wanted:
            for change in one.told.observers if one.after else ():
                self._observe(IncidentChanged(at=now, incident=cast("Incident", one.after), change=change))
        step.observe(self._observe)

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
        self._telling.note(work.incidents)
        self._in_step = True

    async def _catch_up(self) -> None:
        if not self._in_step:
            resolved = [one for one in await self._store.recent(RECENT_MAX) if one.status is Status.RESOLVED]
            unresolved = await self._store.unresolved()
            self._grouping.restore([*unresolved, *resolved])
            self._telling.begin_anew(unresolved)
            self._in_step = True
