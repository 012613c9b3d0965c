"""Whole stops and returns over real programs: whatever dies on the way, no decoy is touched and every count comes back."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.emergency.actuators.programs import Decoy, Programs, Registry
from tests.emergency.test_stepping import COUNTS
from tests.emergency.world import world

from aegis.app.system import SystemClock
from aegis.emergency.actuators.linux import Linux
from aegis.emergency.actuators.processes import How, Processes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are registered on Linux only"),
]
NAMES = ("openai-client", "claude", "aegis")
ALONE = "echo ready; exec sleep 600"
"""No children: a number is not given away while a group has it."""
CYCLES, CYCLES_LONG = 4, 200
"""The 20 of every run are those of `test_stepping` and of `actuators/test_processes`, each of which does a half of this."""
LAST = Path("/proc/sys/kernel/ns_last_pid")
TURNS = 50
"""Others start processes as well: the number of one that ended is asked for so often."""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with Programs(tmp_path) as here:
        yield here


def end_and_take(programs: Programs, pid: int, taken: list[Decoy]) -> None:
    """End a registered program and start a decoy, if the machine lets us under its number."""
    programs.end(pid)
    decoy = programs.decoy()
    for _ in range(TURNS if os.access(LAST, os.W_OK) else 0):
        if decoy.process.pid == pid:
            break
        decoy.untouched()  # it ends with the question
        LAST.write_text(str(pid - 1))
        decoy = programs.decoy()
    taken.append(decoy)


def members(pid: int) -> int:
    return len([one for one in Linux().group(pid) if one.state not in "TtZ"])


async def test_cycles_of_whole_stops_and_returns_touch_no_decoy_and_give_every_count_back(
    programs: Programs, *, long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    decoys, reused = [programs.decoy(name) for name in NAMES], 0
    cycles = CYCLES_LONG if long else CYCLES
    for cycle in range(cycles):
        how: How = "pause" if cycle % 2 == 0 else "end"
        registry = Registry()
        alone = programs.dummy(f"run_{cycle}_alone", script=ALONE)
        registry.workloads = [alone, *(programs.dummy(f"run_{cycle}_{name}", name=name) for name in NAMES[1:])]
        pids = [one.pid for one in registry.workloads]
        actuator = Processes(registry, clock=SystemClock(), how=how, grace_ms=200)
        async with world(beside=(actuator,)) as here:
            here.stage.last = (cycle * 7 % 60 + 1, cycle % 3 == 0)
            taken: list[Decoy] = []
            stop = await here.stop(between=partial(end_and_take, programs, pids[0], taken))
            reused += taken[0].process.pid == pids[0]
            assert (stop.state, stop.failed, here.yard.counts["importer"]) == ("stopped", {}, 0)
            assert [members(pid) for pid in pids[1:]] == [0, 0]

            await here.ask_back(stop)
            stop = await here.climb(stop)
            assert (stop.state, stop.failed, here.yard.counts) == ("returned", {}, COUNTS)
            assert [members(pid) for pid in pids[1:]] == ([3, 3] if how == "pause" else [0, 0])
        assert taken[0].untouched()
        for pid in pids[1:]:
            programs.end(pid)
    assert [decoy.untouched() for decoy in decoys] == [True] * 3
    with capsys.disabled():
        sys.stdout.write(
            f"\n{cycles} cycles, {reused} with the number of a target given to a decoy: 0 decoys touched\n"
        )
