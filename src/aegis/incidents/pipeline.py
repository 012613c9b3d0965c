"""The incident path: event -> detection -> incident -> first page -> enrichment -> analysis -> update.

Policy: events done, incidents and deliveries are committed together, then the memory follows; so a crash at any point
loses nothing and doubles nothing. The first page of an incident never waits for a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import anyio

from aegis.core.errors import BadInput, StoreError
from aegis.core.incidents import Detection, Event, Incident, Observable, Severity, Status, TimelineEntry
from aegis.core.notifications import Change, Delivery
from aegis.core.ports import Clock, Incidents, Work
from aegis.core.telemetry import DetectionMade, IncidentChanged, Observer
from aegis.incidents.analysis import Analysing
from aegis.incidents.backlog import Backlog
from aegis.incidents.draft import SPEND
from aegis.incidents.enrichment import Enrichment
from aegis.incidents.grouping import Folded, Grouping
from aegis.incidents.outcome import Outcome, Tell, wants_analysis
from aegis.incidents.timeline import with_entries

WORKERS = 8
"""Incidents enriched and analysed at once: they wait for other machines, not for this one."""
STORE_RETRY_MS = 1_000
RECENT_MAX = 1_000
"""Resolved incidents remembered after a restart, so that a repeat reopens them."""


class Detects(Protocol):
    """The detection engine: events in, detections out, in order. Keeps its own state for correlations."""

    def detect(self, events: Sequence[Event]) -> Sequence[Detection]: ...


class Plans(Protocol):
    """Who is told about a change: `routing.deliveries` with the installation's services and routes bound."""

    def __call__(self, incident: Incident, change: Change, *, now: datetime) -> tuple[Delivery, ...]: ...


