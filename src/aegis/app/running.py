"""One running Aegis: events in, work done, and how everything stands."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from aegis.app.accounts import Accounts
from aegis.app.actions import LEVEL_SEVERITY, BudgetActions
from aegis.app.backing import LOOK_MS, Backups
from aegis.app.crossings import facts_of
from aegis.app.emergency import Emergency
from aegis.app.gateway import GatewayParts
from aegis.app.heartbeat import Heartbeat
from aegis.app.hub import Hub
from aegis.app.inbound import Inbound
from aegis.app.keyring import KeyRing
from aegis.app.overrides import Overrides
from aegis.app.shown import Shown
from aegis.app.spendwatch import Watching
from aegis.app.states import ServiceState, Taken
from aegis.app.weekly import LOOK_MS as WEEKLY_LOOK_MS
from aegis.app.weekly import WeeklyMail
from aegis.config.settings import Config
from aegis.core.errors import StoreError
from aegis.core.incidents import Event
from aegis.core.incidents import Observable as Entity
from aegis.core.keyshapes import mask_keys
from aegis.core.ports import Clock, Events, Http, Incidents, Messenger, NewId, Outbox, Work
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.core.telemetry import EventsTaken, Happened, LevelCrossed, LoopFailed, ServiceStands
from aegis.emergency.audit import AuditLog
from aegis.incidents.delivery import Lanes
from aegis.incidents.desk import Desk
from aegis.incidents.formats.records import Rejected
from aegis.incidents.intake import chunks_of, events_from_body, read_events
from aegis.incidents.metric_batches import MetricBatches
from aegis.incidents.pipeline import WORKERS, Pipeline
from aegis.incidents.telling import Telling
from aegis.loops import Health, Loops, Tick
from aegis.stores.lookups import SetAside, SqliteLookups
from aegis.stores.retention import Retention
from aegis.stores.silences import SqliteSilences

if TYPE_CHECKING:
    from aegis.app.reconciling import Reconciling
    from aegis.governor.governor import Governor

BATCH = 500
"""Events of a file that are stored and worked together: one flush of the disk each."""
PENDING_MAX = 1_000
"""Events that are worked in one turn; other tasks run between two turns."""
WORK_RETRY_MS = 1_000
TIDY_MS = 3_600_000
"""Retention counts in days; once an hour keeps each step small."""
REST_MS = 20
"""How often it is looked whether everything is done: unnoticeable, and cheap."""
MESSAGE_CHARS, TRACE_CHARS = 300, 4_000
"""Of an error that nobody expected: a sentence for people, and its end for the log."""
FORGET_AFTER = timedelta(days=1)
"""How much older than the newest event a count may be before it is forgotten: the logs of one day may come file by
file, in any order. Memory is bounded anyway.
"""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
STANDS_MS = 15_000
"""As often as metric batches leave."""
TICK_MS = 250
"""A switch that was turned elsewhere is seen within a second, with three turns to spare."""


@dataclass(slots=True, kw_only=True)
class App:
    """The parts, wired, and the few things that need more than one of them. Made by `open_app`."""

    config: Config
    home: Path
    clock: Clock
    new_id: NewId
    hub: Hub
    events: Events
    incidents: Incidents
    outbox: Outbox
    lookups: SqliteLookups
    governor: Governor
    pipeline: Pipeline
    lanes: Lanes
    batches: tuple[MetricBatches, ...]
    retention: Retention
    services_used: tuple[str, ...]
    actions: BudgetActions
    silences: SqliteSilences
    telling: Telling
    keys: KeyRing
    audit: AuditLog
    accounts: Accounts
    overrides: Overrides
    chores: tuple[Callable[[], Awaitable[None]], ...] = ()
    store_under_way: Callable[[], int] = lambda: 0
    problems: tuple[str, ...] = ()
    forget: Callable[[datetime], object] = lambda _now: None
    messengers: Mapping[str, Messenger] = field(default_factory=dict)
    """The ways to one person, by channel: `email`, `slack`, `sms`, `phone`."""
    arrived: anyio.Event = field(default_factory=anyio.Event)
    crossings: list[LevelCrossed] = field(default_factory=list)
    newest: datetime = LONG_AGO
    """The time of the newest event that was worked."""
    worked_at: datetime = LONG_AGO
    """When events were last worked off, or found to be."""
    heartbeat: Heartbeat | None = None
    """The sign of life, where one is configured; there once the parts are wired."""
    health: Callable[[], Mapping[str, Health]] = dict
    """How the loops stand, once they run."""
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    inbound: Inbound | None = None
    """The way in for webhooks and links; there once the parts are wired."""
    emergency: Emergency | None = None
    """Stop and return; there once the parts are wired."""
    backups: Backups | None = None
    """Backups by the clock, where they are configured."""
    weekly: WeeklyMail | None = None
    """The weekly mail, where it is configured."""
    spendwatch: Watching | None = None
    """The watch over spending; there once the parts are wired."""
    reconciling: Reconciling | None = None
    """The ledger beside the providers' bills; there once the parts are wired."""
    http: Http | None = None
    """The one way out, for faces that sign people in elsewhere; there once the parts are wired."""
    secret: Callable[[Reference], Secret] | None = None
    """What the configuration's references stand for."""
    shown: Shown | None = None
    """What the dashboard reads; there once the parts are wired."""
    background: tuple[tuple[str, int, Tick], ...] = ()
    """What more goes on: a name, milliseconds between two turns, and what is done."""
    gateway: GatewayParts | None = None
    """What the gateway stands on; there once the parts are wired."""

    @property
    def desk(self) -> Desk:
        """Where people's words about incidents go."""
        return self.pipeline.desk

    # --- events in -------------------------------------------------------------------------------------------

    async def take(self, body: bytes, *, source: str, idempotency_key: str = "") -> Taken:
        """Store the events of one HTTP body; worked in the background. Raises `BadInput` and `StoreError`."""
        now = self.clock.now()
        read = events_from_body(body, source=source, received_at=now, idempotency_key=idempotency_key)
        return await self._store(read.events, read.rejected, source)

    async def take_file(
        self, path: Path, *, at: str | None = None, progress: Callable[[int], None] = lambda _: None
    ) -> Taken:
        """Store and work the events of one file (an absolute path: it is part of each event's id), in batches;
        `progress` is told how many bytes were read. Taking the same file again is harmless. Raises `BadInput` and
        `StoreError`.
        """
        totals = Taken(accepted=0, duplicates=0)
        chunks = _watched(chunks_of(path), progress)
        events: list[Event] = []
        rejected: list[Rejected] = []
        source = str(path)
        for item in read_events(chunks, source=source, received_at=self.clock.now(), at=at):
            (rejected if isinstance(item, Rejected) else events).append(item)  # type: ignore[arg-type]
            if len(events) + len(rejected) >= BATCH:
                totals = await self._batch(totals, events, rejected, source)
        return await self._batch(totals, events, rejected, source)

    async def _batch(self, totals: Taken, events: list[Event], rejected: list[Rejected], source: str) -> Taken:
        taken = await self._store(tuple(events), tuple(rejected), source)
        events.clear()
        rejected.clear()
        await self.work_events()
        return Taken(
            accepted=totals.accepted + taken.accepted,
            duplicates=totals.duplicates + taken.duplicates,
            rejected=totals.rejected + taken.rejected,
        )

    async def _store(self, events: Sequence[Event], rejected: tuple[Rejected, ...], source: str) -> Taken:
        now = self.clock.now()
        new = await self.events.accept(events) if events else 0
        await self.lookups.set_aside(
            [SetAside(file=r.file, line=r.line, code=r.code, reason=r.reason, text=r.text, at=now) for r in rejected]
        )
        duplicates = len(events) - new
        self.hub(EventsTaken(at=now, source=source, taken=new, duplicates=duplicates, rejected=len(rejected)))
        self.arrived.set()
        return Taken(accepted=new, duplicates=duplicates, rejected=rejected)

    # --- work ------------------------------------------------------------------------------------------------

    async def work_events(self) -> None:
        """Work every stored event that waits, then open incidents for budgets that crossed a level."""
        async with self.turn:
            over = await self.inbound.inbox.over() if self.inbound else ()
            while pending := await self.events.pending(PENDING_MAX):
                await self._handle(pending)
                self.newest = max(self.newest, *(event.at for event in pending))
                self.worked_at = self.clock.now()
            self.worked_at = self.clock.now()
            await self._open_crossings()
            if self.inbound and over:
                await self.inbound.inbox.settle(over)

    async def _handle(self, events: Sequence[Event]) -> None:
        """Work these events. One that cannot be worked is set aside and never stops those beside it."""
        try:
            await self.pipeline.handle(events)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a supervisor: events are hostile, and intake must go on
            if len(events) > 1:
                half = len(events) // 2
                await self._handle(events[:half])
                await self._handle(events[half:])
            else:
                await self._set_aside(events[0], error)

    async def _set_aside(self, event: Event, error: Exception) -> None:
        reason = f"could not be worked ({type(error).__name__})"
        text = str(event.fields.get("message") or dict(event.fields))
        line = SetAside(file=event.source, line=0, code="not_worked", reason=reason, text=text, at=self.clock.now())
        await self.lookups.set_aside([line])
        await self.incidents.commit(Work(events_done=[event.id]))
        self._failed("detection", error)

    async def _open_crossings(self) -> None:
        """Open an incident for each budget level that was crossed since the last time."""
        while self.crossings:
            crossed = self.crossings[0]
            if self.actions.known(crossed):
                del self.crossings[0]
                continue
            incident = await self.pipeline.open_spend(
                title=f"Budget {crossed.budget} crossed {crossed.level} ({crossed.window})",
                severity=LEVEL_SEVERITY[crossed.level],
                entity=Entity("budget", crossed.budget),
                facts=facts_of(crossed, self.config.budgets, self.clock.now()),
            )
            await self.actions.crossed(crossed, incident)
            del self.crossings[0]

    def notice(self, happened: Happened) -> None:
        """The observer that turns crossed levels into incidents."""
        if isinstance(happened, LevelCrossed):
            self.crossings.append(happened)
            self.arrived.set()

    async def run(self) -> None:
        """Everything that goes on in the background, for ever. What fails is reported, left alone for a moment, and
        begun again; its siblings go on.
        """
        loops = Loops(clock=self.clock, chance=lambda: 0.0, report=self._failed)
        loops.keep(self._work, name="events")
        for number in range(WORKERS):
            loops.keep(self.pipeline.worker, name=f"analysis {number + 1}")
        loops.keep(self.lanes.run, name="deliveries")
        for number, batch in enumerate(self.batches):
            loops.keep(partial(batch.run, self.clock), name=f"metrics {number + 1}")
        loops.every(TICK_MS, self._keep_house, name="governor")
        if self.emergency is not None:  # a loop of its own: stopping a program takes as long as it is given to end
            loops.every(TICK_MS, self.emergency.turn, name="stop and return")
        if self.spendwatch is not None:
            loops.every(self.config.anomalies.every_ms, self.spendwatch.turn, name="spending")
        loops.every(TIDY_MS, self._tidy, name="retention")
        loops.every(STANDS_MS, self._tell_stands, name="health")
        if self.heartbeat is not None and self.config.heartbeat is not None:
            loops.every(self.config.heartbeat.every_ms, self.heartbeat.beat, name="heartbeat")
        if self.backups is not None:
            loops.every(LOOK_MS, self.backups.tick, name="backup")
        if self.weekly is not None:
            loops.every(WEEKLY_LOOK_MS, self.weekly.tick, name="weekly report")
        for name, every_ms, turn in self.background:
            loops.every(every_ms, turn, name=name)
        self.health = loops.health
        await loops.run()

    def _failed(self, loop: str, error: Exception) -> None:
        message = mask_keys(f"{type(error).__name__}: {error}")[:MESSAGE_CHARS]
        trace = "".join(traceback.format_exception(error))[-TRACE_CHARS:]
        self.hub(LoopFailed(at=self.clock.now(), loop=loop, message=message, trace=trace))

    async def _tidy(self, now: datetime) -> None:
        """Delete what is older than it has to be. Correlations go by the time of the events: old logs are also read."""
        self.forget(max(LONG_AGO, min(now, self.newest) - FORGET_AFTER))
        await self.retention.tick(now)

    async def _tell_stands(self, now: datetime) -> None:
        """Tell observers how every service stands: the breakers of lanes and of governed calls."""
        stands = {one.service: (one.breaker, 0) for one in self.governor.services()}
        stands |= {one.service: (one.breaker, one.paused_ms) for one in self.lanes.states()}
        for service, (breaker, paused_ms) in stands.items():
            self.hub(ServiceStands(at=now, service=service, breaker=breaker.value, paused_ms=paused_ms))

    async def _keep_house(self, _now: datetime) -> None:
        """The governor's housekeeping: leases renewed, windows opened, switches read."""
        with suppress(StoreError):  # the store is away: the governor admits from what it has, then fails closed
            await self.governor.tick()
            await self.actions.turn()
            await self.pipeline.revisit()
            for chore in self.chores:
                await chore()

    async def _work(self) -> None:
        """Work events as they arrive. While the store is down they wait in it, and nothing is lost."""
        while True:
            self.arrived = anyio.Event()
            try:
                await self.work_events()
            except StoreError:
                await self.clock.sleep_ms(WORK_RETRY_MS)
                continue
            await self.arrived.wait()

    async def rest(self, *, wait_ms: int) -> None:
        """Return when nothing waits any more, or after `wait_ms`; for callers that have `run` going."""
        until = self.clock.now() + timedelta(milliseconds=wait_ms)
        await self.work_events()
        while self.clock.now() < until:
            waits = self.pipeline.unfinished or self.crossings or self.actions.waiting
            if not (waits or await self.outbox.undelivered()):
                return
            await self.clock.sleep_ms(REST_MS)

    async def finish(self, *, wait_ms: int) -> int:
        """Work everything that waits and deliver what falls due within `wait_ms`; returns what is undelivered."""
        until = self.clock.now() + timedelta(milliseconds=wait_ms)
        for _ in range(2):  # an analysis may cross a level, which is an incident of its own
            await self.work_events()
            await self.pipeline.drain()
        left = await self.lanes.drain(until=until)
        await self.actions.turn(at_once=True)
        for batch in self.batches:
            await batch.tick(self.clock.now())
        return left

    # --- how it stands ---------------------------------------------------------------------------------------

    async def services(self) -> Sequence[ServiceState]:
        """Every service in use: its deliveries, its calls, and what is wrong with it."""
        counts = await self.outbox.counts()
        spent = {spend.service: spend for spend in await self.governor.spent()}
        troubles = {lane.service: lane.why or "paused" for lane in self.lanes.states() if lane.paused_ms}
        troubles |= {s.service: f"breaker {s.breaker}" for s in self.governor.services() if s.breaker != "closed"}
        return [self._state(name, counts.get(name, {}), spent, troubles) for name in self.services_used]

    def _state(
        self, name: str, counts: Mapping[str, int], spent: Mapping[str, object], troubles: Mapping[str, str]
    ) -> ServiceState:
        from aegis.governor.account import Spend

        spend = spent.get(name)
        assert spend is None or isinstance(spend, Spend)
        done = counts.get("done", 0) + (spend.calls + spend.cached if spend else 0)
        dead = counts.get("dead", 0)
        calm = f"{dead} not delivered" if dead else "ok" if done else "idle"
        return ServiceState(
            name=name,
            state=troubles.get(name, calm),
            done=done,
            waiting=counts.get("ready", 0) + counts.get("leased", 0),
            dead=dead,
            refused=spend.refused if spend else 0,
            cost=spend.cost if spend else 0,
        )

    async def failing(self) -> Mapping[str, str]:
        """What keeps Aegis from working, by part; empty when it is ready. A used-up budget is no failure."""
        try:
            await self.lookups.setting("started_at")
        except StoreError as error:
            return {"store": str(error)}
        return {}


def _watched(chunks: Iterable[bytes], progress: Callable[[int], None]) -> Iterable[bytes]:
    for chunk in chunks:
        progress(len(chunk))
        yield chunk
