"""The governed call: CPU and latency that the governor adds, with six budget lines, 64 callers at once.

`durable`: money, on record on disk before it is sent. `granted`: a free request counted against quotas only.
`alone`: one caller, durable. Every run checks that what is settled is exactly what was used.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
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
CALLS = 12_800
ROUNDS = 5
LIMIT = 10**15
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


def budgets(unit: str) -> Sequence[Budget]:
    """Two budgets of three windows: six lines that every call has to fit."""
    kinds: tuple[WindowKind, ...] = ("day", "week", "month")
    windows = tuple(Amounts(window=WindowPolicy(kind=kind), emergency=LIMIT) for kind in kinds)
    return [
        Budget(name="everything", windows=windows, unit=unit),
        Budget(name="incidents", windows=windows, unit=unit, scope={"purpose": "incident"}),
    ]


def call(number: int, service: str) -> Call:
    models = ("claude-sonnet-5-5",) if service == "anthropic" else ()
    worst = WORST if service == "anthropic" else {"requests": 1}
    return Call(
        id=f"call-{number}", service=service, operation="x", models=models, worst=worst, scope={"purpose": "incident"}
    )


async def measure(folder: Path, *, service: str, callers: int, calls: int) -> dict[str, float]:
    """One run: CPU microseconds a call, and how long admission and settlement took together, p50 and p99."""
    database = await Database.open(folder / "bench.db")
    clock = SystemClock()
    prices = PriceBook(overrides={("anthropic", "claude-sonnet-5-5"): PRICE, ("virustotal", ""): free("virustotal")})
    unit = "usd" if service == "anthropic" else "requests"
    governor = Governor(budgets=budgets(unit), prices=prices, ledger=SqliteLedger(database, clock), clock=clock)
    used = USED if service == "anthropic" else {"requests": 1}
    took: list[int] = []

    async def caller(first: int, last: int) -> None:
        for number in range(first, last, callers):
            began = time.perf_counter_ns()
            async with governor.admit(call(number, service)) as reservation:
                admitted = time.perf_counter_ns()
                await asyncio.sleep(0)  # the call itself
                back = time.perf_counter_ns()
                reservation.settle(used)
            took.append(admitted - began + time.perf_counter_ns() - back)

    async def all_callers(last: int) -> None:
        async with anyio.create_task_group() as group:
            for first in range(callers):
                group.start_soon(caller, first, last)

    async with governor:
        await all_callers(callers * 4)
        took.clear()
        began_cpu = time.process_time_ns()
        await all_callers(calls)
        cpu = time.process_time_ns() - began_cpu
        settled = (await governor.balances())[0].settled
    await database.close()
    once = PRICE.cost(USED) if service == "anthropic" else 1
    assert settled == (calls + callers * 4) * once, "what is settled is not what was used"
    took.sort()
    return {
        "cpu_us": cpu / calls / 1_000,
        "p50_ms": took[len(took) // 2] / 1e6,
        "p99_ms": took[len(took) * 99 // 100] / 1e6,
    }


def median(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


def run() -> dict[str, object]:
    """Medians of the rounds."""
    results: dict[str, object] = {}
    for name, service, callers, calls in (
        ("durable", "anthropic", CALLERS, CALLS),
        ("granted", "virustotal", CALLERS, CALLS),
        ("alone", "anthropic", 1, CALLS // 16),
    ):
        rounds = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                rounds.append(asyncio.run(measure(Path(folder), service=service, callers=callers, calls=calls)))
        results[name] = {"callers": callers, "calls": calls, "lines": 6, **median(rounds)}
    return results
