"""A small world of things that can be stopped, decoys among them, and a stage on which every act may be the last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from aegis.core.errors import BadInput, ServiceError, StoreError
from aegis.core.ramps import Gates, Measured
from aegis.core.stops import Check, Grade, Scope, Stop, Target, TargetState
from aegis.emergency.planning import Order, Orders
from aegis.emergency.ports import Parts, Surroundings
from aegis.emergency.stepping import LEASE_MS, Stepper
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger
from aegis.stores.stops import SqliteStops
from aegis.testing import FakeClock, FixedIds

MINUTES_5 = 300_000


class Died(Exception):
    """The process ended here: nothing catches it."""


@dataclass
class Stage:
    """Counts acts; `last` (number, whether it is still done) is where the process dies."""

    acts: int = 0
    last: tuple[int, bool] | None = None
    deaths: int = 0

    async def act(self, do: Callable[[], Awaitable[Any]]) -> Any:
        self.acts += 1
        here = self.last is not None and self.last[0] == self.acts
        self.deaths += here
        if here and self.last is not None and not self.last[1]:
            raise Died
        done = await do()
        if here:
            raise Died
        return done


class Staged:
    """Anything whose methods are acts of a stage. Reads are none: dying there is dying before the next act."""

    def __init__(self, stage: Stage, real: Any, *acts: str) -> None:
        self._stage, self._real, self._acts = stage, real, acts

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in self._acts:
            return real

        async def acted(*args: Any, **kwargs: Any) -> Any:
            return await self._stage.act(lambda: real(*args, **kwargs))

        return acted


@dataclass
class Yard:
    """Programs with counts, by name: some are registered, others only look like it."""

    kind: str = "yard"
    grade: Grade = Grade.G4
    counts: dict[str, int] = field(
        default_factory=lambda: {"importer": 3, "scorer": 7, "claude": 1, "openai-client": 2}
    )
    registered: tuple[str, ...] = ("importer", "scorer")
    touched: set[str] = field(default_factory=set)
    failing: int = 0
    lost: int = 0
    """So many answers are lost after the deed was done."""
    blind: bool = False
    unreachable: bool = False
    gone: set[str] = field(default_factory=set)

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        if self.unreachable:
            raise ServiceError(self.kind, "did not answer", retryable=True)
        if scope:
            return ()
        return [
            Target(kind=self.kind, id=name, name=name, saved={"count": str(self.counts[name])})
            for name in self.registered
            if self.counts[name]
        ]

    async def stop(self, target: Target) -> None:
        self._answer()
        if target.id in self.gone or self.counts[target.id] not in (0, int(target.saved["count"])):
            raise BadInput(f"{target.id} has {self.counts[target.id]} by now")
        self.touched.add(target.id)
        self.counts[target.id] = 0
        self._lose()

    async def restore(self, target: Target) -> None:
        self._answer()
        self.counts[target.id] = int(target.saved["count"])
        self._lose()

    async def status(self, target: Target) -> TargetState:
        if self.blind:
            raise ServiceError(self.kind, "cannot be seen", retryable=True)
        if target.id in self.gone:
            return "gone"
        return "running" if self.counts[target.id] else "stopped"

    def _answer(self) -> None:
        if self.failing:
            self.failing -= 1
            raise ServiceError(self.kind, "did not answer", retryable=True)

    def _lose(self) -> None:
        if self.lost:
            self.lost -= 1
            raise ServiceError(self.kind, "the answer was lost", retryable=True)


class Notes:
    """`Audit` and `Chronicle`: what was told and written down."""

    def __init__(self) -> None:
        self.audit: list[str] = []
        self.told: list[str] = []
        self.open_incidents: set[str] = set()
        self.has_left = True

    async def note(self, *args: Any, loud: bool = False, **_more: Any) -> None:
        self.told.append(f"{'LOUD ' if loud else ''}{args[1]}")

    async def open(self, stop: Stop) -> str:
        self.open_incidents.add(f"inc of {stop.id}")
        return f"inc of {stop.id}"

    async def left(self, _stop: Stop) -> bool:
        return self.has_left

    async def close(self, stop: Stop, _text: str) -> None:
        self.open_incidents.discard(f"inc of {stop.id}")

    async def replay(self, _stop: Stop, share: int) -> int:
        self.told.append(f"replayed {share} %")
        return 0


class Log:
    """`Audit`."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self.facts: list[Mapping[str, str]] = []
        self.broken = False

    async def note(self, who: str, what: str, facts: Mapping[str, str]) -> None:
        if self.broken:
            raise StoreError("the audit log cannot be written")
        self.entries.append((who, what))
        self.facts.append(facts)


