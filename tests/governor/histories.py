"""Random histories of the ledger: several holders, crashes, zombies, a store that fails, clocks that pass windows.

A history plays the provider too: it knows what was truly charged, per row, and holds the ledger to it after every
deed (`invariants`). Hypothesis draws the deeds, or a seeded generator where only speed counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from random import Random
from typing import Any, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.governor import checks
from tests.governor.checks import DOUBLED
from tests.governor.deeds import DEEDS, PASSES, ROLLING_MS, SCALES, Clock, Deed, Scale, deed
from tests.governor.invariants import Broken, holds
from tests.governor.watched import Memory, Modules, Process, Sent, Watched

T = TypeVar("T")
STEPS = 40
DEED_BYTES, DEEDS_TOGETHER = 4, 5
"""Hypothesis draws some deeds at once, as bytes: drawing each of them costs more than doing it."""
STILL = 4
"""Turns of the loop without a report, after which none follows: a reporter takes up the next one in two."""
HOLDERS = 3


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
        self.last: Sent | None = None
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

    async def rest(self) -> None:
        """Reports that nobody waits for, or nobody any more, have arrived."""
        still = 0
        while still < STILL:
            await asyncio.sleep(0)
            still = 0 if self.ledger.busy else still + 1

    async def quietly(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except self.modules.errors.StoreError:
            return

    # --- what may happen

    def step(self, done: Deed) -> None:
        """Do one deed, then check everything."""
        getattr(self, done.name)(done)
        self.run(self.rest())
        self.tell()
        checks.everything(self)

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

        process = self.pick(done.which)

        async def cancelled() -> None:
            asking = asyncio.ensure_future(self.attempt(process, done.way % 4, done.part % (self.scale.need_max + 1)))
            for _ in range(done.part % 16):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            if not asking.cancelled():
                asking.result()

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
        mine = process.holder.idle().get(shortage.row, 0)
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
            call.above = dict(call.took)
            self.finish(call, amounts)

    def finish(self, call: Sent, amounts: tuple[int, ...], *, twice: bool = False) -> None:
        call.cost, self.last = amounts[0], call
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
        if done.way > 5 and self.last is not None:  # told again, long after it was
            self.last.process.holder.note(self.entry(self.last.hold, "settled", DOUBLED))
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

    # --- the end

    def end(self) -> None:
        """Everybody comes to rest: every call ends, every process leaves or is swept, and somebody new comes."""
        self.ledger.plan = ""
        for call in list(self.open):
            self.charge(call, call.may)
            self.finish(call, call.may)
        self.open.clear()
        for process in (*self.zombies, *self.processes.values()):
            self.run(process.holder.flush())
        checks.the_living_are_on_record(self, self.run(self.store.books()))
        for process in self.processes.values():
            self.run(self.quietly(process.holder.leave()))
        self.clock.pass_ms(60_000)
        self.run(self.ledger.sweep())
        self.start("late")
        self.run(self.processes["late"].holder.flush())  # whoever comes hears what nobody was told
        self.tell()
        checks.everything(self)
        checks.nothing_is_left(self)

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
