"""The outbox: worst first, nothing lost by a crash, no old message over a newer one, the first page never lost."""

import pytest
from tests.stores.making import LEASE_MS, Stores, after, delivery, ids

from aegis.core.deliveries import stand_in
from aegis.core.incidents import Severity
from aegis.core.notifications import Change, DeliveryState, Receipt
from aegis.core.ports import Work

pytestmark = pytest.mark.anyio

LOW, MEDIUM, HIGH, CRITICAL = Severity
LEASE_S = LEASE_MS // 1_000


async def test_the_worst_goes_first_then_the_oldest(stores: Stores) -> None:
    await stores.place(
        delivery("a", priority=LOW, at=0),
        delivery("b", priority=CRITICAL, at=3),
        delivery("c", priority=HIGH, at=2),
        delivery("d", priority=HIGH, at=1),
        delivery("e", priority=CRITICAL, at=4),
    )

    assert ids(await stores.claim(limit=2, at=5)) == ["b:slack:1", "e:slack:1"]
    assert ids(await stores.claim(limit=9, at=5)) == ["d:slack:1", "c:slack:1", "a:slack:1"]


async def test_waiting_moves_a_mild_one_up_but_never_past_a_critical_one(stores: Stores) -> None:
    a_day = 24 * 3_600
    await stores.place(delivery("old", priority=LOW), delivery("high", priority=HIGH, at=a_day))
    await stores.place(delivery("worst", priority=CRITICAL, at=a_day))

    claimed = await stores.claim(at=a_day)

    assert ids(claimed) == ["worst:slack:1", "old:slack:1", "high:slack:1"]


async def test_nothing_goes_before_it_is_due(stores: Stores) -> None:
    await stores.place(delivery("a", at=10))

    assert await stores.claim(at=9) == []
    assert await stores.outbox.next_due("slack") == after(10)
    assert ids(await stores.claim(at=10)) == ["a:slack:1"]


async def test_lanes_do_not_see_each_other(stores: Stores) -> None:
    await stores.place(delivery("a"), delivery("a", service="jira"))

    assert ids(await stores.claim("jira")) == ["a:jira:1"]
    assert ids(await stores.claim("slack")) == ["a:slack:1"]
    assert await stores.outbox.next_due("discord") is None


async def test_a_claimed_one_is_not_given_to_two(stores: Stores) -> None:
    await stores.place(delivery("a"))

    claimed = await stores.claim()

    assert (claimed[0].state, claimed[0].attempts) == (DeliveryState.LEASED, 1)
    assert await stores.claim(at=LEASE_S - 1) == []
    assert await stores.outbox.undelivered() == 1


async def test_a_crash_gives_the_delivery_back_when_the_lease_runs_out(stores: Stores) -> None:
    await stores.place(delivery("a"))
    await stores.claim()

    assert await stores.outbox.next_due("slack") == after(LEASE_S)
    (again,) = await stores.claim(at=LEASE_S)

    assert (again.id, again.attempts) == ("a:slack:1", 2)


async def test_whoever_lost_the_lease_can_neither_put_back_nor_bury(stores: Stores) -> None:
    await stores.place(delivery("a"))
    (late,) = await stores.claim()
    (held,) = await stores.claim(at=LEASE_S)

    await stores.outbox.bury(late, error="late", now=after(LEASE_S))
    await stores.outbox.retry(late, due_at=after(0), error="late")

    assert await stores.claim(at=LEASE_S + 1) == []
    await stores.outbox.retry(held, due_at=after(LEASE_S + 2), error="held")
    assert (await stores.claim(at=LEASE_S + 2))[0].last_error == "held"


async def test_what_a_service_took_is_done_whoever_says_so(stores: Stores) -> None:
    await stores.place(delivery("a"))
    (late,) = await stores.claim()
    await stores.claim(at=LEASE_S)

    await stores.outbox.done(late, Receipt(), now=after(LEASE_S))

    assert await stores.outbox.counts() == {"slack": {"done": 1}}
    assert await stores.claim(at=9 * LEASE_S) == []


async def test_a_known_delivery_is_left_alone(stores: Stores) -> None:
    await stores.place(delivery("a"))
    (claimed,) = await stores.claim()
    await stores.outbox.done(claimed, Receipt(), now=after(1))

    await stores.place(delivery("a"))

    assert await stores.outbox.counts() == {"slack": {"done": 1}}


async def test_the_next_message_gets_the_newest_handle(stores: Stores) -> None:
    await stores.place(delivery("a"), delivery("a", service="discord"), delivery("b"))
    for claimed in await stores.claim():
        await stores.outbox.done(claimed, Receipt(remote_id=f"ts-{claimed.incident_id}"), now=after(1))

    await stores.place(delivery("a", 2, at=2), delivery("a", 2, service="discord", at=2))

    assert [one.remote_id for one in await stores.claim(at=2)] == ["ts-a"]
    assert [one.remote_id for one in await stores.claim("discord", at=2)] == [""]


