"""Deliveries: how many a second leave through the durable outbox, and how soon the first page and chat message are out.

`sustained`: eight services with their real connectors and the real outbound client, every delivery leased, sent and
recorded durably; a process beside it answers at once; no lane keeps a pace. `bare_aiohttp`: the requests alone.
`path` is `bench path`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from aegis.app import open_app
from aegis.app.opening import Machine
from aegis.core.ports import Work
from aegis.incidents.lane import LaneRule
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from bench import path
from bench._answering import answering
from bench.store import SERVICES, deliveries, incident

INCIDENTS = 2_000
AT_ONCE = 32
ROUNDS = 3
PLAIN = LaneRule(concurrency=AT_ONCE)


async def sustained(home: Path) -> dict[str, float]:
    """One run: deliveries a second over the wall's clock, and CPU microseconds of the sender each."""
    machine = Machine(lane_rules=dict.fromkeys(SERVICES, PLAIN))
    async with (
        answering() as serving,
        open_app(sandbox_config(serving), home=home, machine=machine, resolve=SandboxKeys(serving)) as app,
    ):
        for number in range(INCIDENTS):
            opened = incident(number)
            await app.incidents.commit(Work(incidents=[opened], deliveries=deliveries(opened)))
        began, began_cpu = time.perf_counter(), time.process_time()
        left = await app.lanes.drain(until=app.clock.now())
        took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        counts = await app.outbox.counts()
    number = INCIDENTS * len(SERVICES)
    assert (left, sum(ends.get("done", 0) for ends in counts.values())) == (0, number), counts
    return {"deliveries_per_s": round(number / took), "sender_cpu_us": round(cpu / number * 1e6)}


async def bare(count: int) -> dict[str, float]:
    """The floor: as many requests of 2 kB with aiohttp alone, as many at once, to the same process."""
    import aiohttp

    body, numbers = b"x" * 2_000, iter(range(count))
    async with answering() as serving, aiohttp.ClientSession() as session:

        async def sender() -> None:
            for _ in numbers:
                async with session.post(f"{serving.url}/splunk/x", data=body) as answer:
                    await answer.read()

        began, began_cpu = time.perf_counter(), time.process_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE * len(SERVICES)):
                tasks.start_soon(sender)
        took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return {"requests_per_s": round(count / took), "cpu_us": round(cpu / count * 1e6)}


async def _rounds() -> dict[str, Any]:
    runs = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as home:
            runs.append(await sustained(Path(home)))
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def run() -> dict[str, Any]:
    return {
        "services": len(SERVICES),
        "bare_aiohttp": anyio.run(bare, INCIDENTS * len(SERVICES) // 2, backend_options={"use_uvloop": True}),
        "sustained": anyio.run(_rounds, backend_options={"use_uvloop": True}),
        "path": path.run(),
        "goal": "sustained >= 2,000 a second; queued p95 <= 80 ms, first page and chat sent p95 <= 150 ms",
    }
