"""Random histories of the ledger: several holders, crashes, zombies, a store that fails, clocks that pass windows.

A history plays the provider too: it knows what was truly charged, per row, and holds the ledger to it after every
deed (`invariants`). Hypothesis draws the deeds, or a seeded generator where only speed counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from random import Random
from typing import Any, NamedTuple, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.governor import invariants
from tests.governor.invariants import Broken, holds

T = TypeVar("T")
STEPS = 40
DEED_BYTES, DEEDS_TOGETHER = 4, 5
"""Hypothesis draws some deeds at once, as bytes: drawing each of them costs more than doing it."""
HOLDERS = 3
HOUR_MS = 3_600_000
ROLLING_MS = 2 * HOUR_MS
PASSES = (1, 30, 3_000, 8_000, 20_000, 36_000, HOUR_MS, 26 * HOUR_MS)
"""Milliseconds: a moment, a report, idle allowance, across midnight, a lease renewed, a lease lost, an hour, a day."""
DOUBLED = 10**6
"""What a confused caller reports a second time; the first report has to stay."""


class Modules:
    """The code under test, from the package as it stands or from a changed copy of it."""

    def __init__(self, package: str = "aegis") -> None:
        self.package = package
        self.budgets = import_module(f"{package}.core.budgets")
        self.windows = import_module(f"{package}.core.windows")
        self.errors = import_module(f"{package}.core.errors")
        self.ledger = import_module(f"{package}.core.ledger")
        self.memory = import_module(f"{package}.stores.memory_ledger")
        self.holder = import_module(f"{package}.governor.holder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How tight the budgets of a history are, what may happen in it, and when it begins."""

    limit: int
    need_max: int
    start: datetime
    excess: bool = False
    relimits: bool = False


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDNIGHT_SOON = datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC)
SCALES = (
    Scale(limit=8, need_max=4, start=NOON),
    Scale(limit=8, need_max=4, start=MIDNIGHT_SOON),
    Scale(limit=64, need_max=12, start=NOON),
    Scale(limit=400, need_max=150, start=NOON),
    Scale(limit=400, need_max=150, start=MIDNIGHT_SOON, excess=True),
    Scale(limit=64, need_max=30, start=NOON, excess=True),
    Scale(limit=64, need_max=30, start=NOON, relimits=True),
    Scale(limit=8, need_max=4, start=NOON, excess=True, relimits=True),
)


class Deed(NamedTuple):
    """One step: what is done, by or to which process or call, how much of it, and in which way."""

    name: str
    which: int
    part: int
    way: int


_NAMES = (
    *("admit",) * 7,
    *("together",) * 4,
    *("settle",) * 5,
    *("shrink",) * 2,
    *("tick",) * 3,
    *("flush",) * 2,
    *("meanwhile",) * 2,
    *("crash",) * 2,
    *("fail",) * 3,
    *("wait",) * 5,
    *("sweep", "leave", "relimit"),
    *("give_up",) * 2,
    *("excess",) * 2,
)
_WHICH, _PARTS, _WAYS = 6, 101, 8
DEEDS = len(_NAMES) * _WHICH * _PARTS * _WAYS


def deed(number: int) -> Deed:
    """Every number below `DEEDS` is one deed."""
    number, way = divmod(number, _WAYS)
    number, part = divmod(number, _PARTS)
    name, which = divmod(number, _WHICH)
    return Deed(_NAMES[name], which, part, way)


class Clock:
    """Sleeping takes no time here; whoever else is polite does its housekeeping meanwhile."""

    def __init__(self, start: datetime) -> None:
        self.wall, self.mono_ns = start, 10**9
        self.meanwhile: Any = None

    def now(self) -> datetime:
        return self.wall

    def now_ms(self) -> int:
        return int(self.wall.timestamp() * 1_000)

    def monotonic_ns(self) -> int:
        return self.mono_ns

    async def sleep_ms(self, milliseconds: int) -> None:
        await asyncio.sleep(0)
        if self.meanwhile is not None:
            await self.meanwhile()

    def pass_ms(self, milliseconds: int) -> None:
        self.wall += timedelta(milliseconds=milliseconds)
        self.mono_ns += milliseconds * 1_000_000


