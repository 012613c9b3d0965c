"""Events are stored once, worked in order of arrival, and remembered for correlations."""

import pytest
from tests.stores.making import Stores, after, event

from aegis.core.ports import Work

pytestmark = pytest.mark.anyio


async def test_an_event_is_taken_once(stores: Stores) -> None:
    first = await stores.events.accept([event("a", said="once"), event("b"), event("a", said="twice")])
    again = await stores.events.accept([event("b"), event("c")])

    assert (first, again) == (2, 1)
    assert [one.id for one in await stores.events.pending(10)] == ["a", "b", "c"]
    assert (await stores.events.pending(1))[0].fields == {"said": "once"}


async def test_nothing_is_not_an_event(stores: Stores) -> None:
    assert await stores.events.accept([]) == 0


async def test_events_are_worked_in_order_of_arrival_whatever_their_time(stores: Stores) -> None:
    await stores.events.accept([event("late", at=100), event("early", at=1)])

    assert [one.id for one in await stores.events.pending(10)] == ["late", "early"]


async def test_a_worked_event_does_not_wait_any_more(stores: Stores) -> None:
    await stores.events.accept([event("a"), event("b")])

    await stores.incidents.commit(Work(events_done=["a"]))

    assert [one.id for one in await stores.events.pending(10)] == ["b"]
    assert await stores.events.accept([event("a")]) == 0


async def test_what_was_worked_lately_is_given_again_in_the_order_of_its_time(stores: Stores) -> None:
    await stores.events.accept([event(str(at), at=at) for at in (50, 10, 40, 20, 30)])
    await stores.incidents.commit(Work(events_done=["10", "20", "30", "50"]))

    assert [one.id for one in await stores.events.worked_since(after(20), 10)] == ["20", "30", "50"]
    assert [one.id for one in await stores.events.worked_since(after(0), 2)] == ["30", "50"]


async def test_an_event_comes_back_as_it_went_in(stores: Stores) -> None:
    hostile = event("a", deep={"list": [1, 2.5, None, True, {"x": "ü\u0000\ud800"}]}, large=2**70, small=-(2**65))

    await stores.events.accept([hostile])

    assert await stores.events.pending(1) == [hostile]