async def test_a_handle_of_an_older_message_does_not_replace_a_newer_one(stores: Stores) -> None:
    await stores.place(delivery("a"))
    (first,) = await stores.claim()
    await stores.outbox.done(first, Receipt(remote_id="old"), now=after(1))
    await stores.place(delivery("a", 2, at=2))
    (second,) = await stores.claim(at=2)
    await stores.outbox.done(second, Receipt(remote_id="new"), now=after(3))
    await stores.outbox.done(first, Receipt(remote_id="old"), now=after(4))
    await stores.place(delivery("a", 3, at=5))

    assert [one.remote_id for one in await stores.claim(at=5)] == ["new"]


async def test_a_newer_message_takes_the_place_of_one_that_was_never_sent(stores: Stores) -> None:
    await stores.place(delivery("a", 1, priority=HIGH, at=0, change="opened"), delivery("b", at=1, priority=HIGH))
    await stores.place(delivery("a", 2, priority=MEDIUM, at=9, change="analysed"))

    claimed = await stores.claim(at=9)

    assert ids(claimed) == ["a:slack:2", "b:slack:1"]
    assert (claimed[0].notification.change, claimed[0].priority) == ("opened", HIGH)
    assert claimed[0].notification.title == "a at version 2"
    assert (await stores.outbox.counts())["slack"]["superseded"] == 1


async def test_a_resolution_that_overtakes_the_first_page_stays_a_resolution(stores: Stores) -> None:
    await stores.place(delivery("a", 1, change="opened"))
    await stores.place(delivery("a", 2, change="resolved"))

    assert [one.notification.change for one in await stores.claim()] == ["resolved"]


async def test_overtaking_does_not_cut_a_pause_short(stores: Stores) -> None:
    await stores.place(delivery("a", 1))
    (claimed,) = await stores.claim()
    await stores.outbox.retry(claimed, due_at=after(100), error="429")

    await stores.place(delivery("a", 2, at=5))

    assert await stores.claim(at=99) == []
    (later,) = await stores.claim(at=100)
    assert (later.id, later.attempts, later.last_error) == ("a:slack:2", 2, "429")


async def test_a_newer_message_waits_while_an_older_one_is_under_way(stores: Stores) -> None:
    await stores.place(delivery("a", 1))
    (first,) = await stores.claim()
    await stores.place(delivery("a", 2, at=1, change="analysed"))

    assert await stores.claim(at=1) == []
    await stores.outbox.done(first, Receipt(remote_id="ts"), now=after(2))

    (second,) = await stores.claim(at=2)
    assert (second.id, second.remote_id, second.notification.change) == ("a:slack:2", "ts", "analysed")


@pytest.mark.parametrize("crashed", [False, True])
async def test_a_failed_first_page_is_carried_on_by_the_message_behind_it(stores: Stores, crashed: bool) -> None:
    await stores.place(delivery("a", 1, change="opened"))
    (first,) = await stores.claim()
    await stores.place(delivery("a", 2, at=1, change="updated"))
    if not crashed:
        await stores.outbox.retry(first, due_at=after(LEASE_S), error="500")

    (second,) = await stores.claim(at=LEASE_S)

    assert (second.id, second.notification.change, second.attempts) == ("a:slack:2", "opened", 2)
    assert await stores.outbox.undelivered() == 1


async def test_a_dead_letter_is_kept_until_it_is_replayed_or_dropped(stores: Stores) -> None:
    await stores.place(delivery("a"), delivery("b", at=1))
    for at, claimed in enumerate(await stores.claim(at=1)):
        await stores.outbox.bury(claimed, error="400", now=after(at))

    assert ids(list(await stores.outbox.dead(10))) == ["b:slack:1", "a:slack:1"]
    assert [one.last_error for one in await stores.outbox.dead(1)] == ["400"]
    assert await stores.outbox.undelivered() == 0
    assert await stores.outbox.replay("a:slack:1", now=after(9))
    assert not await stores.outbox.replay("a:slack:1", now=after(9))
    assert await stores.outbox.drop("b:slack:1")
    assert not await stores.outbox.drop("a:slack:1")

    (again,) = await stores.claim(at=9)
    assert (again.id, again.attempts, again.created_at) == ("a:slack:1", 1, after(9))


@pytest.mark.parametrize("doubtful", [False, True])
async def test_a_dead_letter_that_may_have_been_taken_says_so_when_it_is_replayed(
    stores: Stores, doubtful: bool
) -> None:
    await stores.place(delivery("a"))
    (claimed,) = await stores.claim()
    await stores.outbox.bury(claimed, error="the connection was cut", now=after(0), doubtful=doubtful)
    assert await stores.outbox.replay("a:slack:1", now=after(1))

    (again,) = await stores.claim(at=1)

    assert again.doubtful is doubtful