class Memory:
    """The ledger in memory; its records lie open. `stores.py` has the same face for databases."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules

    async def open(self, clock: Clock) -> Any:
        self._ledger = self._modules.memory.MemoryLedger(clock)
        return self._ledger

    async def books(self) -> Any:
        return self._ledger.shelf

    async def crossings(self) -> Any:
        return [crossing for crossing, _ in self._ledger.shelf.crossings.values()]

    async def close(self) -> None:
        return


class Watched:
    """The ledger as holders see it: it fails on demand, before it applied a report or after, so that nobody knows;
    and every answer is checked on the way out.
    """

    def __init__(self, ledger: Any, store: Any, errors: Any) -> None:
        self._ledger, self._store, self._errors = ledger, store, errors
        self._given: dict[str, int] = {}
        self._crossed: set[tuple[str, str, str, str]] = set()
        self.relimited = False
        self.plan = ""

    async def _may_fail(self, when: str) -> None:
        await asyncio.sleep(0)  # others take their turn while a report is under way
        if self.plan == when:
            self.plan = ""
            raise self._errors.StoreError(f"the store failed {when} it took it")

    async def join(self, holder: str) -> Any:
        await self._may_fail("before")
        joined = await self._ledger.join(holder)
        holds(joined.epoch > self._given.get(holder, 0), "I6 an epoch was given twice", holder, joined.epoch)
        self._given[holder] = joined.epoch
        await self._may_fail("after")
        return joined

    async def sync(self, request: Any) -> Any:
        await self._may_fail("before")
        epoch = (await self._store.books()).holders[request.holder][0]
        try:
            answer = await self._ledger.sync(request)
        except self._errors.Fenced:
            holds(request.epoch != epoch, "I6 a holder was fenced that is its own", request.holder)
            raise
        holds(request.epoch == epoch, "I6 a fenced holder was heard", request.holder, request.epoch, epoch)
        self._crossings_are_news(answer)
        if request.wants:
            invariants.grants_suffice(request, answer, await self._store.books())
        await self._may_fail("after")
        return answer

    def _crossings_are_news(self, answer: Any) -> None:
        """I10: once per window; a rolling one only anew after it said that it was reset."""
        for c in answer.crossings:
            what = (c.budget, c.part, c.window.partition(" @")[0], c.level)
            holds(what not in self._crossed or self.relimited, "I10 a level was crossed twice", c)
            self._crossed.add(what)
        for reset in answer.resets:
            self._crossed = {what for what in self._crossed if what[:3] != (reset.budget, reset.part, reset.window)}

    async def leave(self, holder: str, epoch: int) -> None:
        await self._ledger.leave(holder, epoch)

    async def sweep(self) -> Any:
        return await self._ledger.sweep()

    async def told(self, crossings: Any) -> None:
        await self._ledger.told(crossings)

    async def totals(self) -> Any:
        return await self._ledger.totals(date.min)


@dataclass(eq=False)
class Process:
    """One holder and the task that reports for it."""

    name: str
    holder: Any
    task: asyncio.Task[None]


@dataclass(eq=False)
class Sent:
    """A call that was sent: the rows it holds, what it may still take, and what it took when it ended."""

    process: Process
    hold: Any
    may: tuple[int, ...]
    rows: tuple[int, ...]
    at_ms: int
    took: dict[int, int] = field(default_factory=dict)
    above: dict[int, int] = field(default_factory=dict)
    cost: int = -1


class World:
    """One history under way. `store` opens the ledger and shows its records."""

    def __init__(self, modules: Modules, store: Any, scale: Scale) -> None:
        self.modules, self.store, self.scale = modules, store, scale
        self.loop = asyncio.new_event_loop()
        self.clock = Clock(scale.start)
        self.ledger: Any = None
        self.processes: dict[str, Process] = {}
        self.zombies: list[Process] = []
        self.open: list[Sent] = []
        self.calls: dict[str, Sent] = {}
        self.charges: list[tuple[int, int, int]] = []
        self.states: dict[str, str] = {}
        self.heard: list[Any] = []
        self.told: list[Any] = []
        self.over = False
        self.serial = 0
        self.routes = self.make_routes(scale.limit)
        self.run(self.begin())

    async def begin(self) -> None:
        self.ledger = Watched(await self.store.open(self.clock), self.store, self.modules.errors)
        for number in range(HOLDERS):
            self.start(f"h{number}")

    def make_routes(self, limit: int) -> list[Any]:
        m = self.modules
        levels = (("warning", limit // 2), ("emergency", limit))

        def line(name: str, kind: str, limit: int, unit: str = "usd") -> Any:
            policy = m.windows.WindowPolicy(kind=kind, span_ms=ROLLING_MS)
            return m.budgets.Line(key=name, budget=name, part="", unit=unit, window=policy, limit=limit, levels=levels)

        money = [line("day", "day", limit), line("month", "month", limit * 2), line("rolling", "rolling", limit)]
        quota = [line("quota", "day", limit * 2 + 100, "requests")]
        return [
            m.budgets.Route(money[:1]),
            m.budgets.Route(money),
            m.budgets.Route([*money, *quota]),
            m.budgets.Route(quota),
        ]

    # --- the machinery

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self.loop.run_until_complete(work)
        finally:
            for process in (*self.processes.values(), *self.zombies):
                if process.task.done() and not process.task.cancelled():
                    process.task.result()

    def start(self, name: str) -> None:
        holder = self.modules.holder.Holder(ledger=self.ledger, clock=self.clock, name=name, news=self.hear)
        self.processes[name] = Process(name, holder, self.loop.create_task(holder.run()))

    def hear(self, answer: Any) -> None:
        self.heard += answer.crossings

    def tell(self) -> None:
        """What was heard is said to be told, so that nobody hears it again."""
        if self.heard:
            self.run(self.ledger.told(self.heard))
            self.told += self.heard
            self.heard = []

    def pick(self, number: int) -> Process:
        if self.zombies and number % 2:
            return self.zombies[number % len(self.zombies)]
        return self.processes[f"h{number % HOLDERS}"]

    def charge(self, call: Sent, amounts: tuple[int, ...]) -> None:
        """The provider charged this much when it was asked, whatever the ledger hears of it."""
        call.took = call.hold.units(amounts)
        self.charges += [(row, call.at_ms, units) for row, units in call.took.items()]

    def amounts(self, call: Sent, part: int) -> tuple[int, ...]:
        return tuple(need * part // 100 for need in call.may)

    def entry(self, hold: Any, state: str, cost: int) -> Any:
        worst, ended = max(hold.needs), 0 if state == "sent" else 2
        return self.modules.ledger.Entry(
            hold.attempt, state, "s", "m", 1, ended, worst, cost, hold.rows() if state == "sent" else (), b"{}"
        )

    async def quietly(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except self.modules.errors.StoreError:
            return

    # --- what may happen

    def step(self, done: Deed) -> None:
        """Do one deed, then check everything."""
        getattr(self, done.name)(done)
        self.tell()
        self.check()

    def admit(self, done: Deed) -> None:
        route, need = done.way % 4, done.part % (self.scale.need_max + 1)
        process = self.pick(done.which)
        if done.way >= 4:  # the others hear of a recall while this one waits
            self.clock.meanwhile = lambda: self.housekeeping(process)
        answer = self.run(self.attempt(process, route, need))
        self.clock.meanwhile = None
        if isinstance(answer, self.modules.ledger.Shortage):
            self.refused(process, answer)

    async def housekeeping(self, waiting: Process) -> None:
        for process in (*self.processes.values(), *self.zombies):
            if process is not waiting:
                await self.quietly(process.holder.renew())

    def together(self, done: Deed) -> None:
        process, top = self.pick(done.which), self.scale.need_max + 1
        needs = [(done.part * (number + 3)) % top for number in range(2 + done.way % 4)]

        async def all_at_once() -> None:
            await asyncio.gather(*(self.attempt(process, done.way % 3, need) for need in needs))

        self.run(all_at_once())

    def give_up(self, done: Deed) -> None:
        """A caller is cancelled while it waits."""

        async def cancelled() -> None:
            asking = asyncio.ensure_future(
                self.attempt(self.pick(done.which), done.way % 4, done.part % (self.scale.need_max + 1))
            )
            for _ in range(done.part % 16):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])

        self.run(cancelled())

    async def attempt(self, process: Process, route: int, need: int) -> Any:
        """A call that is on record and sent, a shortage, or nothing where the store failed."""
        path, holder = self.routes[route], process.holder
        needs = tuple(need if unit == "usd" else 1 + need // 2 for unit in path.units)
        self.serial += 1
        name, errors = f"c{self.serial}", self.modules.errors
        try:
            hold = holder.take(name, path, needs) or await holder.reserve(name, path, needs)
        except errors.StoreError as error:
            holds("windows move faster" not in str(error), "I7 what was granted cannot be taken", needs)
            return None
        if isinstance(hold, self.modules.ledger.Shortage):
            return hold
        rows = tuple(row for rows in hold.bundle.rows for row in rows)
        await self.in_its_window(rows)
        call = Sent(process, hold, needs, rows, self.clock.now_ms())
        self.calls[hold.attempt] = call
        if hold.journalled:
            try:
                await holder.sent(hold, self.entry(hold, "sent", 0))
            except BaseException as error:
                call.cost = 0
                holder.end(hold, (0,) * len(needs), self.entry(hold, "void", 0))
                if isinstance(error, errors.StoreError):
                    return None
                raise
            entry = (await self.store.books()).journal.get(hold.attempt)
            holds(entry is not None and entry[1].state == "sent", "I5 a call was sent before it was on record", entry)
        self.open.append(call)
        return call

    async def in_its_window(self, rows: tuple[int, ...]) -> None:
        books, now = await self.store.books(), self.clock.now_ms()
        for row in map(books.rows.__getitem__, rows):
            holds(row.kind == "rolling" or row.starts_ms <= now < row.ends_ms, "I11 counted in another window", row)

    def refused(self, process: Process, shortage: Any) -> None:
        """I7: nobody else was asking, so the store has nothing that would have sufficed."""
        row = self.run(self.store.books()).rows[shortage.row]
        mine = process.holder.idle(shortage.row)
        free = row.limit - row.settled - row.leased + mine
        holds(shortage.need > free, "I7 refused although it fits", shortage, row, mine)

    def take_open(self, done: Deed) -> Sent | None:
        return self.open.pop(done.which * 7 % len(self.open)) if self.open else None

    def settle(self, done: Deed) -> None:
        if call := self.take_open(done):
            amounts = self.amounts(call, (done.part * 3) % 101 if done.way else 0)
            self.charge(call, amounts)
            self.finish(call, amounts, twice=done.way == 1)

    def excess(self, done: Deed) -> None:
        """A true cost above its worst case: known to be possible, counted, and an alarm."""
        if not self.scale.excess or not self.open:
            return
        call = self.open[done.which % len(self.open)]
        if call.hold.journalled:
            self.open.remove(call)
            self.over = True
            amounts = tuple(need + 1 + done.part for need in call.may)
            self.charge(call, amounts)
            call.above = {row: amount for row, amount in call.took.items()}
            self.finish(call, amounts)

    def finish(self, call: Sent, amounts: tuple[int, ...], *, twice: bool = False) -> None:
        call.cost = amounts[0]
        holder = call.process.holder
        holder.end(call.hold, amounts, self.entry(call.hold, "settled", call.cost))
        if twice:  # a report repeated by a confused caller: the journal knows the attempt already
            holder.note(self.entry(call.hold, "settled", DOUBLED))

    def shrink(self, done: Deed) -> None:
        if self.open:
            call = self.open[done.which % len(self.open)]
            call.may = self.amounts(call, done.part if done.way % 2 else 0)
            call.process.holder.shrink(call.hold, call.may)

    def meanwhile(self, done: Deed) -> None:
        """A call ends, or needs less, while a report is under way."""

        async def both() -> None:
            process = self.pick(done.which)
            report = asyncio.ensure_future(self.quietly(process.holder.flush()))
            for _ in range(done.part % 5):
                await asyncio.sleep(0)
            (self.shrink if done.way % 2 else self.settle)(done)
            await report

        self.run(both())

    def tick(self, done: Deed) -> None:
        self.run(self.quietly(self.pick(done.which).holder.renew()))

    def flush(self, done: Deed) -> None:
        self.run(self.quietly(self.pick(done.which).holder.flush()))

    def crash(self, done: Deed) -> None:
        """A process stops. Its calls under way are charged all the same; it may wake up later as a zombie."""
        dead = self.processes[f"h{done.which % HOLDERS}"]
        if done.way % 2 and len(self.zombies) < 2:
            self.zombies.append(dead)
        else:
            for call in [call for call in self.open if call.process is dead]:
                self.open.remove(call)
                self.charge(call, self.amounts(call, done.part))
            dead.task.cancel()
        self.start(dead.name)

    def leave(self, done: Deed) -> None:
        """A process ends as it should; what it has under way counts at its worst case until it is known better."""
        process = self.processes[f"h{done.which % HOLDERS}"]
        if not any(call.process is process for call in self.open):
            self.run(self.quietly(process.holder.leave()))

    def wait(self, done: Deed) -> None:
        self.clock.pass_ms(PASSES[done.way])

    def sweep(self, _: Deed) -> None:
        self.run(self.ledger.sweep())

    def fail(self, done: Deed) -> None:
        self.ledger.plan = "before" if done.way % 2 else "after"

    def relimit(self, done: Deed) -> None:
        """Somebody changes the limits in the middle of the windows."""
        if self.scale.relimits:
            self.over = self.ledger.relimited = True
            self.routes = self.make_routes(max(4, self.scale.limit * done.part // 100))

    # --- what has to hold

    def check(self) -> None:
        """Every invariant, as the records are now."""
        books = self.run(self.store.books())
        invariants.within_limits(books, exact=not self.over)
        invariants.truth_is_counted(books, self.charged(books), self.forgiven(books))
        invariants.crashes_are_covered(books)
        invariants.settled_is_journalled(books, self.calls)
        invariants.ends_once(books, self.states, DOUBLED)
        for call in self.open:
            on_record = not call.hold.journalled or call.hold.attempt in books.journal
            holds(on_record, "I5 a call under way is not on record", call.hold.attempt)
        self.holders_have_what_they_were_lent(books)

    def charged(self, books: Any) -> dict[int, int]:
        """What was truly charged per row; of a rolling one, what its span still covers."""
        begin, charged = self.clock.now_ms() - ROLLING_MS, {}
        for row, at_ms, units in self.charges:
            if at_ms > begin or books.rows[row].kind != "rolling":
                charged[row] = charged.get(row, 0) + units
        return charged

    def forgiven(self, books: Any) -> dict[int, int]:
        """Truth above a worst case that is not on record yet."""
        forgiven: Counter[int] = Counter()
        for attempt, call in self.calls.items():
            if call.above:
                entry = books.journal[attempt][1] if attempt in books.journal else None
                if entry is None or (entry.state, entry.cost) != ("settled", call.cost):
                    forgiven.update(call.above)
        return forgiven

    def holders_have_what_they_were_lent(self, books: Any) -> None:
        """I3: free, held and spent are the lease and the excess, while the holder is who it thinks it is."""
        for name, process in self.processes.items():
            holder = process.holder
            if holder._doubtful or books.holders.get(name, (0, 0))[0] != holder._epoch:
                continue
            allowances, under_way = holder._allowances, self.under_way(process)
            for a in (*allowances._current.values(), *allowances._retired.values()):
                lent = books.lent.get((name, a.row), 0) + a.excess
                has = a.idle + a.held + a.spent
                holds(a.held == under_way[a.row], "I3 what is held is not what calls hold", name, a.row, a.held)
                holds(has == lent, "I3 a holder has not what it was lent", name, a.row, has, lent)
                holds(min(a.free, a.freed, a.held, a.spent, a.excess) >= 0, "I3 an amount is negative", name, a.row)

    def under_way(self, process: Process) -> Counter[int]:
        """What the calls of a process hold of each row."""
        held: Counter[int] = Counter()
        for call in self.open:
            if call.process is process and call.hold.epoch == process.holder._epoch:
                held.update(call.hold.units(call.hold.needs))
        return held

    # --- the end

    def end(self) -> None:
        """After quiet nothing is held: every call ended, every process left or was swept."""
        self.ledger.plan = ""
        for call in list(self.open):
            self.charge(call, call.may)
            self.finish(call, call.may)
        for process in (*self.zombies, *self.processes.values()):
            self.run(process.holder.flush())
        self.the_living_are_on_record(self.run(self.store.books()))
        for process in self.processes.values():
            self.run(self.quietly(process.holder.leave()))
        self.clock.pass_ms(60_000)
        self.run(self.ledger.sweep())
        self.start("late")
        self.run(self.processes["late"].holder.flush())  # whoever comes hears what nobody was told
        self.tell()
        self.check()
        untold = [crossing for crossing in self.run(self.store.crossings()) if crossing not in self.told]
        holds(not untold, "I10 a level was crossed and never told", untold)
        books = self.run(self.store.books())
        for row in books.rows.values():
            holds(row.leased == 0, "I7 a hold outlived its holder", row)
        invariants.totals_are_the_journal(books, self.run(self.ledger.totals()))

    def the_living_are_on_record(self, books: Any) -> None:
        """However often the store failed: a call whose process lives is on record at what it cost."""
        alive = {*self.zombies, *self.processes.values()}
        for attempt, call in self.calls.items():
            if call.process in alive and call.hold.journalled and call.cost > 0:
                found = books.journal.get(attempt)
                holds(found is not None, "I5 a call was sent that is not on record", attempt)
                seen = (found[1].state, found[1].cost)
                holds(
                    seen == ("settled", call.cost), "I5 the journal does not know the truth", attempt, *seen, call.cost
                )

    def close(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(self.store.close())
        self.loop.close()


class Histories(RuleBasedStateMachine):
    """Histories drawn by Hypothesis, which shows the shortest one that breaks something."""

    modules = Modules()

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None

    def store(self) -> Any:
        return Memory(self.modules)

    @initialize(scale=st.sampled_from(SCALES))
    def begin(self, scale: Scale) -> None:
        self.world = World(self.modules, self.store(), scale)

    @rule(drawn=st.binary(min_size=DEED_BYTES * DEEDS_TOGETHER, max_size=DEED_BYTES * DEEDS_TOGETHER))
    def deeds(self, drawn: bytes) -> None:
        assert self.world is not None
        for at in range(0, len(drawn), DEED_BYTES):
            done = deed(int.from_bytes(drawn[at : at + DEED_BYTES]) % DEEDS)
            note(str(done))
            self.world.step(done)

    def teardown(self) -> None:
        if self.world is not None:
            try:
                self.world.end()
            finally:
                self.world.close()


def seeded(modules: Modules, store: Callable[[], Any], seed: int) -> Iterator[Broken | None]:
    """Histories without end, all of them determined by the seed; each yields what it broke."""
    chance = Random(seed)
    while True:
        script = [deed(chance.randrange(DEEDS)) for _ in range(STEPS)]
        yield played(modules, store(), chance.choice(SCALES), script)


def played(modules: Modules, store: Any, scale: Scale, script: Sequence[Deed]) -> Broken | None:
    """One history as it is written; what it broke."""
    world = World(modules, store, scale)
    try:
        for done in script:
            world.step(done)
        world.end()
    except Broken as broken:
        return broken
    finally:
        world.close()
    return None
