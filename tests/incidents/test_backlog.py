"""The backlog: the worst first, each once, never more than fit."""

from dataclasses import replace

import anyio
import pytest
from tests.incidents.stage import detection, incident

from aegis.core.incidents import Incident, Severity
from aegis.incidents.backlog import Backlog

pytestmark = pytest.mark.anyio


def one(name: str, severity: Severity = Severity.HIGH) -> Incident:
    return replace(incident(detection(severity=severity)), id=name)


def taken(backlog: Backlog) -> list[str]:
    found = []
    while backlog:
        with backlog.take() as name:
            found.append(name)
    return found


async def test_the_worst_comes_first_then_the_oldest() -> None:
    backlog = Backlog()
    for name, severity in (("a", Severity.LOW), ("b", Severity.HIGH), ("c", Severity.CRITICAL), ("d", Severity.HIGH)):
        backlog.push(one(name, severity))

    assert taken(backlog) == ["c", "b", "d", "a"]


async def test_an_incident_waits_once_and_moves_up_when_it_gets_worse() -> None:
    backlog = Backlog()
    for incident_ in (one("a", Severity.LOW), one("b"), one("a", Severity.LOW), one("a", Severity.CRITICAL), one("a")):
        backlog.push(incident_)

    assert (len(backlog), taken(backlog)) == (2, ["a", "b"])


async def test_nobody_works_an_incident_that_somebody_works_already() -> None:
    backlog = Backlog()
    backlog.push(one("a"))

    with backlog.take() as first:
        backlog.push(one("a", Severity.CRITICAL))
        with backlog.take() as second:
            assert (first, second) == ("a", "")

    assert taken(backlog) == ["a"]


async def test_too_many_let_the_mildest_go_and_say_so() -> None:
    backlog = Backlog(waiting_max=10)
    for number in range(30):
        backlog.push(one(f"low-{number}", Severity.LOW))
    for number in range(5):
        backlog.push(one(f"high-{number}"))

    assert backlog.overflowed
    assert len(backlog) == 10
    assert taken(backlog)[:5] == [f"high-{number}" for number in range(5)]


async def test_every_waiting_worker_wakes_up() -> None:
    backlog, found = Backlog(), list[str]()

    async def worker() -> None:
        await backlog.arrival()
        with backlog.take() as name:
            found.append(name)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as workers:
            for _ in range(3):
                workers.start_soon(worker)
            await anyio.wait_all_tasks_blocked()
            for name in "abc":
                backlog.push(one(name))

    assert sorted(found) == ["a", "b", "c"]


async def test_finished_waits_for_what_is_being_worked() -> None:
    backlog = Backlog()
    backlog.push(one("a"))
    order = list[str]()

    async def wait() -> None:
        await backlog.finished()
        order.append("finished")

    async with anyio.create_task_group() as tasks:
        with backlog.take():
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            order.append("worked")

    assert order == ["worked", "finished"]
