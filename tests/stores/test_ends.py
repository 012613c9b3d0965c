"""Claims about recording together what services took."""

import anyio
import pytest
from tests.incidents.lanes import delivery

from aegis.core.incidents import Severity
from aegis.core.notifications import Delivery, Receipt
from aegis.core.ports import Work
from aegis.stores.database import Database
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.texts import Texts
from aegis.testing import START

pytestmark = pytest.mark.anyio
MINUTE_MS = 60_000


async def claimed(database: Database, names: list[str]) -> tuple[SqliteOutbox, list[Delivery]]:
    outbox = SqliteOutbox(database)
    made = [delivery(name, priority=Severity.HIGH) for name in names]
    await SqliteIncidents(database).commit(Work(deliveries=made))
    return outbox, list(await outbox.claim("slack", limit=200, now=START, lease_ms=MINUTE_MS))


async def test_many_that_end_at_once_are_all_recorded_with_their_handles() -> None:
    database = await Database.open(":memory:")
    names = [f"inc-{number:03d}" for number in range(151)]  # 2 of 64, 1 of 16, 1 of 4, 3 of 1
    outbox, told = await claimed(database, names)
    async with anyio.create_task_group() as ends:
        for one in told:
            ends.start_soon(_done, outbox, one)
    assert await outbox.counts() == {"slack": {"done": 151}}
    await SqliteIncidents(database).commit(Work(deliveries=[delivery(name, 2) for name in names]))
    again = await outbox.claim("slack", limit=200, now=START, lease_ms=MINUTE_MS)
    assert {one.incident_id: one.remote_id for one in again} == {name: f"handle of {name}" for name in names}
    await database.close()


async def _done(outbox: SqliteOutbox, one: Delivery) -> None:
    note = "" if one.incident_id < "inc-100" else "commented"
    await outbox.done(one, Receipt(remote_id=f"handle of {one.incident_id}", note=note), now=START)


async def test_what_was_taken_is_recorded_though_its_sender_was_stopped() -> None:
    database = await Database.open(":memory:")
    outbox, told = await claimed(database, ["inc-a", "inc-b", "inc-c"])
    async with anyio.create_task_group() as ends:
        for one in told:
            ends.start_soon(_done, outbox, one)
        await anyio.lowlevel.checkpoint()
        ends.cancel_scope.cancel()
    while await outbox.undelivered():
        await anyio.lowlevel.checkpoint()
    assert await outbox.counts() == {"slack": {"done": 3}}
    await database.close()


async def test_a_text_that_was_let_go_is_read_again() -> None:
    database = await Database.open(":memory:")
    _, told = await claimed(database, ["inc-a", "inc-b"])
    ids = await database.read(lambda connection: [row[0] for row in connection.execute("SELECT id FROM notifications")])
    texts = Texts(kept_bytes_max=1)
    for _ in range(2):
        read = await database.read(lambda connection: texts.read(connection, [*ids, "unknown"]))
        assert {one.title for one in read.values()} == {one.incident_id for one in told}
    await database.close()
