"""The incident path: event -> detection -> incident -> first page -> enrichment -> analysis -> update.

Policy: what is taken is committed together with what follows from it, so a crash at any point loses nothing and
doubles nothing. The first page of an incident never waits for a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import anyio

from aegis.core.errors import StoreError
from aegis.core.incidents import Detection, Event, Incident, Observable, Severity
from aegis.core.ports import Clock
from aegis.incidents.analysis import Analysing
from aegis.incidents.backlog import Backlog
from aegis.incidents.desk import Desk
from aegis.incidents.draft import SPEND, serious
from aegis.incidents.enrichment import Enrichment
from aegis.incidents.outcome import Outcome, outdated_at, wants_analysis
from aegis.incidents.record import Record

WORKERS = 8
"""Incidents enriched and analysed at once: they wait for other machines, not for this one."""
STORE_RETRY_MS = 1_000
LATER_MAX = 10_000
"""Incidents whose analysis is to be done again later; one beyond that is when its next detection joins."""


class Detects(Protocol):
    """The detection engine: events in, detections out, in order. Keeps its own state for correlations."""

    def detect(self, events: Sequence[Event]) -> Sequence[Detection]: ...


class Pipeline:
    """The whole path. `handle` takes events in; `work` (or `drain`) enriches and analyses in the background."""

    def __init__(
        self, *, detector: Detects, record: Record, enrichment: Enrichment, analysis: Analysing, clock: Clock
    ) -> None:
        self._detector, self._record, self._clock = detector, record, clock
        self._enrichment, self._analysis = enrichment, analysis
        self._backlog = Backlog()
        self._later: dict[str, datetime] = {}
        self._again: set[str] = set()
        self.desk = Desk(record, clock=clock, moved=self._await_analysis)
        """Where people's words about incidents go."""

    # --- the path --------------------------------------------------------------------------------------------

    async def handle(self, events: Sequence[Event]) -> None:
        """Take events, in order of arrival, all the way to queued deliveries. Raises `StoreError`: then the events
        are still pending and can be handled again.
        """
        detections = self._detector.detect(events)
        folded = await self._record.fold(detections, events_done=[event.id for event in events])
        for incident in folded.incidents:
            self._await_analysis(incident)

    async def _work_up(self, incident_id: str) -> None:
        """Enrich and analyse one incident, and tell what came of it."""
        incident = await self._record.get(incident_id)
        again = incident_id in self._again
        self._again.discard(incident_id)
        if incident is not None and (again or wants_analysis(incident, self._clock.now())):
            enriched = await self._enrichment.enrich(incident)
            analysed = await self._analysis.analyse(enriched.applied_to(incident))
            made = replace(analysed.analysis, serious=serious(incident))
            outcome = Outcome(enriched, replace(analysed, analysis=made))
            self._await_analysis(await self._record.change(incident_id, outcome.applied_to, tell=outcome.tells))

    def _await_analysis(self, incident: Incident) -> None:
        if wants_analysis(incident, self._clock.now()):
            self._backlog.push(incident)
        elif (due := outdated_at(incident)) and (incident.id in self._later or len(self._later) < LATER_MAX):
            self._later[incident.id] = due

    async def revisit(self) -> None:
        """Ask anew about incidents whose analysis has been outdated for long enough; call it as often as convenient.
        Raises `StoreError`; the next turn goes on.
        """
        now = self._clock.now()
        for incident_id in [one for one, due in self._later.items() if due <= now]:
            incident = await self._record.get(incident_id)
            self._later.pop(incident_id, None)
            if incident is not None:
                self._await_analysis(incident)

    def redo(self, incidents: Sequence[Incident]) -> None:
        """Work these up again, in this order among those of one severity, whether they have an analysis or not."""
        for incident in incidents:
            self._again.add(incident.id)
            self._backlog.push(incident)

    # --- in the background -----------------------------------------------------------------------------------

    @property
    def unfinished(self) -> int:
        """How many incidents wait for enrichment and analysis, or are being worked."""
        return self._backlog.unfinished

    async def resume(self) -> None:
        """After a start: go on from the store, and work up what a crash left without an analysis."""
        await self._record.restore()
        await self._refill()

    async def work(self) -> None:
        """Work incidents up for ever, the worst first. While the store is down nothing is lost: it is tried again."""
        async with anyio.create_task_group() as workers:
            for _ in range(WORKERS):
                workers.start_soon(self.worker)

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
        await self._backlog.finished()  # what `work` has begun meanwhile
        if failed:
            raise failed[0]

    async def step(self) -> bool:
        """Work one incident up; False when none waits. Raises `StoreError`."""
        if not self._backlog and self._backlog.overflowed:
            await self._refill()
        with self._backlog.take() as incident_id:
            if incident_id:
                await self._work_up(incident_id)
            return bool(incident_id)

    async def worker(self) -> None:
        """One of `work`'s workers alone, for who watches each by itself. What nobody expected ends it, and only it."""
        while True:
            await self._backlog.arrival()
            try:
                await self.step()
            except StoreError:
                await self._clock.sleep_ms(STORE_RETRY_MS)
                self._backlog.overflowed = True  # what failed is in the store, not in the backlog

    async def _refill(self) -> None:
        self._backlog.overflowed = False
        for incident in await self._record.unresolved():
            self._await_analysis(incident)

    # --- by people and budgets -------------------------------------------------------------------------------

    async def acknowledge(self, incident_id: str, *, by: str) -> Incident:
        """Somebody takes the incident on. Raises `BadInput` when there is none such, or it is resolved."""
        return await self.desk.acknowledge(incident_id, by)

    async def resolve(self, incident_id: str, *, by: str) -> Incident:
        """The incident is over. Raises `BadInput` when there is none such."""
        return await self.desk.resolve(incident_id, by)

    async def reopen(self, incident_id: str, *, by: str) -> Incident:
        """The incident is not over. Raises `BadInput` when there is none such."""
        return await self.desk.reopen(incident_id, by)

    async def note(self, incident_id: str, *, by: str, text: str) -> Incident:
        """Write into the timeline; told where people talk. Raises `BadInput` when there is none such."""
        return await self.desk.note(incident_id, by, text=text)

    async def open_spend(
        self, *, title: str, severity: Severity, entity: Observable, facts: Mapping[str, str]
    ) -> Incident:
        """An incident about money, in the same life as any other. `facts` hold `budget`, `window` and `level` (they
        make it one and the same) and what people need: `spent`, `limit`, `resets_at`.
        """
        crossing = ":".join(facts.get(name, "") for name in ("budget", "window", "level"))
        return await self.open_own(f"budget:{crossing}", title=title, severity=severity, entity=entity, facts=facts)

    async def open_own(
        self, rule_id: str, *, title: str, severity: Severity, entity: Observable, facts: Mapping[str, str]
    ) -> Incident:
        """An incident that Aegis opens itself; `rule_id` makes it one and the same. Raises `StoreError`."""
        detection = Detection(
            rule_id=rule_id,
            title=title,
            severity=severity,
            at=self._clock.now(),
            entity=entity,
            observables=(entity,),
            source=SPEND,
            evidence=facts,
        )
        incident = (await self._record.fold([detection])).incidents[0]
        self._await_analysis(incident)
        return incident