@pytest.mark.parametrize("sent", [False, True])
async def test_a_dead_letter_never_overwrites_a_newer_message(stores: Stores, sent: bool) -> None:
    await stores.place(delivery("a", 1))
    (first,) = await stores.claim()
    await stores.outbox.bury(first, error="400", now=after(1))
    await stores.place(delivery("a", 2, at=2))
    if sent:
        (second,) = await stores.claim(at=2)
        await stores.outbox.done(second, Receipt(), now=after(2))

    assert not await stores.outbox.replay("a:slack:1", now=after(3))

    assert await stores.outbox.counts() == {"slack": {"superseded": 1, "done" if sent else "ready": 1}}


async def test_what_became_of_an_incident_is_told_in_order(stores: Stores) -> None:
    await stores.place(delivery("a", service="slack"), delivery("b"), delivery("a", service="jira"))
    await stores.claim("jira")
    await stores.place(delivery("a", 2, at=1))

    told = await stores.outbox.of_incident("a")

    expected = [("a:jira:1", "leased"), ("a:slack:1", "superseded"), ("a:slack:2", "ready")]
    assert [(one.id, one.state) for one in told] == expected


async def test_due_ones_are_counted_up_to_a_number(stores: Stores) -> None:
    await stores.place(*(delivery(f"{number}") for number in range(5)), delivery("later", at=60))

    assert await stores.outbox.due("slack", now=after(0), most=9) == 5
    assert await stores.outbox.due("slack", now=after(0), most=3) == 3
    assert await stores.outbox.due("jira", now=after(60), most=9) == 0


async def test_new_messages_can_be_claimed_without_the_edits(stores: Stores) -> None:
    await stores.place(delivery("told"))
    [told] = await stores.claim()
    await stores.outbox.done(told, Receipt(remote_id="ts"), now=after(0))
    await stores.place(delivery("told", 2, change="analysed"), delivery("new"))

    fresh = await stores.outbox.claim("slack", limit=9, now=after(0), lease_ms=LEASE_MS, fresh=True)

    assert ids(list(fresh)) == ["new:slack:1"]
    assert ids(await stores.claim()) == ["told:slack:2"]


async def test_unheard_are_old_first_pages_that_wait_are_under_way_or_dead(stores: Stores) -> None:
    await stores.place(
        delivery("waits", service="pagerduty", priority=HIGH, at=2),
        delivery("mild", service="pagerduty", priority=MEDIUM),
        delivery("update", service="pagerduty", priority=HIGH, change="updated"),
        delivery("young", service="pagerduty", priority=HIGH, at=60),
        delivery("dead", service="pagerduty", priority=CRITICAL, at=1),
        delivery("elsewhere", service="jira", priority=CRITICAL),
    )
    [dead] = await stores.claim("pagerduty", limit=1, at=2)
    await stores.outbox.bury(dead, error="no such key", now=after(2))

    found = await stores.outbox.unheard("pagerduty", to="slack", before=after(60), limit=9)

    assert ids(list(found)) == ["dead:pagerduty:1", "waits:pagerduty:1"]


async def test_a_page_with_a_stand_in_is_not_unheard_there_any_more(stores: Stores) -> None:
    page = delivery("page", service="pagerduty", priority=HIGH)
    await stores.place(page)
    await stores.outbox.place([stand_in(page, "slack", after(60))] * 2)

    assert ids(await stores.claim(at=60)) == ["page:pagerduty:1>slack"]
    assert await stores.outbox.unheard("pagerduty", to="slack", before=after(60), limit=9) == []
    assert len(await stores.outbox.unheard("pagerduty", to="teams", before=after(60), limit=9)) == 1


async def test_a_note_neither_replaces_a_message_nor_is_replaced(stores: Stores) -> None:
    changes: tuple[Change, ...] = ("opened", "noted", "noted", "updated")
    for version, change in enumerate(changes, start=1):
        await stores.place(delivery("a", version, at=version, change=change))

    sent = []
    while claimed := await stores.claim(at=9):
        sent += [(one.notification.change, one.notification.version) for one in claimed]
        await stores.outbox.done(claimed[0], Receipt(), now=after(9))

    assert sent == [("opened", 4), ("noted", 2), ("noted", 3)]


async def test_what_waits_about_a_hushed_incident_is_taken_back_but_for_records_and_closing_words(
    stores: Stores,
) -> None:
    await stores.place(
        delivery("a"),
        delivery("a", service="splunk"),
        delivery("a", 2, service="jira", change="resolved"),
        delivery("a", service="pagerduty"),
        delivery("b"),
    )
    (leaving,) = await stores.claim("pagerduty")
    assert await stores.outbox.waiting(9) == ["a", "b"]
    assert await stores.outbox.waiting(1) == ["a"]

    await stores.incidents.commit(Work(hushed=["a"]))

    assert ids(await stores.claim()) == ["b:slack:1"]
    assert ids(await stores.claim("splunk")) == ["a:splunk:1"]
    assert ids(await stores.claim("jira")) == ["a:jira:2"]
    await stores.outbox.retry(leaving, due_at=after(0), error="answered 503")
    assert await stores.outbox.waiting(9) == ["a"], "what was leaving is back, and waits to be looked at again"
