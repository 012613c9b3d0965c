"""Retention: what is old enough goes, a little at a time; what still waits never does."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.stores.making import LEASE_MS, after, delivery, event, incident

from aegis.core.notifications import Receipt
from aegis.core.ports import Work
from aegis.stores.database import Database
from aegis.stores.events import SqliteEvents
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.lookups import SetAside, SqliteLookups
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.retention import STEP, STEPS_MAX, Keep, Retention
from aegis.testing import START, FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await Database.open(":memory:")
    yield opened
    await opened.close()


async def tick(database: Database, *, days: int, **keep: int) -> dict[str, int]:
    gone = await Retention(database, Keep(**keep)).tick(START + timedelta(days=days, seconds=60))
    return {kind: number for kind, number in gone.items() if number}


async def test_events_go_by_when_they_came_not_by_what_they_claim(database: Database) -> None:
    events = SqliteEvents(database, FakeClock())
    await events.accept([event("ancient", at=-(10**9)), event("new"), event("waiting", at=-(10**9))])
    await SqliteIncidents(database).commit(Work(events_done=["ancient", "new"]))

    assert await tick(database, days=6) == {}
    assert await tick(database, days=7) == {"events": 2}
    assert [one.id for one in await events.pending(9)] == ["waiting"]


async def test_deliveries_and_their_texts_go_after_their_end_and_waiting_ones_stay(database: Database) -> None:
    incidents, outbox = SqliteIncidents(database), SqliteOutbox(database)
    await incidents.commit(Work(deliveries=[delivery("a"), delivery("b"), delivery("c"), delivery("c", 2)]))
    first, second = await outbox.claim("slack", limit=2, now=after(0), lease_ms=LEASE_MS)
    await outbox.done(first, Receipt(remote_id="ts"), now=after(0))
    await outbox.bury(second, error="400", now=after(0))

    assert await tick(database, days=29) == {}
    assert await tick(database, days=30) == {"deliveries": 2, "notifications": 2}
    assert await outbox.counts() == {"slack": {"dead": 1, "ready": 1}}
    assert [one.id for one in await outbox.dead(9)] == ["b:slack:1"]
    assert await tick(database, days=365) == {"dead_letters": 1, "notifications": 1, "remotes": 1}
    assert [one.id for one in await outbox.claim("slack", limit=9, now=after(0), lease_ms=1)] == ["c:slack:2"]


async def test_incidents_go_a_year_after_their_last_change(database: Database) -> None:
    await SqliteIncidents(database).commit(Work(incidents=[incident("a"), incident("b", at=400 * 86_400)]))

    assert await tick(database, days=364) == {}
    assert await tick(database, days=365) == {"incidents": 1}
    assert [one.id for one in await SqliteIncidents(database).recent(9)] == ["b"]


async def test_days_are_the_owners_choice(database: Database) -> None:
    await SqliteIncidents(database).commit(Work(incidents=[incident("a")]))

    assert await tick(database, days=2, incidents=1) == {"incidents": 1}


async def test_small_things_go_too(database: Database) -> None:
    lookups = SqliteLookups(database)
    await lookups.keep_answer("key", "{}", expires_at=after(10), now=after(0))
    await lookups.set_aside([SetAside(file="f", line=1, code="malformed", reason="r", text="t", at=after(0))])

    assert await tick(database, days=0) == {"idempotency": 1}
    assert await tick(database, days=30) == {"set_aside": 1}


async def test_one_tick_does_a_bounded_amount_of_work(database: Database) -> None:
    number = STEP * STEPS_MAX + 1
    await SqliteEvents(database, FakeClock()).accept([event(str(one)) for one in range(number)])
    await database.write(lambda connection: connection.execute("UPDATE events SET done = 1").rowcount)

    assert await tick(database, days=8) == {"events": number - 1}
    assert await tick(database, days=8) == {"events": 1}
