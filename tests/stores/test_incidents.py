"""Incidents: the newest version counts, and a commit is whole or not at all."""

import pytest
from tests.stores.making import Stores, after, delivery, event, incident

from aegis.core.errors import StoreError
from aegis.core.incidents import Status
from aegis.core.ports import Work

pytestmark = pytest.mark.anyio


async def test_an_incident_comes_back_as_it_went_in(stores: Stores) -> None:
    await stores.incidents.commit(Work(incidents=[incident("a", title="first")]))
    await stores.incidents.commit(Work(incidents=[incident("a", version=3, title="third")]))

    assert await stores.incidents.get("a") == incident("a", version=3, title="third")
    assert await stores.incidents.get("b") is None


@pytest.mark.parametrize("version", [1, 2])
async def test_a_version_that_does_not_grow_changes_nothing_at_all(stores: Stores, version: int) -> None:
    await stores.events.accept([event("e")])
    await stores.incidents.commit(Work(incidents=[incident("a", version=2)]))

    with pytest.raises(StoreError, match="changed elsewhere"):
        await stores.incidents.commit(
            Work(
                events_done=["e"],
                incidents=[incident("b"), incident("a", version=version, title="other")],
                deliveries=[delivery("b")],
            )
        )

    assert await stores.incidents.get("a") == incident("a", version=2)
    assert await stores.incidents.get("b") is None
    assert (len(await stores.events.pending(10)), await stores.outbox.undelivered()) == (1, 0)


async def test_resolved_incidents_are_not_among_the_unresolved(stores: Stores) -> None:
    standing = [("b", Status.OPEN), ("a", Status.ACKNOWLEDGED), ("c", Status.RESOLVED)]
    await stores.incidents.commit(Work(incidents=[incident(name, status=status) for name, status in standing]))

    assert [one.id for one in await stores.incidents.unresolved()] == ["a", "b"]


async def test_the_newest_incidents_come_first(stores: Stores) -> None:
    opened = [incident("a", at=2), incident("b", at=3), incident("c", at=1), incident("d", at=3)]
    await stores.incidents.commit(Work(incidents=opened))

    assert [one.id for one in await stores.incidents.recent(3)] == ["d", "b", "a"]


async def test_events_incidents_and_deliveries_are_committed_together(stores: Stores) -> None:
    await stores.events.accept([event("e")])

    await stores.incidents.commit(
        Work(events_done=["e"], incidents=[incident("a")], deliveries=[delivery("a"), delivery("a", service="jira")])
    )

    assert (await stores.events.pending(1), await stores.outbox.undelivered()) == ([], 2)
    assert [one.id for one in await stores.events.worked_since(after(0), 1)] == ["e"]