class Pipeline:
    """The whole path. `handle` takes events in; `work` (or `drain`) enriches and analyses in the background."""

    def __init__(
        self,
        *,
        detector: Detects,
        grouping: Grouping,
        store: Incidents,
        enrichment: Enrichment,
        analysis: Analysing,
        plan: Plans,
        clock: Clock,
        observe: Observer,
    ) -> None:
        self._detector, self._grouping, self._store = detector, grouping, store
        self._enrichment, self._analysis = enrichment, analysis
        self._plan, self._clock, self._observe = plan, clock, observe
        self._backlog = Backlog()
        self._turn = anyio.Lock()

    # --- the path --------------------------------------------------------------------------------------------

    async def handle(self, events: Sequence[Event]) -> None:
        """Take events (in order of arrival) all the way to queued deliveries. Raises `StoreError`: then nothing has
        changed and the same events can be handled again.
        """
        detections = self._detector.detect(events)
        await self._open(detections, events_done=[event.id for event in events])

    async def _open(self, detections: Sequence[Detection], *, events_done: Sequence[str] = ()) -> Folded:
        async with self._turn:
            now = self._clock.now()
            folded = self._grouping.fold(detections, now=now)
            queued = [one for told in folded.emissions for one in self._plan(told.incident, told.change, now=now)]
            await self._store.commit(Work(events_done=events_done, incidents=folded.incidents, deliveries=queued))
            self._grouping.keep(folded.incidents)
        for detection in detections:
            self._observe(DetectionMade(at=now, detection=detection))
        for emission in folded.emissions:
            self._observe(IncidentChanged(at=now, incident=emission.incident, change=emission.change))
            if wants_analysis(emission.incident):
                self._backlog.push(emission.incident)
        return folded

    async def _work_up(self, incident_id: str) -> None:
        """Enrich and analyse one incident, and tell what came of it."""
        incident = await self._current(incident_id)
        if incident is None or not wants_analysis(incident):
            return
        enriched = await self._enrichment.enrich(incident)
        analysed = await self._analysis.analyse(enriched.applied_to(incident))
        outcome = Outcome(enriched, analysed)
        await self._change(incident_id, outcome.applied_to, tell=outcome.tells)

    # --- in the background -----------------------------------------------------------------------------------

    async def work(self) -> None:
        """Work incidents up for ever, the worst first. While the store is down nothing is lost: it is tried again."""
        async with anyio.create_task_group() as workers:
            for _ in range(WORKERS):
                workers.start_soon(self._worker)

    async def _worker(self) -> None:
        while True:
            await self._backlog.arrival()
            try:
                await self.step()
            except StoreError:
                await self._clock.sleep_ms(STORE_RETRY_MS)
                await self._refill()

    async def step(self) -> bool:
        """Work one incident up; False when none waits."""
        if not self._backlog and self._backlog.overflowed:
            await self._refill()
        with self._backlog.take() as incident_id:
            if incident_id:
                await self._work_up(incident_id)
            return bool(incident_id)

    async def drain(self) -> None:
        """Work everything up that waits, then return. Raises `StoreError`: what is left waits in the store."""
        failed: list[StoreError] = []

        async def until_empty() -> None:
            try:
                while await self.step():
                    pass
            except StoreError as error:
                failed.append(error)

        while self._backlog and not failed:
            async with anyio.create_task_group() as workers:
                for _ in range(WORKERS):
                    workers.start_soon(until_empty)
            await self._backlog.finished()
        if failed:
            raise failed[0]

    async def resume(self) -> None:
        """After a start: go on from the store, and work up what a crash left without an analysis."""
        resolved = [one for one in await self._store.recent(RECENT_MAX) if one.status is Status.RESOLVED]
        self._grouping.restore([*await self._store.unresolved(), *resolved])
        await self._refill()

    async def _refill(self) -> None:
        self._backlog.overflowed = False
        for incident in await self._store.unresolved():
            if wants_analysis(incident):
                self._backlog.push(incident)

    # --- by people and budgets -------------------------------------------------------------------------------

    async def acknowledge(self, incident_id: str, *, by: str) -> Incident:
        """Somebody takes the incident on. Raises `BadInput` when there is none such, or it is resolved."""
        return await self._set_status(incident_id, Status.ACKNOWLEDGED, "acknowledged", by)

    async def resolve(self, incident_id: str, *, by: str) -> Incident:
        """The incident is over. Raises `BadInput` when there is none such."""
        return await self._set_status(incident_id, Status.RESOLVED, "resolved", by)

    async def reopen(self, incident_id: str, *, by: str) -> Incident:
        """The incident is not over. Raises `BadInput` when there is none such."""
        return await self._set_status(incident_id, Status.OPEN, "reopened", by)

    async def note(self, incident_id: str, *, by: str, text: str) -> Incident:
        """Write into the timeline; nobody is told. Raises `BadInput` when there is none such."""

        def noted(incident: Incident, now: datetime) -> Incident:
            return with_entries(incident, TimelineEntry(at=now, kind="note", text=text, attributes={"by": by}))

        return await self._change(incident_id, noted)

    async def open_spend(
        self, *, title: str, severity: Severity, entity: Observable, facts: Mapping[str, str]
    ) -> Incident:
        """An incident about money, in the same life as any other. `facts` hold `budget`, `window` and `level` (they
        make it one and the same) and what people need: `spent`, `limit`, `resets_at`.
        """
        crossing = ":".join(facts.get(name, "") for name in ("budget", "window", "level"))
        detection = Detection(
            rule_id=f"budget:{crossing}",
            title=title,
            severity=severity,
            at=self._clock.now(),
            entity=entity,
            observables=(entity,),
            source=SPEND,
            evidence=facts,
        )
        folded = await self._open([detection])
        return folded.incidents[0]

    async def _set_status(self, incident_id: str, status: Status, change: Change, by: str) -> Incident:
        def moved(incident: Incident, now: datetime) -> Incident:
            if incident.status is status:
                return incident
            if incident.status is Status.RESOLVED and status is Status.ACKNOWLEDGED:
                raise BadInput(f"{incident_id} is resolved; reopen it first", code="resolved")
            entry = TimelineEntry(at=now, kind=change, text=f"{change.capitalize()} by {by}", attributes={"by": by})
            return with_entries(replace(incident, status=status), entry)

        return await self._change(incident_id, moved, tell=lambda _before, _after: Tell(change, (change,)))

    async def _change(
        self,
        incident_id: str,
        apply: Callable[[Incident, datetime], Incident],
        *,
        tell: Callable[[Incident, Incident], Tell] = lambda _before, _after: Tell(),
    ) -> Incident:
        """Change the incident as it stands now, not as it stood when the work began; commit it with its deliveries."""
        async with self._turn:
            now = self._clock.now()
            before = await self._current(incident_id)
            if before is None:
                raise BadInput(f"There is no incident {incident_id[:64]!r}", code="no_such_incident")
            after = apply(before, now)
            if after is before:
                return before
            after = replace(after, version=before.version + 1, updated_at=now)
            told = tell(before, after)
            queued = self._plan(after, told.people, now=now) if told.people else ()
            await self._store.commit(Work(incidents=[after], deliveries=queued))
            self._grouping.keep([after])
        for change in told.observers:
            self._observe(IncidentChanged(at=now, incident=after, change=change))
        if wants_analysis(after):
            self._backlog.push(after)
        return after

    async def _current(self, incident_id: str) -> Incident | None:
        return self._grouping.get(incident_id) or await self._store.get(incident_id)
