"""What the disk and the event loop alone cost for the same rows; no benchmark of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

COLUMNS = "attempt TEXT PRIMARY KEY, holder TEXT, epoch BIGINT, state TEXT, at_ms BIGINT, worst BIGINT, cost BIGINT"


def run(callers: int, calls: int) -> dict[str, float]:
    """One row written and ended a call, as many rows a transaction as there are callers, WAL and FULL as the store is.

    `rows_cpu_us`: the rows. `turns_cpu_us`: three turns of the event loop a call. `commit_*_ms`: one commit on this disk.
    """
    batches = [[f"call-{first}/{n}" for n in range(callers)] for first in range(calls // callers)]
    took = []
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"CREATE TABLE journal ({COLUMNS})")
        began_cpu = time.process_time_ns()
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO journal VALUES (?, 'h', 1, 'sent', 0, 9, 0)", [(attempt,) for attempt in batch]
            )
            connection.executemany(
                "UPDATE journal SET state = 'settled', cost = 5 WHERE attempt = ?", [(attempt,) for attempt in batch]
            )
            began = time.perf_counter_ns()
            connection.execute("COMMIT")
            took.append(time.perf_counter_ns() - began)
        rows_cpu = time.process_time_ns() - began_cpu
        connection.close()
    took.sort()
    return {
        "rows_cpu_us": round(rows_cpu / calls / 1_000, 3),
        "turns_cpu_us": round(_turns(callers, calls), 3),
        "commit_p50_ms": round(took[len(took) // 2] / 1e6, 3),
        "commit_p99_ms": round(took[len(took) * 99 // 100] / 1e6, 3),
    }


def _turns(callers: int, calls: int) -> float:
    async def caller() -> None:
        for _ in range(calls // callers * 3):
            await asyncio.sleep(0)

    async def all_callers() -> None:
        await asyncio.gather(*(caller() for _ in range(callers)))

    began = time.process_time_ns()
    asyncio.run(all_callers())
    return (time.process_time_ns() - began) / calls / 1_000
