"""A program under the cap, in a process of its own: it makes calls to the provider until it is told or killed.

`worker.py STORE HOLDER PORT LIMIT WORST CALLS AT_ONCE USED` prints how many calls were admitted when it is done. USED is
the percent of its worst case that every call truly takes; below 0 each takes another part of it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime

import anyio

from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Call
from aegis.core.errors import Refused
from aegis.core.prices import MILLION, Price, PriceBook
from aegis.core.windows import WindowPolicy
from aegis.governor.governor import Governor
from aegis.stores.ledger import SqliteLedger
from aegis.stores.places import open_place

NANO_A_TOKEN = Price(service="anthropic", model="m", rates={"input_tokens": ((0, MILLION),)})


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_ms(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1_000)


def month(limit: int) -> list[Budget]:
    """Two budgets of one month: a window that no test run is likely to see the end of."""
    windows = (Amounts(window=WindowPolicy(kind="month"), emergency=limit),)
    return [Budget(name="everything", windows=windows), Budget(name="m", windows=windows, scope={"model": "m"})]


async def work(
    store: str, holder: str, port: int, limit: int, worst: int, calls: int, at_once: int, percent: int
) -> int:
    admitted = 0
    database, clock = await open_place(store, SystemClock())
    governor = Governor(
        budgets=month(limit),
        prices=PriceBook(overrides={("anthropic", "m"): NANO_A_TOKEN}),
        ledger=SqliteLedger(database, clock),
        clock=clock,
        holder=holder,
    )

    async def caller(first: int) -> None:
        nonlocal admitted
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(first, calls, at_once):
            call = Call(
                id=f"{holder}-{number}",
                service="anthropic",
                operation="x",
                models=("m",),
                worst={"input_tokens": worst},
            )
            used = worst * percent // 100 if percent >= 0 else number % (worst + 1)
            try:
                async with governor.admit(call) as reservation:
                    writer.write(f"{reservation.id} {used}\n".encode())
                    await reader.readline()
                    admitted += 1
                    reservation.settle({"input_tokens": used})
            except Refused:
                continue
        writer.close()

    async def ticking(scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                await asyncio.sleep(0.02)
                await governor.tick()

    async with governor, anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(ticking, scope)
        async with anyio.create_task_group() as callers:
            for first in range(at_once):
                callers.start_soon(caller, first)
        # Others may still be short of what is idle here.
        await asyncio.sleep(1)
        scope.cancel()
    await database.close()
    return admitted


if __name__ == "__main__":
    path, name, *numbers = sys.argv[1:]
    sys.stdout.write(f"{asyncio.run(work(path, name, *map(int, numbers)))}\n")
