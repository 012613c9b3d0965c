"""Deliveries: how many a second leave through the durable outbox, and how soon the first page and chat message are out.

`sustained`: eight services with their real connectors and the real outbound client, every delivery leased, sent and
recorded durably; a process beside it answers at once; no lane keeps a pace. `bare_own`, `bare_aiohttp`: the requests alone,
`share_of_bare_own` what of the first is left when everything else is done too. `path` is `bench path`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from aegis.app import open_app
from aegis.app.memory import settle
from aegis.app.opening import Machine
from aegis.app.system import SystemClock
from aegis.core.ports import HttpRequest, Work
from aegis.incidents.lane import LaneRule
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.transport.http import OutboundHttp
from bench import path
from bench._answering import answering
from bench.store import SERVICES, deliveries, incident

INCIDENTS = 2_000
AT_ONCE = 32
ROUNDS = 5
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
        settle()  # as the service does
        began, began_cpu = time.perf_counter(), time.process_time()
        left = await app.lanes.drain(until=app.clock.now())
        took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        counts = await app.outbox.counts()
    number = INCIDENTS * len(SERVICES)
    assert (left, sum(ends.get("done", 0) for ends in counts.values())) == (0, number), counts
    return {"deliveries_per_s": round(number / took), "sender_cpu_us": round(cpu / number * 1e6)}


Ask = Callable[[str, bytes], Awaitable[object]]


async def bare(open_client: Callable[[], AbstractAsyncContextManager[Ask]]) -> dict[str, float]:
    """The floor: requests of 2 kB alone, as many at once as there are lanes, to the same process."""
    count = INCIDENTS * len(SERVICES) // 2
    body, numbers = b"x" * 2_000, iter(range(count))
    async with answering() as serving, open_client() as ask:

        async def sender() -> None:
            for _ in numbers:
                await ask(f"{serving.url}/splunk/x", body)

        began, began_cpu = time.perf_counter(), time.process_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE * len(SERVICES)):
                tasks.start_soon(sender)
        took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return {"requests_per_s": round(count / took), "cpu_us": round(cpu / count * 1e6)}


@asynccontextmanager
async def own() -> AsyncIterator[Ask]:
    """The product's client, with everything that it checks."""
    http = OutboundHttp(clock=SystemClock(), observer=lambda _happened: None)

    async def ask(url: str, body: bytes) -> object:
        return await http.send(HttpRequest(service="splunk", method="POST", url=url, body=body))

    try:
        yield ask
    finally:
        await http.close()


@asynccontextmanager
async def aiohttp() -> AsyncIterator[Ask]:
    """The client that it replaced, without any check."""
    from aiohttp import ClientSession

    async with ClientSession() as session:

        async def ask(url: str, body: bytes) -> object:
            async with session.post(url, data=body) as answer:
                return await answer.read()

        yield ask


async def _rounds() -> dict[str, Any]:
    runs = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as home:
            runs.append(await sustained(Path(home)))
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return {**middle, "each_per_s": [run["deliveries_per_s"] for run in runs]}


def _alone(work: Callable[..., Awaitable[dict[str, Any]]], *asked: Any) -> dict[str, Any]:
    return anyio.run(work, *asked, backend_options={"use_uvloop": True})


def run() -> dict[str, Any]:
    floor, kept = _alone(bare, own), _alone(_rounds)
    return {
        "services": len(SERVICES),
        "bare_own": floor,
        "bare_aiohttp": _alone(bare, aiohttp),
        "sustained": kept,
        "share_of_bare_own": round(kept["deliveries_per_s"] / floor["requests_per_s"], 3),
        "path": path.run(),
        "goal": "sustained >= 2,000 a second; queued p95 <= 80 ms, first page and chat sent p95 <= 150 ms",
    }
