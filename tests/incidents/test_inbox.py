"""What is done elsewhere moves the escalation here: taken on, nobody else is woken; escalated, the next one is, at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.incidents.callout import Callout

from aegis.core.inbound import Act, BudgetNotice, Received, Verb
from aegis.core.incidents import Status
from aegis.incidents.inbox import Inbox, is_ours
from aegis.stores.arrivals import SqliteArrivals
from aegis.stores.database import Database

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def inbox(there: Callout) -> AsyncIterator[Inbox]:
    """The inbox in front of a record that escalates."""
    database = await Database.open(":memory:")

    async def nothing(*_: object) -> None:
        raise AssertionError("acts are no events and no money")

    async def no_money(_: BudgetNotice) -> None:
        raise AssertionError("acts are no money")

    try:
        yield Inbox(
            arrivals=SqliteArrivals(database), desk=there.desk, intake=nothing, spend=no_money, clock=there.clock
        )
    finally:
        await database.close()


def says(there: Callout, incident_id: str, verb: Verb, *, name: str = "1", via: str = "pagerduty") -> Received:
    act = Act(verb=verb, via=via, by="ada", at=there.clock.now(), incident_id=incident_id, text="Bob")
    return Received(service=via, ids=(name,), acts=(act,))


async def test_what_is_taken_on_elsewhere_wakes_nobody_else() -> None:
    there = Callout()
    known = await there.opens()
    async with inbox(there) as box:
        await there.after(5)
        outcome = await box.take(says(there, known, "acknowledge", via="slack"))
        await there.after(120)
        await there.send()
    assert (outcome.taken, outcome.unknown) == (1, 0)
    assert there.told("sms") == []
    assert (await there.incident(known)).status is Status.ACKNOWLEDGED


async def test_what_is_escalated_elsewhere_brings_the_next_step_at_once() -> None:
    there = Callout()
    known = await there.opens()
    async with inbox(there) as box:
        await there.after(1)
        await box.take(says(there, known, "escalate"))
        await there.after(1)
        await there.send()
    assert there.told("sms") == ["+15550102"]
    assert "Escalated to Bob" in [entry.text for entry in (await there.incident(known)).timeline]


async def test_whoever_took_it_on_may_still_escalate_it() -> None:
    there = Callout()
    known = await there.opens()
    async with inbox(there) as box:
        await there.after(1)
        await box.take(says(there, known, "acknowledge"))
        await there.after(1)
        await box.take(says(there, known, "escalate", name="2"))
        await there.after(1)
        await there.send()
        assert there.told("sms") == ["+15550102"]
        await box.take(says(there, known, "resolve", name="3"))
        await box.take(says(there, known, "escalate", name="4"))
        await there.after(60)
        await there.send()
    changes = [notification.change for _, notification, _ in there.messengers["sms"].told]
    assert changes == ["escalated", "resolved"], "what is over is not escalated; who was told hears its end"
    assert there.told("phone") == []


async def test_a_delivery_that_comes_again_is_no_second_note() -> None:
    there = Callout()
    known = await there.opens()
    async with inbox(there) as box:
        first = await box.take(says(there, known, "note"))
        again = await box.take(says(there, known, "note"))
        other = await box.take(says(there, "inc_of_nobody", "note", name="2"))
    notes = [entry for entry in (await there.incident(known)).timeline if entry.kind == "note"]
    assert (first.duplicate, again.duplicate, len(notes)) == (False, True, 1)
    assert (other.taken, other.unknown) == (0, 1)


async def test_only_what_is_surely_ours_is_taken_for_our_own_note() -> None:
    there = Callout()
    known = await there.opens()
    await there.desk.note(known, "ada", "pagerduty", text="See http://intranet.example/x.")
    incident = await there.incident(known)
    assert is_ours(incident, "Note by ada in PagerDuty: See hxxp[:]//intranet[.]example/x.")
    assert is_ours(incident, f"Acknowledged · HIGH · {known}")
    assert not is_ours(incident, "See http://intranet.example/x.")
    assert not is_ours(incident, "Note by the way: it is the scanner")
    assert there.clock.now() - incident.opened_at < timedelta(minutes=1)
