"""Random histories of the ledger: several holders, crashes, zombies, a store that fails, clocks that pass windows.

The machine plays the provider too: it knows what was truly charged, per row, and holds the ledger to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, TypeVar

import anyio.lowlevel
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

T = TypeVar("T")
LIMIT, QUOTA = 400, 900
HOLDERS = 3
PASSES = (1, 30, 3_000, 20_000, 60_000, 3_600_000, 26 * 3_600_000)
"""Milliseconds: a moment, idle allowance, a lease renewed, a lease lost, an hour, more than a day."""


class Modules:
    """The code under test, from the package as it stands or from a changed copy of it."""

    def __init__(self, package: str = "aegis") -> None:
        self.budgets = import_module(f"{package}.core.budgets")
        self.windows = import_module(f"{package}.core.windows")
        self.errors = import_module(f"{package}.core.errors")
        self.ledger = import_module(f"{package}.core.ledger")
        self.memory = import_module(f"{package}.stores.memory_ledger")
        self.holder = import_module(f"{package}.governor.holder")
        self.allowances = import_module(f"{package}.governor.allowances")


class Clock:
    """Sleeping takes no time here: what others would do meanwhile are steps of the history."""

    def __init__(self) -> None:
        self.wall, self.mono_ns = datetime(2026, 11, 21, 10, tzinfo=UTC), 10**9

    def now(self) -> datetime:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.mono_ns

    async def sleep_ms(self, milliseconds: int) -> None:
        await anyio.lowlevel.checkpoint()

    def pass_ms(self, milliseconds: int) -> None:
        self.wall += timedelta(milliseconds=milliseconds)
        self.mono_ns += milliseconds * 1_000_000


class Faults:
    """A ledger that fails on demand: before it applied a report, or after, so that nobody knows."""

    def __init__(self, ledger: Any, error: type[Exception]) -> None:
        self._ledger, self._error, self.plan = ledger, error, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def sync(self, request: Any) -> Any:
        plan, self.plan = self.plan, ""
        if plan == "before":
            raise self._error("the store did not take it")
        answer = await self._ledger.sync(request)
        if plan == "after":
            raise self._error("the store took it and could not say so")
        return answer


@dataclass(eq=False)
class Process:
    """One holder and the task that reports for it."""

    holder: Any
    task: asyncio.Task[None]
    zombie: bool = False


@dataclass(eq=False)
class Open:
    """A call that was sent, and what it holds."""

    process: Process
    hold: Any
    route: Any


class Histories(RuleBasedStateMachine):
    """One random history. `modules` is set by whoever runs it."""

    modules = Modules()

    def __init__(self) -> None:
        super().__init__()
        m = self.modules
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.memory = m.memory.MemoryLedger(self.clock)
        self.ledger = Faults(self.memory, m.errors.StoreError)
        self.told: list[tuple[str, str, str, str]] = []
        self.truth: dict[int, int] = {}
        self.overtaken = 0
        self.costs: dict[str, tuple[Process, int]] = {}
        self.states: dict[str, str] = {}
        self.open: list[Open] = []
        self.serial = 0
        self.above_worst = False
        self.lost_something = False
        day, rolling = m.windows.WindowPolicy(kind="day"), m.windows.WindowPolicy(kind="rolling", span_ms=7_200_000)
        month = m.windows.WindowPolicy(kind="month")
        levels = (("warning", LIMIT // 2), ("emergency", LIMIT))

        def line(name: str, policy: Any, limit: int, unit: str = "usd") -> Any:
            return m.budgets.Line(key=name, budget=name, part="", unit=unit, window=policy, limit=limit, levels=levels)

        money = [line("day", day, LIMIT), line("rolling", rolling, LIMIT * 3 // 4), line("month", month, LIMIT * 5)]
        quota = [line("quota", day, QUOTA, "requests")]
        self.routes = [m.budgets.Route(money), m.budgets.Route([*money, *quota]), m.budgets.Route(quota)]
        self.processes: dict[str, Process] = {}
        self.zombies: list[Process] = []
        self.processes = {name: self.start(name) for name in [f"h{number}" for number in range(HOLDERS)]}

    # --- the machine's own machinery

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self.loop.run_until_complete(work)
        finally:
            self.nobody_failed()

    def nobody_failed(self) -> None:
        for process in (*self.processes.values(), *self.zombies):
            if process.task.done() and not process.task.cancelled():
                process.task.result()

    def start(self, name: str) -> Process:
        async def begin() -> Process:
            holder = self.modules.holder.Holder(ledger=self.ledger, clock=self.clock, name=name, news=self.hear)
            return Process(holder, asyncio.get_running_loop().create_task(holder.run()))

        return self.run(begin())

    def hear(self, answer: Any) -> None:
        self.told += [(c.budget, c.part, c.window, c.level) for c in answer.crossings]
        self.memory.shelf.told(answer.crossings)

    def charge(self, call: Open, amounts: tuple[int, ...]) -> None:
        """The provider charged this much, whatever the ledger hears of it."""
        for row, amount in call.hold.units(amounts).items():
            self.truth[row] = self.truth.get(row, 0) + amount

    def entry(self, call: Open, state: str, cost: int) -> Any:
        return self.modules.ledger.Entry(
            call.hold.attempt, state, "s", "m", 1, 2 if state != "sent" else 0, 9, cost, call.hold.rows(), b"{}"
        )

    def pick(self, number: int) -> Process:
        everyone = [*self.processes.values(), *self.zombies]
        return everyone[number % len(everyone)]

    # --- what may happen

    @rule(who=st.integers(0, 9), route=st.integers(0, 2), need=st.integers(0, 150))
    def admit(self, who: int, route: int, need: int) -> None:
        self.admitted([self.run(self.attempt(self.pick(who), route, need))])

    @rule(who=st.integers(0, 9), needs=st.lists(st.integers(0, 150), min_size=2, max_size=4))
    def admit_at_once(self, who: int, needs: list[int]) -> None:
        process = self.pick(who)

        async def together() -> list[Any]:
            return await asyncio.gather(*(self.attempt(process, 0, need) for need in needs))

        self.admitted(self.run(together()))

    async def attempt(self, process: Process, route: int, need: int) -> Any:
        """A reservation that is on record, a shortage, or nothing where the store failed."""
        path, holder = self.routes[route], process.holder
        needs = tuple(need if unit == "usd" else max(1, need // 20) for unit in path.units)
        self.serial += 1
        name, errors = f"c{self.serial}", self.modules.errors
        try:
            hold = holder.take(name, path, needs) or await holder.reserve(name, path, needs)
        except errors.StoreError as error:
            self.overtaken += "windows move faster" in str(error)
            return None
        if isinstance(hold, self.modules.ledger.Shortage):
            return hold
        call = Open(process, hold, path)
        if hold.journalled:
            try:
                await holder.sent(hold, self.entry(call, "sent", 0))
            except errors.StoreError:
                holder.end(hold, (0,) * len(needs), self.entry(call, "void", 0))
                return None
        return call

    def admitted(self, answers: list[Any]) -> None:
        self.open += [answer for answer in answers if isinstance(answer, Open)]
        short = [answer for answer in answers if isinstance(answer, self.modules.ledger.Shortage)]
        for shortage in short:
            self.refusal_is_true(shortage, alone=len(answers) == 1)

    def refusal_is_true(self, shortage: Any, *, alone: bool) -> None:
        """I7: the store could not have granted it at that instant, and what it says adds up."""
        row = self.memory.shelf.rows[shortage.row]
        assert shortage.settled + shortage.held + shortage.need > shortage.limit
        if alone:
            assert (shortage.settled, shortage.limit) == (row.settled, row.limit)
            assert shortage.held <= row.leased

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 50), part=st.integers(0, 100), twice=st.booleans())
    def settle(self, which: int, part: int, *, twice: bool) -> None:
        call = self.open.pop(which % len(self.open))
        amounts = tuple(need * part // 100 for need in call.hold.needs)
        self.charge(call, amounts)
        self.finish(call, amounts, twice=twice)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 50), excess=st.integers(1, 60))
    def settle_above_the_worst_case(self, which: int, excess: int) -> None:
        call = self.open.pop(which % len(self.open))
        amounts = tuple(need + excess for need in call.hold.needs)
        self.above_worst = True
        self.charge(call, amounts)
        self.finish(call, amounts)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 50), part=st.integers(0, 100))
    def shrink(self, which: int, part: int) -> None:
        call = self.open[which % len(self.open)]
        call.process.holder.shrink(call.hold, tuple(need * part // 100 for need in call.hold.needs))

    def finish(self, call: Open, amounts: tuple[int, ...], *, twice: bool = False) -> None:
        if call.hold.journalled:
            self.costs[call.hold.attempt] = (call.process, sum(amounts))

        async def end() -> None:
            call.process.holder.end(call.hold, amounts, self.entry(call, "settled", sum(amounts)))
            if twice:  # a report repeated by a confused caller: the journal knows the attempt already
                call.process.holder.note(self.entry(call, "settled", 10**6))

        self.run(end())

    @rule(who=st.integers(0, 9))
    def tick(self, who: int) -> None:
        process = self.pick(who)
        try:
            self.run(process.holder.renew())
        except self.modules.errors.StoreError:
            return

    @rule(who=st.integers(0, 9))
    def flush(self, who: int) -> None:
        try:
            self.run(self.pick(who).holder.flush())
        except self.modules.errors.StoreError:
            return

    @rule(name=st.integers(0, HOLDERS - 1), part=st.integers(0, 100), wakes=st.booleans())
    def crash(self, name: int, part: int, *, wakes: bool) -> None:
        """A process stops. Its calls under way are charged all the same; it may wake up later as a zombie."""
        dead = self.processes[f"h{name}"]
        self.lost_something = True
        if wakes and len(self.zombies) < 2:
            self.zombies.append(dead)
        else:
            for call in [call for call in self.open if call.process is dead]:
                self.open.remove(call)
                self.charge(call, tuple(need * part // 100 for need in call.hold.needs))
            dead.task.cancel()
        self.processes[f"h{name}"] = self.start(f"h{name}")

    @rule(milliseconds=st.sampled_from(PASSES))
    def time_passes(self, milliseconds: int) -> None:
        self.clock.pass_ms(milliseconds)

    @rule()
    def sweep(self) -> None:
        if self.run(self.memory.sweep()):
            self.lost_something = True

    @rule(plan=st.sampled_from(["before", "after"]))
    def the_store_will_fail(self, plan: str) -> None:
        self.ledger.plan = plan
        self.lost_something = True

    # --- what has to hold, always

    @invariant()
    def nothing_is_over_the_limit(self) -> None:
        """I1 and I2, at every commit; the memory ledger asserts them too."""
        self.memory.shelf.check()
        if not self.above_worst:
            assert all(row.overrun == 0 for row in self.memory.shelf.rows.values())
            assert all(row.settled + row.leased <= row.limit for row in self.memory.shelf.rows.values())

    @invariant()
    def the_truth_is_never_undercounted(self) -> None:
        """I4: what the provider charged is within settled and leased (a rolling row forgets what left it)."""
        forgiven = self.unreported_excess()
        for row_id, charged in self.truth.items():
            row = self.memory.shelf.rows[row_id]
            if row.kind != "rolling":
                assert charged <= row.settled + row.leased + forgiven.get(row_id, 0), (charged, row)

    def unreported_excess(self) -> dict[int, int]:
        """What was charged above the worst case and no report has carried to the store yet."""
        if not self.above_worst:
            return {}
        return dict.fromkeys(self.memory.shelf.rows, 10**9)

    @invariant()
    def a_holder_has_no_more_than_it_was_lent(self) -> None:
        """I3: free + held + spent = lease + excess, while the holder is who it thinks it is."""
        shelf = self.memory.shelf
        for name, process in self.processes.items():
            holder = process.holder
            if holder._doubtful or shelf.epoch(name) != holder._epoch:
                continue
            allowances = holder._allowances
            for allowance in (*allowances._current.values(), *allowances._retired.values()):
                lent = shelf.lease(name, allowance.row) + allowance.excess
                assert allowance.idle + allowance.held + allowance.spent == lent
                assert min(allowance.free, allowance.freed, allowance.held, allowance.spent, allowance.excess) >= 0

    @invariant()
    def an_attempt_ends_once(self) -> None:
        """I5: sent, then one end; only a worst case may still be corrected to what was true."""
        for attempt, (_, entry) in self.memory.shelf.journal.items():
            before = self.states.get(attempt, "sent")
            assert before in ("sent", entry.state) or (before, entry.state) == ("worst", "settled")
            assert entry.cost < 10**6, "a second report changed the first"
            self.states[attempt] = entry.state

    @invariant()
    def what_was_granted_could_be_taken(self) -> None:
        assert not self.overtaken

    @invariant()
    def each_level_is_told_once(self) -> None:
        """Twice only where the store could not say what it had applied."""
        assert len(self.told) == len(set(self.told)) or self.lost_something

    def teardown(self) -> None:
        """After quiet nothing is held: every call ended, every process left or was swept."""
        try:
            self.ledger.plan = ""
            for call in list(self.open):
                amounts = call.hold.needs
                self.charge(call, amounts)
                self.finish(call, amounts)
            for process in (*self.zombies, *self.processes.values()):
                self.run(process.holder.flush())
            self.the_journal_knows_the_truth()
            undisturbed = all(epoch <= 1 for epoch, _ in self.memory.shelf.holders.values())
            for process in self.processes.values():
                self.leave(process)
            self.clock.pass_ms(60_000)
            self.run(self.memory.sweep())
            self.the_truth_is_never_undercounted()
            for row in self.memory.shelf.rows.values():
                assert row.leased == 0, "a hold outlived its holder"
                if undisturbed and not self.lost_something and row.kind != "rolling":
                    assert row.settled == self.truth.get(row.id, 0), "settled is not what was charged"
        finally:
            self.close()

    def the_journal_knows_the_truth(self) -> None:
        """However often the store failed: a call whose process lives is on record at what it cost."""
        alive = {*self.zombies, *self.processes.values()}
        for attempt, (process, cost) in self.costs.items():
            if process in alive:
                entry = self.memory.shelf.entry(attempt)
                assert entry is not None, "a call was sent that is not on record"
                assert (entry.state, entry.cost) == ("settled", cost), entry

    def leave(self, process: Process) -> None:
        try:
            self.run(process.holder.leave())
        except self.modules.errors.Fenced:
            return

    def close(self) -> None:
        for process in (*self.processes.values(), *self.zombies):
            process.task.cancel()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()
