"""Killed between a step and its messages, again and again: every step comes once, and nobody is left out."""

import asyncio
import sys
from pathlib import Path

import pytest
from tests.incidents.test_delivery_kill import Service

from aegis.stores.database import Database
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.outbox import SqliteOutbox

pytestmark = pytest.mark.anyio

WORKER = Path(__file__).with_name("escalation_worker.py")
ROOT = Path(__file__).resolve().parents[2]
LANES = ("email", "sms", "phone")
PER_CYCLE = 8


async def test_every_step_is_fired_once_and_reaches_its_person_whenever_the_process_dies(
    tmp_path: Path, long: bool
) -> None:
    cycles = 200 if long else 6
    number = cycles * PER_CYCLE
    service = Service()
    server = await asyncio.start_server(service, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def started(cycle: int) -> asyncio.subprocess.Process:
        arguments = (str(WORKER), str(tmp_path / "aegis.db"), str(port), str(number), str(cycle))
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=ROOT, env={"PYTHONPATH": f"src:{ROOT}"}
        )

    for cycle in range(cycles):
        worker = await started(cycle)
        await asyncio.wait_for(service.hears(7 + cycle % 13), timeout=60)
        worker.kill()
        assert await worker.wait() == -9
    last = await started(cycles)
    assert await asyncio.wait_for(last.wait(), timeout=120) == 0
    server.close()

    database = await Database.open(tmp_path / "aegis.db")
    counts = await SqliteOutbox(database).counts()
    found = await SqliteIncidents(database).recent(number + 1)
    await database.close()
    assert counts == {lane: {"done": number} for lane in LANES}
    assert len(found) == number
    for incident in found:
        steps = [entry.attributes["step"] for entry in incident.timeline if entry.kind == "escalated"]
        assert steps == ["1", "2", "3"]
    assert set(service.taken) == {(lane, incident.id) for lane in LANES for incident in found}
    repeats = sum(service.taken.values()) - len(LANES) * number
    assert repeats <= service.heard // 50 + cycles * len(LANES) * 4  # lost answers, and what was under way at a kill
    assert service.unmarked == []
    print(f"{cycles} kills, {number} escalations of 3 steps, each step once, {repeats} repeats, all marked")  # noqa: T201 - the figures