@dataclass
class World:
    """Everything, and the hands to move it."""

    stage: Stage
    parts: Parts
    around: Surroundings
    yard: Yard
    notes: Notes
    log: Log
    clock: FakeClock
    ledger: SqliteLedger
    orders: Orders
    seen: Measured = field(default_factory=lambda: Measured(calls=100))
    usually: int = 0
    checks: list[Check] = field(default_factory=list)
    processes: int = 0
    stepper: Stepper = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process, as after a crash."""
        self.processes += 1
        self.stepper = Stepper(self.parts, self.around, holder=f"process {self.processes}")

    async def go(self) -> None:
        """Take everything as far as it goes; a dead process is replaced, as often as need be."""
        for _ in range(100):
            try:
                if not await self.stepper.turn():
                    return
            except* Died:
                self.stage.last = None
                self.clock.pass_ms(LEASE_MS + 1)
                self.restart()
        raise AssertionError("it never comes to rest")

    async def stop(
        self,
        grade: Grade = Grade.G4,
        *,
        scope: Scope | None = None,
        between: Callable[[], None] = lambda: None,
        **more: Any,
    ) -> Stop:
        order = Order(grade=grade, scope=scope or {}, reason="runaway", by="ada", **more)
        made = await self.orders.plan(order)
        try:
            await self.orders.keep(made)
        except Died:
            self.stage.last = None
        between()
        try:
            await self.orders.apply(made.id, by="grace")
        except Died:
            self.stage.last = None
        if (await self.parts.stops.get(made.id)).state == "planned":
            await self.orders.apply(made.id, by="grace")
        await self.go()
        return await self.parts.stops.get(made.id)

    async def with_time(self, do: Callable[[], Awaitable[Any]]) -> None:
        """Do something that waits for the clock between its tries."""
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                done = anyio.Event()

                async def doing() -> None:
                    await do()
                    done.set()

                tasks.start_soon(doing)
                while not done.is_set():
                    await self.clock.advance(1_000)

    async def ask_back(self, stop: Stop) -> None:
        while (await self.parts.stops.get(stop.id)).state == "stopped":
            try:
                await self.orders.recover(stop.id, by="ada", approver="grace", root_cause="a loop")
            except Died:
                self.stage.last = None

    async def climb(self, stop: Stop, *, steps: int = 3) -> Stop:
        """Let so many steps of the ramp pass."""
        await self.go()
        for _ in range(steps):
            self.clock.pass_ms(MINUTES_5)
            await self.go()
        return await self.parts.stops.get(stop.id)

    async def share(self) -> int | None:
        """What the switch of everything lets pass; None when it is off."""
        on = [one for one in await self.ledger.switches() if one.stopped and not one.scope]
        return on[0].percent if on else None


@asynccontextmanager
async def world(**more: Any) -> AsyncIterator[World]:
    database = await Database.open(":memory:")
    clock, stage, yard, notes, log = FakeClock(), Stage(), more.pop("yard", None) or Yard(), Notes(), Log()
    ledger, stops = SqliteLedger(database, clock), SqliteStops(database)
    here: list[World] = []

    class Measuring:
        def __getattr__(self, name: str) -> Any:
            return getattr(stops, name)

        async def measured(self, _scope: Scope, *, since_ms: int) -> Measured:
            return here[0].seen if here and since_ms else Measured()

        async def usual(self, _scope: Scope, *, at_ms: int, before_ms: int) -> int:
            return here[0].usually if at_ms and before_ms else 0

    async def checking(_stop: Stop) -> Sequence[Check]:
        return here[0].checks

    parts = Parts(
        stops=Staged(stage, Measuring(), "save"),
        board=Staged(stage, ledger, "turn", "revoke"),
        actuators={one.kind: Staged(stage, one, "stop", "restore") for one in (yard, *more.pop("beside", ()))},
        audit=Staged(stage, log, "note"),
        clock=clock,
    )
    around = Surroundings(
        chronicle=Staged(stage, notes, "open", "note", "close", "replay"),
        gates=Gates(),
        before=checking,
    )
    orders = Orders(parts, new_id=FixedIds(), preauthorised=more.pop("preauthorised", ()))
    made = World(
        stage=stage,
        parts=parts,
        around=around,
        yard=yard,
        notes=notes,
        log=log,
        clock=clock,
        ledger=ledger,
        orders=orders,
    )
    here.append(made)
    try:
        yield made
    finally:
        await database.close()


def better(seen: Measured, **more: Any) -> Measured:
    return replace(seen, **more)
