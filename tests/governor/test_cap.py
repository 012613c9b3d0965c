"""The cap holds: a thousand callers at once, four processes on one file, and processes killed in the middle."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest
from tests.governor.fakes import CENT, START, Stage, asking, daily
from tests.governor.worker import SystemClock, month
from tests.stores.postgres import emptied

from aegis.core.errors import BudgetExceeded
from aegis.core.money import Nanos
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger
from aegis.stores.places import open_place
from aegis.testing import FakeClock

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORST = 100


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    clock = FakeClock(START)
    database = await Database.open(tmp_path / "aegis.db")
    yield Stage(daily(50), daily(500, name="wide"), ledger=SqliteLedger(database, clock), clock=clock)
    await database.close()


@pytest.mark.anyio
async def test_of_a_thousand_callers_at_once_exactly_fifty_pass_a_budget_for_fifty(stage: Stage) -> None:
    admitted = refused = 0
    decided = anyio.Event()

    async def caller() -> None:
        nonlocal admitted, refused
        try:
            async with stage.governor.admit(asking(tokens=1)) as reservation:
                admitted += 1
                await decided.wait()  # nobody settles before everybody has asked
                reservation.settle({"input_tokens": 1})
        except BudgetExceeded:
            refused += 1
        if refused == 950:
            decided.set()

    async with stage.governor:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(1_000):
                    group.start_soon(caller)
        assert (admitted, refused) == (50, 950)
        assert [(b.settled, b.held) for b in await stage.governor.balances()] == [(50 * CENT, 0)] * 2


@pytest.mark.anyio
async def test_when_calls_use_half_of_their_worst_case_less_than_one_of_them_stays_unused(stage: Stage) -> None:
    async def caller() -> None:
        try:
            async with stage.governor.admit(asking(tokens=2)) as reservation:
                reservation.settle({"input_tokens": 1})
        except BudgetExceeded:
            return

    async with stage.governor:
        for _ in range(8):  # each wave can use half of what is left
            async with anyio.create_task_group() as group:
                for _ in range(60):
                    group.start_soon(caller)
        [balance, _] = await stage.governor.balances()
        assert balance.held == 0
        assert 50 * CENT - 2 * CENT < balance.settled <= 50 * CENT


@pytest.fixture
def provider() -> Iterator[int]:
    """The port of a provider that counts what it truly charged."""
    process = subprocess.Popen([sys.executable, HERE / "provider.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


def worker(
    store: Path | str, holder: str, port: int, limit: Nanos, *, calls: int, at_once: int, used: int
) -> subprocess.Popen[str]:
    numbers = [str(number) for number in (port, limit, WORST, calls, at_once, used)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.governor.worker", store, holder, *numbers],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )


async def bill(port: int) -> dict[str, int]:
    """What the provider has charged, by attempt."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"bill\n")
        text = b""
        while not text.endswith(b"\n"):
            text += await stream.receive()
        return dict(json.loads(text))


class LaterClock(SystemClock):
    """The time a minute from now: every lease of a process that is gone has ended, with its grace."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=1)


async def settled(store: Path | str, limit: Nanos) -> tuple[int, int]:
    """What the ledger has settled and still lends, once the leases of those that are gone have ended."""
    database, clock = await open_place(store, LaterClock())
    ledger = SqliteLedger(database, clock)
    await ledger.sweep()
    stage = Stage(*month(limit), ledger=ledger, clock=clock)  # type: ignore[arg-type]
    async with stage.governor as governor:
        [balance, _] = await governor.balances()
    await database.close()
    return balance.settled, balance.held


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store that exists, so that the processes need not make it at the same moment."""
    await (await Database.open(tmp_path / "aegis.db")).close()
    return tmp_path / "aegis.db"


