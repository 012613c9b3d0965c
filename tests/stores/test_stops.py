"""Stops of record and turns of switches: what is kept is what was written, and two writers never both win."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.governor.fakes import CENT, PRICES, daily

from aegis.core.calls import Call
from aegis.core.errors import BadInput, ServiceError
from aegis.core.ledger import Switch
from aegis.core.ramps import Ramp
from aegis.core.stops import Check, Grade, Plan, Stop, Target, plan_hash
from aegis.governor.governor import Governor
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger
from aegis.stores.stops import SqliteStops
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio
TARGET = Target(kind="kubernetes", id="prod/worker", name="worker", saved={"replicas": "3"})


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await Database.open(":memory:")
    yield opened
    await opened.close()


def stop(number: int = 1, **more: object) -> Stop:
    plan = Plan(
        id=f"stp_{number}", grade=Grade.G4, scope={"key": "red"}, reason="x", by="ada", at_ms=number, targets=(TARGET,)
    )
    return replace(Stop(plan=plan, hashed=plan_hash(plan)), **more)  # type: ignore[arg-type]


async def test_a_stop_comes_back_as_it_was_kept(database: Database) -> None:
    stops = SqliteStops(database)
    kept = stop(
        state="returning",
        done=("incident",),
        tries={"target x": 1},
        failed={"target y": "gone"},
        checks=(Check(name="bill", good=True, text="0"),),
        ramp=Ramp(step=1, since_ms=5, burn=7),
        said=((1, "begun"),),
    )
    await stops.add(kept)

    found = await stops.get(kept.id)
    assert found == kept
    assert plan_hash(found.plan) == kept.hashed, "the hash of what was kept is that of what was shown"
    assert await stops.standing() == [kept]
    with pytest.raises(BadInput):
        await stops.get("stp_2")


async def test_of_two_who_change_a_stop_one_is_told_that_the_other_was_faster(database: Database) -> None:
    stops = SqliteStops(database)
    await stops.add(read := stop())
    assert await stops.save(replace(read, version=1, state="stopping"))
    assert not await stops.save(replace(read, version=1, state="returned"))
    assert (await stops.get(read.id)).state == "stopping"


async def test_one_process_at_a_time_takes_stops_further(database: Database) -> None:
    stops = SqliteStops(database)
    assert await stops.lease("one", now_ms=0, until_ms=10)
    assert not await stops.lease("two", now_ms=10, until_ms=20)
    assert await stops.lease("one", now_ms=10, until_ms=20)
    assert await stops.lease("two", now_ms=21, until_ms=30)
    await stops.let_go("one")
    assert not await stops.lease("one", now_ms=22, until_ms=30)
    await stops.let_go("two")
    assert await stops.lease("one", now_ms=22, until_ms=30)


async def test_what_a_scope_did_is_counted_and_what_is_under_way_is_seen(database: Database) -> None:
    clock = FakeClock()
    stops, ledger = SqliteStops(database), SqliteLedger(database, clock)

    def call(number: int, key: str) -> Call:
        worst = {"input_tokens": 2}
        scope = {"key": key}
        return Call(id=f"c{number}", service="anthropic", operation="x", models=("dear",), worst=worst, scope=scope)

    async with Governor(budgets=[daily(100)], prices=PRICES, ledger=ledger, clock=clock) as governor:
        begun_ms = ledger._now()
        async with governor.admit(call(1, "red")) as one:
            clock.pass_ms(400)
            one.settle({"input_tokens": 1})
        with pytest.raises(ServiceError):
            async with governor.admit(call(2, "red")):
                raise ServiceError("anthropic", "cut", retryable=True)
        async with governor.admit(call(3, "blue")) as three:
            three.settle({"input_tokens": 1})
        await governor.balances()
        red, everything = [await stops.measured(scope, since_ms=begun_ms) for scope in ({"key": "red"}, {})]
        assert (red.calls, red.failed, red.cost, red.p95_ms) == (2, 1, 3 * CENT, 400)
        assert (everything.calls, everything.cost) == (3, 4 * CENT)
        assert (await stops.measured({}, since_ms=ledger._now() + 1)).calls == 0

        later_ms = ledger._now() + 1
        async with governor.admit(call(4, "red")):
            assert await stops.under_way({"key": "red"}, before_ms=later_ms) == 1
            assert await stops.under_way({"key": "blue"}, before_ms=later_ms) == 0
            assert await stops.under_way({}, before_ms=begun_ms) == 0


async def test_every_turn_of_a_switch_is_kept_up_to_a_bound(database: Database) -> None:
    ledger = SqliteLedger(database, FakeClock(), turns_max=3)
    for number in range(5):
        turned = Switch(
            scope={}, stopped=number % 2 == 0, reason=f"turn {number}", at_ms=number, by="ada", percent=number
        )
        await ledger.turn(turned)

    assert [turn.reason for turn in await ledger.turns(10)] == ["turn 4", "turn 3", "turn 2"]
    assert (await ledger.turns(1))[0] == (await ledger.switches())[0]


async def test_what_is_usual_is_the_same_hour_of_the_days_before_and_not_the_runaway(database: Database) -> None:
    stops, hour_ms, stopped_hour = SqliteStops(database), 3_600_000, 24 * 20 + 15

    def spend(connection: sqlite3.Connection) -> None:
        add = "INSERT INTO spend_hours VALUES (?, 'other', 'm', ?, '', '', '', 'ask', '', 1, ?)"
        for day in range(6):
            for hour, cost in ((14, 300), (15, 400), (16, 500), (3, 9_000)):
                connection.execute(add, ((24 * (14 + day) + hour) * hour_ms, "red", cost))
        for hour, cost in ((14, 50_000), (15, 90_000)):  # the runaway, up to the stop
            connection.execute(add, ((24 * 20 + hour) * hour_ms, "red", cost))

    await database.write(spend)
    at_ms = stopped_hour * hour_ms + 1_000
    later_ms = at_ms + hour_ms
    for scope in ({}, {"key": "red"}, {"service": "other", "key": "red"}):
        assert await stops.usual(scope, at_ms=at_ms, before_ms=at_ms) == 400, scope
        assert await stops.usual(scope, at_ms=later_ms, before_ms=at_ms) == 400, "an hour on: its own hours"
    assert await stops.usual({"key": "blue"}, at_ms=at_ms, before_ms=at_ms) == 0
    assert await stops.usual({"incident": "inc_1"}, at_ms=at_ms, before_ms=at_ms) == 0
    await database.write(lambda c: c.execute("DELETE FROM spend_hours WHERE hour_ms < ?", (24 * 18 * hour_ms,)))
    assert await stops.usual({}, at_ms=at_ms, before_ms=at_ms) == 0, "two days are not enough"
