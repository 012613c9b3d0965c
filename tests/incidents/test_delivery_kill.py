"""Killed in the middle, again and again: nothing is missing, and what arrives twice is recognisable."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.incidents.delivery_worker import AT_ONCE, SERVICES

from aegis.stores.database import Database
from aegis.stores.outbox import SqliteOutbox

pytestmark = pytest.mark.anyio

WORKER = Path(__file__).with_name("delivery_worker.py")
WITHOUT_HANDLE = ("slack",)
"""Services that cannot tell a repeat from a second message: people are told that it may be one."""
PER_CYCLE = 15
"""Incidents for each kill: 45 deliveries, of which a cycle sends some 20 before it dies."""

DRAIN_S = 6
"""What the last process may take for each cycle's incidents: a chat is told one by one, twenty in a second."""


class Service:
    """Plays every service: takes most, refuses every 20th, and takes every 50th without an answer."""

    def __init__(self) -> None:
        self.taken: Counter[tuple[str, str]] = Counter()
        self.keys: dict[str, set[str]] = {}
        self.unmarked: list[tuple[str, str]] = []
        """What was sent a second time without a word that it may have come before."""
        self.heard = 0
        self._news = asyncio.Condition()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line.endswith(b"\n"):
            said = json.loads(line)
            refused = self.heard % 20 == 19
            if not refused:
                if self.taken[said["service"], said["incident"]] and not said.get("again"):
                    self.unmarked.append((said["service"], said["incident"]))
                self.taken[said["service"], said["incident"]] += 1
                self.keys.setdefault(said["incident"], set()).add(said["key"])
            if self.heard % 50 != 49:
                writer.write(b"refused\n" if refused else b"taken\n")
            async with self._news:
                self.heard += 1
                self._news.notify_all()
        writer.close()

    async def hears(self, more: int) -> None:
        goal = self.heard + more
        async with self._news:
            await self._news.wait_for(lambda: self.heard >= goal)


async def test_nothing_is_missing_after_kills_and_every_repeat_shares_its_key(tmp_path: Path, long: bool) -> None:
    cycles = 200 if long else 20
    number = cycles * PER_CYCLE
    service = Service()
    server = await asyncio.start_server(service, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def started(cycle: int) -> asyncio.subprocess.Process:
        arguments = (str(WORKER), str(tmp_path / "aegis.db"), str(port), str(number), str(cycle))
        return await asyncio.create_subprocess_exec(sys.executable, *arguments)

    for cycle in range(cycles):
        worker = await started(cycle)
        await asyncio.wait_for(service.hears(11 + cycle % 17), timeout=60)
        worker.kill()
        assert await worker.wait() == -9
    last = await started(cycles)
    assert await asyncio.wait_for(last.wait(), timeout=DRAIN_S * cycles) == 0
    server.close()

    database = await Database.open(tmp_path / "aegis.db")
    assert await SqliteOutbox(database).counts() == {one: {"done": number} for one in SERVICES}
    assert await database.check() == []
    await database.close()
    expected = {(one, f"inc-{incident:05d}") for one in SERVICES for incident in range(number)}
    assert set(service.taken) == expected
    assert all(len(keys) == 1 for keys in service.keys.values())
    assert len({key for keys in service.keys.values() for key in keys}) == number
    repeats = sum(service.taken.values()) - len(expected)
    assert repeats <= service.heard // 50 + cycles * AT_ONCE  # lost answers, and what was under way at a kill
    assert [one for one in service.unmarked if one[0] in WITHOUT_HANDLE] == []
    print(f"{cycles} kills, {len(expected)} deliveries, 0 missing, {repeats} repeats, all marked")  # noqa: T201 - the figures