@pytest.mark.anyio
async def test_of_a_thousand_callers_in_four_processes_on_one_file_exactly_fifty_pass(
    store: Path, provider: int
) -> None:
    limit = 50 * WORST
    workers = [worker(store, f"w{number}", provider, limit, calls=250, at_once=250, used=100) for number in range(4)]
    admitted = [int(process.communicate(timeout=180)[0]) for process in workers]
    assert sum(admitted) == 50
    assert sum((await bill(provider)).values()) == limit
    assert await settled(store, limit) == (limit, 0)


@pytest.mark.anyio
async def test_of_two_hundred_callers_in_four_processes_on_one_postgresql_exactly_fifty_pass(
    postgres: str, provider: int
) -> None:
    limit = 50 * WORST
    await (await emptied(postgres)).close()
    workers = [worker(postgres, f"w{number}", provider, limit, calls=50, at_once=50, used=100) for number in range(4)]
    admitted = [int(process.communicate(timeout=180)[0]) for process in workers]
    assert sum(admitted) == 50
    assert sum((await bill(provider)).values()) == limit
    assert await settled(postgres, limit) == (limit, 0)


@pytest.mark.anyio
async def test_four_processes_that_use_half_of_their_worst_case_leave_less_than_one_of_them_unused(
    store: Path, provider: int
) -> None:
    limit = 50 * WORST
    workers = [worker(store, f"w{number}", provider, limit, calls=100, at_once=5, used=50) for number in range(4)]
    admitted = [int(process.communicate(timeout=180)[0]) for process in workers]
    truth = sum((await bill(provider)).values())
    assert truth == sum(admitted) * WORST // 2
    assert limit - WORST < truth <= limit
    assert await settled(store, limit) == (truth, 0)


@pytest.mark.anyio
async def test_processes_that_are_killed_never_overspend_and_never_undercount(
    store: Path, provider: int, *, long: bool
) -> None:
    cycles, limit, chance = (200, 10**6, random.Random(7)) if long else (20, 10**5, random.Random(7))
    for _ in range(cycles):
        pair = [worker(store, name, provider, limit, calls=10**9, at_once=4, used=-1) for name in ("a", "b")]
        began = len(await bill(provider))
        patience = time.monotonic() + 120
        while len(await bill(provider)) == began and time.monotonic() < patience:
            await anyio.sleep(0.02)
        await anyio.sleep(chance.uniform(0, 0.15))
        for process in pair:
            process.kill()
            process.communicate()
        if len(await bill(provider)) == began:
            assert (await settled(store, limit))[0] > limit - WORST, "nobody spent anything, and there was enough"
            break
    await judge(store, limit, await bill(provider))
    # What the killed ones did not use is there for somebody else, to less than one worst case.
    left = limit - (await settled(store, limit))[0]
    rest = worker(store, "c", provider, limit, calls=4 * left // WORST + 50, at_once=4, used=-1)
    rest.communicate(timeout=120)
    assert await judge(store, limit, await bill(provider)) > limit - WORST


async def judge(store: Path, limit: Nanos, charged: Mapping[str, int]) -> int:
    """Truth <= ledger <= limit, nothing held, nothing lost; returns what is counted."""
    counted, held = await settled(store, limit)
    assert 0 < sum(charged.values()) <= counted <= limit
    assert held == 0
    with sqlite3.connect(store) as connection:
        assert_nothing_is_lost(connection, charged)
    return counted


def assert_nothing_is_lost(connection: sqlite3.Connection, charged: Mapping[str, int]) -> None:
    """Call by call: what was charged is on record at its cost, or at its worst case where nobody lived to say more."""
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT count(*) FROM ledger_sent").fetchone() == (0,)
    ends = {row[0]: row[1:] for row in connection.execute("SELECT attempt, state, cost FROM ledger_journal")}
    for attempt, units in charged.items():
        assert ends[attempt] in (("settled", units), ("worst", WORST))
    assert {state for state, _ in ends.values()} <= {"settled", "worst", "void", "refused"}
    [counted] = connection.execute("SELECT settled FROM ledger_rows WHERE budget = 'everything'").fetchone()
    assert counted == sum(cost for _, cost in ends.values())
