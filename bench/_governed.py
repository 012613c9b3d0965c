"""One measured run of the governor over a fresh SQLite file; no benchmark of its own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio

from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Call
from aegis.core.prices import Price, PriceBook, free
from aegis.core.windows import WindowKind, WindowPolicy
from aegis.governor.governor import Governor
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger

CALLERS = 64
ROUNDS = 5
LIMIT = 10**15
FLUSHES = 500
PAGE = bytes(4_096)
WORST = {"input_tokens": 2_000, "output_tokens": 500}
USED = {"input_tokens": 1_900, "output_tokens": 200}
PRICE = Price(
    service="anthropic",
    model="claude-sonnet-5-5",
    rates={"input_tokens": ((0, 2_000_000_000),), "output_tokens": ((0, 10_000_000_000),)},
)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_ms(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run: `calls` to `service` by so many callers, spread evenly over so many keys (none: no key)."""

    budgets: Sequence[Budget]
    service: str
    calls: int
    callers: int = CALLERS
    keys: int = 0
    pause_ms: int = 0
    """How long each call takes (0: one turn of the loop); with it the callers begin evenly spread over that time."""
    prepare: Callable[[Path], None] = lambda _: None

    def call(self, number: int) -> Call:
        scope = {"purpose": "incident"} | ({"key": f"key-{number % self.keys}"} if self.keys else {})
        if self.service == "anthropic":
            return Call(
                id=f"call-{number}", service="anthropic", operation="x", models=(PRICE.model,), worst=WORST, scope=scope
            )
        return Call(id=f"call-{number}", service=self.service, operation="x", worst={"requests": 1}, scope=scope)

    @property
    def used(self) -> Mapping[str, int]:
        return USED if self.service == "anthropic" else {"requests": 1}


def six_lines(unit: str) -> Sequence[Budget]:
    """Two budgets of three windows: six lines that every call has to fit."""
    return [
        Budget(name="everything", windows=_windows("day", "week", "month"), unit=unit),
        Budget(name="incidents", windows=_windows("day", "week", "month"), unit=unit, scope={"purpose": "incident"}),
    ]


def keyed(count: int) -> Sequence[Budget]:
    """One budget for all and one for each of so many keys: two lines a call, whatever the count."""
    return [Budget(name="everything", windows=_windows("day"))] + [
        Budget(name=f"key-{number}", windows=_windows("day"), scope={"key": f"key-{number}"}) for number in range(count)
    ]


def _windows(*kinds: WindowKind) -> tuple[Amounts, ...]:
    return tuple(Amounts(window=WindowPolicy(kind=kind), emergency=LIMIT) for kind in kinds)


def fill_journal(rows: int) -> Callable[[Path], None]:
    """Writes so many settled calls of the past into the journal before the run."""

    def fill(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                "INSERT INTO ledger_journal SELECT 'past-' || i || '/h-1-' || i, 'h', 1, 'settled', 'anthropic', "
                "'claude-sonnet-5-5', 1700000000000 + i, 1700000000500 + i, 9000000, 5800000, '[]', '{}' FROM n",
                (rows,),
            )

    return fill


async def measure(folder: Path, plan: Plan) -> dict[str, float]:
    """One run: CPU microseconds a call, and how long admission and settlement took together, p50 and p99."""
    path = folder / "bench.db"
    database, clock = await Database.open(path), SystemClock()
    plan.prepare(path)
    prices = PriceBook(overrides={("anthropic", PRICE.model): PRICE, ("virustotal", ""): free("virustotal")})
    governor = Governor(budgets=plan.budgets, prices=prices, ledger=SqliteLedger(database, clock), clock=clock)
    took: list[int] = []

    async def caller(first: int, last: int) -> None:
        await asyncio.sleep(plan.pause_ms * first / plan.callers / 1_000)
        for number in range(first, last, plan.callers):
            call = plan.call(number)
            began = time.perf_counter_ns()
            async with governor.admit(call) as reservation:
                admitted = time.perf_counter_ns()
                await asyncio.sleep(plan.pause_ms / 1_000)  # the call itself
                back = time.perf_counter_ns()
                reservation.settle(plan.used)
            took.append(admitted - began + time.perf_counter_ns() - back)

    warm = max(plan.callers * 4, plan.keys)
    async with governor:
        await _all(caller, plan.callers, warm)
        took.clear()
        began_cpu = time.process_time_ns()
        await _all(caller, plan.callers, plan.calls)
        cpu = time.process_time_ns() - began_cpu
        settled = (await governor.balances())[0].settled
    await database.close()
    once = PRICE.cost(USED) if plan.service == "anthropic" else 1
    assert settled == (plan.calls + warm) * once, "what is settled is not what was used"
    took.sort()
    return {
        "cpu_us": cpu / plan.calls / 1_000,
        "p50_ms": took[len(took) // 2] / 1e6,
        "p99_ms": took[len(took) * 99 // 100] / 1e6,
    }


async def _all(caller: Callable[[int, int], Coroutine[None, None, None]], callers: int, last: int) -> None:
    async with anyio.create_task_group() as group:
        for first in range(callers):
            group.start_soon(caller, first, last)


async def _bare(plan: Plan) -> float:
    """CPU microseconds of what is measured beside the governor: the loop, the call that is made, an empty block."""
    took: list[int] = []

    async def caller(first: int, last: int) -> None:
        for number in range(first, last, plan.callers):
            plan.call(number)
            began = time.perf_counter_ns()
            async with nullcontext():
                admitted = time.perf_counter_ns()
                await asyncio.sleep(0)
                back = time.perf_counter_ns()
            took.append(admitted - began + time.perf_counter_ns() - back)

    began_cpu = time.process_time_ns()
    await _all(caller, plan.callers, plan.calls)
    return (time.process_time_ns() - began_cpu) / plan.calls / 1_000


def median_of(plan: Plan, rounds: int = ROUNDS) -> dict[str, float]:
    """Medians of so many runs, each on a file of its own."""
    runs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(asyncio.run(measure(Path(folder), plan)))
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


def beside_bare(plan: Plan, rounds: int = ROUNDS) -> dict[str, float]:
    """The same, with the CPU of the benchmark itself, and what is left for the governor without it."""
    bare = statistics.median(asyncio.run(_bare(plan)) for _ in range(rounds))
    figures = median_of(plan, rounds)
    return {**figures, "bare_cpu_us": round(bare, 3), "governor_cpu_us": round(figures["cpu_us"] - bare, 3)}


def paced(plan: Plan, rounds: int = ROUNDS) -> dict[str, float]:
    """Callers that do not come all at once, and the flush of the same disk beside each run; medians. `beyond_flush_*` is
    what admission and settlement took longer than one flush.
    """
    runs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            flush = _flushes(Path(folder))
            runs.append({**asyncio.run(measure(Path(folder), plan)), **flush})
    figures = {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
    beyond = {f"beyond_flush_{p}_ms": round(figures[f"{p}_ms"] - figures[f"flush_{p}_ms"], 3) for p in ("p50", "p99")}
    return {**figures, **beyond}


def _flushes(folder: Path) -> dict[str, float]:
    """How long this disk takes to keep one page: appended and flushed, as a commit to the log does."""
    took = []
    with (folder / "flushes").open("wb", buffering=0) as file:
        for _ in range(FLUSHES):
            began = time.perf_counter_ns()
            file.write(PAGE)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter_ns() - began)
    took.sort()
    return {"flush_p50_ms": took[FLUSHES // 2] / 1e6, "flush_p99_ms": took[FLUSHES * 99 // 100] / 1e6}
