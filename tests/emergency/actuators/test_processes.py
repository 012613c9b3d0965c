"""Claims about stopping registered programs, on real processes of this machine."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.emergency.actuators.programs import DUMMY, STUBBORN, Programs, Registry

from aegis.app.system import SystemClock
from aegis.core.errors import BadInput
from aegis.core.stops import Target
from aegis.emergency.actuators.linux import Linux
from aegis.emergency.actuators.processes import How, Processes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are registered on Linux only"),
]
CYCLES, CYCLES_LONG = 20, 200


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with Programs(tmp_path) as here:
        yield here


def actuator(registry: Registry, how: How = "end", *, grace_ms: int = 2_000) -> Processes:
    return Processes(registry, clock=SystemClock(), how=how, grace_ms=grace_ms)


async def planned(processes: Processes) -> list[Target]:
    return list(await processes.plan_targets({}))


def members(target: Target) -> int:
    return len(Linux().group(int(target.id.partition("/")[0])))


async def test_the_whole_group_ends_and_a_decoy_of_the_same_name_lives(programs: Programs) -> None:
    registry, decoy = Registry(), programs.decoy()
    registry.workloads = [programs.dummy("run_1")]
    processes = actuator(registry)
    (target,) = await planned(processes)
    assert (target.name, members(target)) == ("openai-client", 3)
    await processes.stop(target)
    assert (await processes.status(target), members(target)) == ("gone", 0)
    assert await planned(processes) == []
    assert decoy.untouched()


async def test_who_ignores_the_first_signal_is_killed_after_the_grace(programs: Programs) -> None:
    registry = Registry()
    registry.workloads = [programs.dummy("run_1", script=STUBBORN)]
    processes = actuator(registry, grace_ms=60)
    (target,) = await planned(processes)
    await processes.stop(target)
    assert await processes.status(target) == "gone"


async def test_a_pause_is_given_back_whole(programs: Programs) -> None:
    registry = Registry()
    registry.workloads = [programs.dummy("run_1")]
    processes = actuator(registry, "pause")
    (target,) = await planned(processes)
    await processes.stop(target)
    assert (await processes.status(target), await planned(processes)) == ("stopped", [])
    await processes.restore(target)
    assert (await processes.status(target), members(target)) == ("running", 3)


async def test_a_halted_program_ends_too(programs: Programs) -> None:
    registry = Registry()
    registry.workloads = [programs.dummy("run_1")]
    (paused,) = await planned(actuator(registry, "pause"))
    await actuator(registry).stop(paused)
    ended = dataclasses.replace(paused, saved={**paused.saved, "how": "end"})
    await actuator(registry).stop(ended)
    assert await actuator(registry).status(ended) == "gone"


async def test_a_number_that_another_process_has_by_now_is_refused_and_not_touched(programs: Programs) -> None:
    registry, decoy = Registry(), programs.decoy()
    mine = programs.dummy("run_1")
    registry.workloads = [mine]
    processes = actuator(registry)
    (target,) = await planned(processes)
    reused = dataclasses.replace(target, id=f"{decoy.process.pid}/1/{mine.boot}")
    with pytest.raises(BadInput) as refused:
        await processes.stop(reused)
    with pytest.raises(BadInput):
        await processes.restore(dataclasses.replace(reused, saved={"how": "pause", "run": "run_1"}))
    assert (refused.value.code, await processes.status(reused)) == ("not_as_planned", "gone")
    assert decoy.untouched()


async def test_a_number_that_the_kernel_gave_to_another_is_harmless(programs: Programs) -> None:
    last = Path("/proc/sys/kernel/ns_last_pid")
    if not os.access(last, os.W_OK):
        pytest.skip("this machine does not let us choose the next process number")
    registry = Registry()
    registry.workloads = [programs.dummy("run_1", script="echo ready; exec sleep 600")]
    processes = actuator(registry)
    (target,) = await planned(processes)
    pid = int(target.id.partition("/")[0])
    await processes.stop(target)
    programs.wait(pid)
    for _ in range(200):  # others start processes as well: one of the next ones is ours
        last.write_text(str(pid - 1))
        decoy = programs.decoy()
        if decoy.process.pid == pid:
            break
    else:
        pytest.skip("the machine is too busy to get a number again")
    with pytest.raises(BadInput):
        await processes.stop(target)
    assert await processes.status(target) == "gone"
    assert decoy.untouched()


async def test_children_of_a_leader_that_left_are_known_by_their_mark_only(programs: Programs) -> None:
    registry = Registry()
    workload = programs.dummy("run_1", script="sleep 600 & echo ready; exit 0")
    programs.wait(workload.pid)
    registry.workloads = [workload]
    processes = actuator(registry)
    (target,) = await planned(processes)
    stranger = dataclasses.replace(target, saved={**target.saved, "run": "run_2"})
    await processes.stop(stranger)
    assert (await processes.status(stranger), members(target)) == ("gone", 1)
    await processes.stop(target)
    assert (await processes.status(target), members(target)) == ("gone", 0)


async def test_what_ran_before_the_machine_was_started_anew_is_gone(programs: Programs) -> None:
    registry = Registry()
    mine = programs.dummy("run_1")
    registry.workloads = [dataclasses.replace(mine, boot="another-boot")]
    processes = actuator(registry)
    assert await planned(processes) == []
    await processes.stop(Target(kind="processes", id=f"{mine.pid}/{mine.started}/another-boot", name="x"))
    registry.workloads = [mine]
    assert len(await planned(processes)) == 1


async def test_a_scope_takes_its_own_programs_and_none_that_say_nothing_about_it(programs: Programs) -> None:
    registry = Registry()
    registry.workloads = [programs.dummy("run_1", key="red", env="ci"), programs.dummy("run_2", key="blue")]
    processes = actuator(registry)
    for scope, runs in (
        ({}, ["run_1", "run_2"]),
        ({"key": "red"}, ["run_1"]),
        ({"key": "red", "env": "prod"}, []),
        ({"service": "anthropic"}, []),
    ):
        assert [one.saved["run"] for one in await processes.plan_targets(scope)] == runs


@pytest.mark.parametrize("how", ["end", "pause"])
async def test_a_crash_before_the_stop_was_recorded_ends_in_a_right_second_try(programs: Programs, how: How) -> None:
    registry, decoy = Registry(), programs.decoy()
    registry.workloads = [programs.dummy("run_1")]
    (target,) = await planned(actuator(registry, how))
    await actuator(registry, how).stop(target)
    after = await actuator(registry, how).status(target)
    await actuator(registry, how).stop(target)  # another process, which knows the plan only
    assert await actuator(registry, how).status(target) == after
    for _ in range(2):
        await actuator(registry, how).restore(target)
    assert await actuator(registry, how).status(target) == {"end": "gone", "pause": "running"}[how]
    assert decoy.untouched()


async def test_cycles_of_stop_and_return_touch_no_decoy_and_give_every_count_back(
    programs: Programs, long: bool
) -> None:
    """Each cycle: three programs paused and given back, then ended, one stubborn; numbers of decoys under other starts."""
    decoys = [programs.decoy(name) for name in ("openai-client", "claude", "aegis")]
    registry = Registry()
    for cycle in range(CYCLES_LONG if long else CYCLES):
        registry.workloads = [
            programs.dummy(f"run_{cycle}_{n}", script=script, name=name)
            for n, (script, name) in enumerate(((DUMMY, "openai-client"), (STUBBORN, "claude"), (DUMMY, "aegis")))
        ]
        paused = await planned(actuator(registry, "pause"))
        before = [members(target) for target in paused]
        for target in paused:
            await actuator(registry, "pause").stop(target)
        assert [await actuator(registry).status(target) for target in paused] == ["stopped"] * 3
        for target in paused:
            await actuator(registry).restore(target)
        assert [members(target) for target in paused] == before == [3, 3, 3]
        ending = actuator(registry, grace_ms=20)
        for target, decoy in zip(await planned(ending), decoys, strict=True):
            await ending.stop(target)
            reused = dataclasses.replace(target, id=f"{decoy.process.pid}/1/{Linux().boot()}")
            with pytest.raises(BadInput):
                await ending.stop(reused)
        assert [await ending.status(target) for target in paused] == ["gone"] * 3
    assert [decoy.untouched() for decoy in decoys] == [True] * 3
