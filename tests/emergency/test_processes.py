"""A switch is seen by every process within a second."""

import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from aegis.app.system import SystemClock
from aegis.core.ledger import Switch
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger

pytestmark = pytest.mark.anyio
WATCHER = Path(__file__).with_name("watcher.py")
PROCESSES = 4
SECOND_NS = 1_000_000_000


async def test_four_processes_see_a_switch_within_a_second(
    tmp_path: Path, *, long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "aegis.db")
    database = await Database.open(path)
    ledger, late = SqliteLedger(database, SystemClock()), list[int]()
    async with AsyncExitStack() as opened:
        opened.push_async_callback(database.close)
        watchers = []
        for number in range(PROCESSES):
            command = [sys.executable, str(WATCHER), path, f"process {number}"]
            process = await opened.enter_async_context(await anyio.open_process(command))
            assert process.stdout is not None
            watchers.append((process, Lines(TextReceiveStream(process.stdout))))
        with anyio.fail_after(120):
            for _, lines in watchers:
                assert (await lines.next())[0] == 0
            for turn in range(100 if long else 8):
                stopped = turn % 2 == 0
                await ledger.turn(Switch(scope={}, stopped=stopped, reason="a drill", at_ms=turn))
                turned_ns = time.time_ns()
                for _, lines in watchers:
                    seen, at_ns = await lines.next()
                    assert seen == stopped
                    late.append(at_ns - turned_ns)
        for process, _ in watchers:
            assert process.stdin is not None
            await process.stdin.aclose()
            assert await process.wait() == 0

    late.sort()
    assert len(late) >= PROCESSES * 8
    p50, p99 = (late[len(late) * part // 100] / 1e6 for part in (50, 99))
    if long:
        with capsys.disabled():
            sys.stdout.write(f"\n{PROCESSES} processes, {len(late)} sightings: p50 {p50:.0f} ms, p99 {p99:.0f} ms\n")
    assert late[len(late) * 99 // 100] <= SECOND_NS, f"p99 {late[len(late) * 99 // 100] / 1e6:.0f} ms"


class Lines:
    """The lines of a process, as numbers."""

    def __init__(self, stream: TextReceiveStream) -> None:
        self._stream, self._rest = stream, ""

    async def next(self) -> tuple[int, int]:
        while "\n" not in self._rest:
            self._rest += await self._stream.receive()
        line, _, self._rest = self._rest.partition("\n")
        seen, at_ns = line.split()
        return int(seen), int(at_ns)
