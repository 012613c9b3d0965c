"""The ledger as the holders of a history see it: it fails on demand, and every answer is checked on the way out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from typing import Any

from tests.governor import invariants
from tests.governor.deeds import Clock
from tests.governor.invariants import holds


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
        self.plan, self.busy = "", 0

    async def _may_fail(self, when: str) -> None:
        await asyncio.sleep(0)  # others take their turn while a report is under way
        if self.plan == when:
            self.plan = ""
            raise self._errors.StoreError(f"the store failed {when} it took it")

    async def join(self, holder: str) -> Any:
        self.busy += 1
        try:
            return await self._join(holder)
        finally:
            self.busy -= 1

    async def _join(self, holder: str) -> Any:
        await self._may_fail("before")
        joined = await self._ledger.join(holder)
        holds(joined.epoch > self._given.get(holder, 0), "I6 an epoch was given twice", holder, joined.epoch)
        self._given[holder] = joined.epoch
        await self._may_fail("after")
        return joined

    async def sync(self, request: Any) -> Any:
        self.busy += 1
        try:
            return await self._sync(request)
        finally:
            self.busy -= 1

    async def _sync(self, request: Any) -> Any:
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
