"""What came in is remembered over a restart: a delivery once, the newest state of an alert, whose incident a name is."""

from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import pytest
from tests.stores.making import after

from aegis.core.inbound import Alert
from aegis.core.incidents import Severity
from aegis.stores.arrivals import SqliteArrivals
from aegis.stores.database import Database
from aegis.stores.retention import ARRIVALS_DAYS, Retention

pytestmark = pytest.mark.anyio
ALERT = Alert(product="grafana", key="a", name="Disk", firing=True, severity=Severity.HIGH, at=after(0))


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await Database.open(":memory:")
    yield opened
    await opened.close()


@pytest.fixture
def arrivals(database: Database) -> SqliteArrivals:
    return SqliteArrivals(database)


async def test_of_many_who_bring_the_same_delivery_one_is_first(arrivals: SqliteArrivals) -> None:
    first: list[bool] = []

    async def bring() -> None:
        first.append(await arrivals.arrive(["pagerduty:event:1"], now=after(0)))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(bring)
    assert first.count(True) == 1
    assert await arrivals.known(["other", "pagerduty:event:1"])
    assert not await arrivals.known(["pagerduty:event:2"])


async def test_names_of_deliveries_are_forgotten_in_the_end(database: Database, arrivals: SqliteArrivals) -> None:
    day = 24 * 3_600
    await arrivals.arrive(["old"], now=after(0))
    await arrivals.arrive(["new"], now=after(2 * day))
    gone = await Retention(database).tick(after((ARRIVALS_DAYS + 1) * day))
    assert gone["arrivals"] == 1
    assert not await arrivals.known(["old"])
    assert await arrivals.known(["new"])


async def test_the_newest_word_on_whose_incident_a_name_is_counts(arrivals: SqliteArrivals) -> None:
    assert await arrivals.incident_of("pagerduty", "P1") == ""
    await arrivals.remember("pagerduty", {"P1": "inc_1"}, now=after(0))
    await arrivals.remember("pagerduty", {"P1": "inc_2"}, now=after(1))
    assert await arrivals.incident_of("pagerduty", "P1") == "inc_2"
    assert await arrivals.incident_of("jira", "P1") == ""
    assert await arrivals.incident_of("pagerduty", "") == ""


async def test_an_older_state_of_an_alert_changes_nothing(arrivals: SqliteArrivals) -> None:
    over = replace(ALERT, firing=False, at=after(10))
    assert await arrivals.tell([ALERT, over], now=after(10)) == [True, True]
    assert await arrivals.tell([replace(ALERT, at=after(5))], now=after(11)) == [False]
    assert not await arrivals.firing([ALERT.digest])
    assert await arrivals.tell([replace(ALERT, at=after(20))], now=after(20)) == [True]
    assert await arrivals.firing([ALERT.digest])


async def test_an_alert_that_is_over_waits_until_its_incident_knows(arrivals: SqliteArrivals) -> None:
    over = replace(ALERT, firing=False, at=after(10))
    await arrivals.tell([ALERT], now=after(0))
    assert await arrivals.unsettled(10) == []
    await arrivals.tell([over], now=after(10))
    (waiting,) = await arrivals.unsettled(10)
    assert (waiting.digest, waiting.named) == (ALERT.digest, ALERT.named)
    await arrivals.settle(ALERT.digest)
    await arrivals.tell([over], now=after(11))
    assert await arrivals.unsettled(10) == [], "said again, it is no news"


async def test_an_alert_that_nobody_knows_counts_as_firing(arrivals: SqliteArrivals) -> None:
    assert await arrivals.firing(["0" * 16])
