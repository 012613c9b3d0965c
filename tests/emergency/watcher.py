"""A process that governs calls on a shared store and says when it saw a switch turned: `watcher.py STORE HOLDER`.

Prints one line for each change: how many switches are on, and when (nanoseconds since 1970). It ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
import time

from aegis.app.system import SystemClock
from aegis.core.prices import PriceBook
from aegis.governor.governor import Governor
from aegis.library.opening import TICK_MS
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger


async def watch(path: str, holder: str) -> None:
    clock, database = SystemClock(), await Database.open(path)
    ledger = SqliteLedger(database, clock)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with Governor(budgets=(), prices=PriceBook(), ledger=ledger, clock=clock, holder=holder) as governor:
        seen = -1
        while not ended.done():
            if len(governor.stopped()) != seen:
                seen = len(governor.stopped())
                sys.stdout.write(f"{seen} {time.time_ns()}\n")
                sys.stdout.flush()
            await clock.sleep_ms(TICK_MS)
            await governor.tick()
    await database.close()


if __name__ == "__main__":
    asyncio.run(watch(*sys.argv[1:]))
