"""In a flood a channel is told many incidents in one message; a CRITICAL one, and an edit, go by themselves."""

from dataclasses import replace

import pytest
from tests.incidents.lanes import House, delivery, failing

from aegis.core.incidents import Severity
from aegis.core.notifications import Receipt
from aegis.incidents.delivery import DIGEST_MAX
from aegis.incidents.digest import NAMED, digest
from aegis.incidents.lane import LaneRule
from aegis.testing import START, FakeNotifier

pytestmark = pytest.mark.anyio

RULE = {"slack": LaneRule(concurrency=1, digest_over=3)}


async def test_up_to_a_few_are_told_one_by_one() -> None:
    slack = FakeNotifier("slack")
    house = House(slack, rules=RULE)
    await house.place(*(delivery(f"{number}") for number in range(3)))

    assert await house.drain() == 0

    assert [said.change for said in slack.told] == ["opened"] * 3


async def test_a_flood_is_one_message_and_each_delivery_is_done() -> None:
    slack = FakeNotifier("slack", [Receipt(remote_id="ts")])
    house = House(slack, rules=RULE)
    await house.place(*(delivery(f"{number:02d}") for number in range(50)))

    assert await house.drain() == 0

    assert [(said.change, said.title) for said in slack.told] == [("digest", "50 incidents: 50 HIGH")]
    assert await house.store.outbox.counts() == {"slack": {"done": 50}}
    assert {one.message for one in house.ends_seen()} == {"in a digest of 50"}


async def test_what_was_told_in_a_digest_has_no_message_of_its_own_to_edit() -> None:
    slack = FakeNotifier("slack", [Receipt(remote_id="ts")])
    house = House(slack, rules=RULE)
    await house.place(*(delivery(f"{number:02d}") for number in range(5)))
    await house.drain()
    await house.place(delivery("03", 2, change="analysed"))
    await house.drain()

    assert slack.remote_ids == ["", ""]


async def test_a_critical_incident_goes_by_itself_and_first() -> None:
    slack = FakeNotifier("slack")
    house = House(slack, rules=RULE)
    mild = [delivery(f"{number:02d}", priority=Severity.LOW) for number in range(20)]
    await house.place(*mild, delivery("worst", priority=Severity.CRITICAL))

    assert await house.drain() == 0

    assert [said.title for said in slack.told] == ["worst", "20 incidents: 20 LOW"]


async def test_an_edit_of_a_message_goes_by_itself() -> None:
    slack = FakeNotifier("slack", [Receipt(remote_id="ts")])
    house = House(slack, rules=RULE)
    await house.place(delivery("told"))
    await house.drain()
    new = [delivery(f"{number:02d}") for number in range(6)]
    await house.place(delivery("told", 2, change="resolved", priority=Severity.LOW), *new)

    assert await house.drain() == 0

    assert [(said.change, at) for said, at in zip(slack.told[1:], slack.remote_ids[1:], strict=True)] == [
        ("digest", ""),
        ("resolved", "ts"),
    ]


async def test_a_digest_that_fails_is_tried_again_whole() -> None:
    slack = FakeNotifier("slack", [failing(), Receipt()])
    house = House(slack, rules=RULE)
    await house.place(*(delivery(f"{number:02d}") for number in range(10)))

    assert await house.drain(5_000) == 0

    assert [said.title for said in slack.told] == ["10 incidents: 10 HIGH"] * 2
    assert house.ends() == ["retry"] * 10 + ["done"] * 10


async def test_a_digest_is_bounded() -> None:
    slack = FakeNotifier("slack")
    house = House(slack, rules=RULE)
    await house.place(*(delivery(f"{number:03d}") for number in range(DIGEST_MAX + 50)))

    assert await house.drain() == 0

    assert [said.title for said in slack.told] == ["200 incidents: 200 HIGH", "50 incidents: 50 HIGH"]


def test_a_digest_names_the_worst_first_and_counts_all() -> None:
    mild = [delivery(f"low {number}", priority=Severity.LOW) for number in range(30)]
    worse = [delivery(f"high {number}") for number in range(2)]

    said = digest([*mild, *worse], START)

    assert said.title == "32 incidents: 2 HIGH, 30 LOW"
    assert [fact.value for fact in said.facts][:3] == ["high 0", "high 1", "low 0"]
    assert (len(said.facts), said.severity) == (NAMED, Severity.HIGH)


def test_a_digest_tells_updates_from_new_incidents() -> None:
    told = [delivery("a"), delivery("d"), delivery("b", 2, change="analysed"), delivery("c", 2, change="analysed")]

    assert digest(told, START).title == "2 incidents, 2 updates: 4 HIGH"


async def test_what_is_for_one_person_is_never_told_together() -> None:
    slack = FakeNotifier("slack")
    house = House(slack, rules=RULE)
    mine = delivery("mine")
    mine = replace(mine, notification=replace(mine.notification, recipient="U1"))
    await house.place(mine, *(delivery(f"{number:02d}") for number in range(9)))

    assert await house.drain() == 0

    assert sorted((said.change, said.recipient) for said in slack.told) == [("digest", ""), ("opened", "U1")]
