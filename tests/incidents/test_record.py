"""The incidents of record: changes gather into one commit, and a failure of one is nobody else's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import anyio
import pytest
from tests.incidents.stage import FakeClock, FakeStore, Ids, detection

from aegis.core.errors import BadInput, StoreError
from aegis.core.incidents import Incident
from aegis.core.ports import Work
from aegis.incidents.grouping import Grouping
from aegis.incidents.record import Record

pytestmark = pytest.mark.anyio


class SlowStore(FakeStore):
    """Lets others run while it commits, and may say that it failed although it did not."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[Work] = []
        self.lies = False

    async def commit(self, work: Work) -> None:
        await anyio.sleep(0)
        await super().commit(work)
        self.commits.append(work)
        if self.lies:
            raise StoreError("nobody knows")


def record(store: SlowStore) -> Record:
    return Record(
        grouping=Grouping(new_id=Ids()),
        store=store,
        plan=lambda _incident, _change, *, now: (),
        clock=FakeClock(),
        observe=lambda _: None,
    )


def costing(incident: Incident, _now: datetime) -> Incident:
    return replace(incident, cost=incident.cost + 1)


def refusing(_incident: Incident, _now: datetime) -> Incident:
    raise BadInput("not this one")


async def opened(store: SlowStore, count: int) -> tuple[Record, Sequence[str]]:
    kept = record(store)
    folded = await kept.fold([detection(entity=f"10.0.0.{number}") for number in range(count)])
    store.commits.clear()
    return kept, [incident.id for incident in folded.incidents]


async def test_changes_that_come_together_share_a_commit() -> None:
    store = SlowStore()
    kept, names = await opened(store, 9)

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(kept.change, name, costing)

    assert len(store.commits) <= 2
    assert {incident.cost for incident in store.incidents.values()} == {1}


async def test_changes_of_one_incident_build_on_each_other() -> None:
    store = SlowStore()
    kept, (name,) = await opened(store, 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(kept.change, name, costing)

    assert (store.incidents[name].cost, store.incidents[name].version) == (20, 21)
    assert len(store.commits) <= 2


async def test_a_refused_change_stops_nobody_elses() -> None:
    store = SlowStore()
    kept, names = await opened(store, 3)
    refused: list[BadInput] = []

    async def refused_change() -> None:
        try:
            await kept.change(names[1], refusing)
        except BadInput as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.change, names[0], costing)
        tasks.start_soon(refused_change)
        tasks.start_soon(kept.change, names[2], costing)

    assert len(refused) == 1
    assert [store.incidents[name].cost for name in names] == [1, 0, 1]


async def test_after_a_commit_that_nobody_knows_about_the_store_has_the_last_word() -> None:
    store = SlowStore()
    kept, (name,) = await opened(store, 1)

    store.lies = True
    with pytest.raises(StoreError):
        await kept.change(name, costing)
    store.lies = False
    after = await kept.change(name, costing)

    assert (after.cost, after.version) == (2, 3)


async def test_a_waiter_that_is_cancelled_takes_its_change_back() -> None:
    store = SlowStore()
    kept, names = await opened(store, 2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.change, names[0], costing)
        with anyio.CancelScope() as scope:
            tasks.start_soon(kept.change, names[0], costing)
            scope.cancel()
            await kept.change(names[1], costing)

    assert [store.incidents[name].cost for name in names] == [2, 0]
