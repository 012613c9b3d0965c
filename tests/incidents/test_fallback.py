"""A page that its pager does not take is heard of elsewhere, once."""

import pytest
from tests.incidents.lanes import MINUTE, SECOND, House, delivery, failing

from aegis.core.incidents import Severity
from aegis.core.notifications import Delivery, Receipt
from aegis.incidents.fallback import Fallbacks, instead_of
from aegis.testing import FakeNotifier

pytestmark = pytest.mark.anyio


def page(name: str = "inc", priority: Severity = Severity.HIGH) -> Delivery:
    return delivery(name, service="pagerduty", priority=priority)


def house_with(pagerduty: FakeNotifier, slack: FakeNotifier) -> tuple[House, Fallbacks]:
    house = House(pagerduty, slack)
    fallbacks = Fallbacks(
        outbox=house.store.outbox, clock=house.clock, instead={"pagerduty": ["slack"]}, wake=house.lanes.wake
    )
    return house, fallbacks


async def turned(house: House, fallbacks: Fallbacks, milliseconds: int) -> None:
    """Time goes on with the lanes at work, and then the fallbacks get their turn."""
    await house.drain(milliseconds)
    await fallbacks.turn()
    await house.drain()


async def test_a_page_that_fails_for_a_minute_is_told_to_another_channel_as_new() -> None:
    pagerduty, slack = (
        FakeNotifier("pagerduty", [failing(service="pagerduty")] * 99),
        FakeNotifier("slack", [Receipt(remote_id="ts")]),
    )
    house, fallbacks = house_with(pagerduty, slack)
    await house.place(page(), delivery("inc"))

    await turned(house, fallbacks, MINUTE - SECOND)
    assert [said.change for said in slack.told] == ["opened"]
    await turned(house, fallbacks, 10 * SECOND)

    assert [(said.change, said.title) for said in slack.told[1:]] == [("unpaged", "Nobody was paged: inc")]
    assert slack.remote_ids == ["", ""]
    assert slack.told[1].facts[0].value.startswith("pagerduty has not taken this page since")


async def test_it_is_told_once_however_long_the_outage_lasts() -> None:
    pagerduty, slack = FakeNotifier("pagerduty", [failing(service="pagerduty")] * 99), FakeNotifier("slack")
    house, fallbacks = house_with(pagerduty, slack)
    await house.place(page())

    for _ in range(5):
        await turned(house, fallbacks, 2 * MINUTE)

    assert len(slack.told) == 1


async def test_a_page_that_is_refused_for_good_is_told_too() -> None:
    pagerduty = FakeNotifier("pagerduty", [failing(service="pagerduty", status=400, retryable=False)])
    house, fallbacks = house_with(pagerduty, slack := FakeNotifier("slack"))
    await house.place(page())

    await turned(house, fallbacks, 2 * MINUTE)

    assert [said.change for said in slack.told] == ["unpaged"]


async def test_what_the_pager_took_and_what_is_mild_is_told_nowhere_else() -> None:
    pagerduty, slack = FakeNotifier("pagerduty", [Receipt()]), FakeNotifier("slack")
    house, fallbacks = house_with(pagerduty, slack)
    await house.place(page("taken"))
    await house.drain()
    pagerduty.then(*[failing(service="pagerduty")] * 99)
    await house.place(page("mild", Severity.MEDIUM))

    await turned(house, fallbacks, 5 * MINUTE)

    assert slack.told == []


async def test_the_message_that_can_be_edited_stays_the_one_of_before() -> None:
    pagerduty = FakeNotifier("pagerduty", [failing(service="pagerduty")] * 99)
    slack = FakeNotifier("slack", [Receipt(remote_id="first"), Receipt(remote_id="unpaged")])
    house, fallbacks = house_with(pagerduty, slack)
    await house.place(page(), delivery("inc"))
    await turned(house, fallbacks, 2 * MINUTE)
    await house.place(delivery("inc", 2, change="analysed"))
    await house.drain()

    assert slack.remote_ids[-1] == "first"


def test_the_first_configured_chat_stands_in_for_a_pager_unless_written_otherwise() -> None:
    configured = ("pagerduty", "discord", "email")

    assert instead_of({}, configured) == {"pagerduty": ("discord",)}
    assert instead_of({"pagerduty": ["email", "slack"]}, configured) == {"pagerduty": ("email",)}
    assert instead_of({"pagerduty": []}, configured) == {"pagerduty": ()}
    assert instead_of({}, ("slack",)) == {}
