"""The waiting room: bounded, by priority, each until its own deadline, and nobody is forgotten in it."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from tests.governor.fakes import START, asking

from aegis.core.calls import Call, Priority
from aegis.core.errors import DeadlinePassed, QueueFull, RateLimited, Stopped
from aegis.governor.queue import BYTES_MAX, TICKET_BYTES, WaitingRoom
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio
SECOND_MS = 1_000


class Room:
    """A room before a gate that opens at set times, one call at a time."""

    def __init__(self, *opens_ms: int, waiting_max: int = 10, age_ms: int = 30_000, bytes_max: int = BYTES_MAX) -> None:
        self.clock = FakeClock(START)
        self.room = WaitingRoom("anthropic", self.clock, waiting_max=waiting_max, age_ms=age_ms, bytes_max=bytes_max)
        self.opens = list(opens_ms)
        self.passed: list[str] = []
        self.failed: dict[str, type[Exception]] = {}

    async def gate(self, call: Call) -> str:
        now_ms = self.clock.monotonic_ns() // 1_000_000
        if not self.opens:
            raise RateLimited("full", retry_after_ms=10**9)
        if now_ms < self.opens[0]:
            raise RateLimited("full", retry_after_ms=self.opens[0] - now_ms)
        self.opens.pop(0)
        self.passed.append(call.id)
        return call.id

    async def enter(self, name: str, **more: Any) -> None:
        try:
            await self.room.enter(asking(**{"id": name, "wait_ms": 60 * SECOND_MS, **more}), self.gate)
        except Exception as error:  # noqa: BLE001 - the test looks at every kind
            self.failed[name] = type(error)


async def test_who_may_wait_passes_when_the_gate_opens() -> None:
    room = Room(6 * SECOND_MS)
    async with anyio.create_task_group() as group:
        group.start_soon(room.enter, "one")
        await room.clock.advance(5 * SECOND_MS)
        assert room.passed == []
        await room.clock.advance(SECOND_MS)
    assert (room.passed, len(room.room)) == (["one"], 0)


async def test_who_must_not_wait_is_refused_at_once() -> None:
    room = Room(6 * SECOND_MS)
    await room.enter("hasty", wait_ms=0)
    assert room.failed == {"hasty": RateLimited}


async def test_a_refusal_that_no_waiting_helps_is_not_waited_for() -> None:
    room = Room()

    async def stopped(_: Call) -> str:
        raise Stopped("everything is stopped")

    with pytest.raises(Stopped):
        await room.room.enter(asking(wait_ms=10**6), stopped)


async def test_the_highest_priority_goes_first_and_equals_in_order_of_arrival() -> None:
    room = Room(10_000, 20_000, 30_000, 40_000)
    arrivals = [("low", Priority.LOW), ("first", Priority.HIGH), ("second", Priority.HIGH), ("top", Priority.CRITICAL)]
    async with anyio.create_task_group() as group:
        for name, priority in arrivals:
            group.start_soon(partial(room.enter, name, priority=priority))
            await room.clock.advance(1)
        await room.clock.advance(45_000)
    assert room.passed == ["top", "first", "second", "low"]


async def test_a_call_that_waited_long_overtakes_a_fresh_one_but_never_a_critical_one() -> None:
    room = Room(50_000, 60_000, 70_000, age_ms=10_000)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: room.enter("aged", priority=Priority.LOW, wait_ms=100_000))
        await room.clock.advance(45_000)
        group.start_soon(lambda: room.enter("fresh", priority=Priority.HIGH))
        group.start_soon(lambda: room.enter("critical", priority=Priority.CRITICAL))
        await room.clock.advance(30_000)
    assert room.passed == ["critical", "aged", "fresh"]


async def test_nobody_waits_beyond_the_own_deadline() -> None:
    room = Room(10_000)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: room.enter("first", wait_ms=20_000))
        await room.clock.advance(1)
        group.start_soon(lambda: room.enter("impatient", wait_ms=3_000))
        await room.clock.advance(4_000)
        assert room.failed == {"impatient": DeadlinePassed}
        await room.clock.advance(10_000)
    assert room.passed == ["first"]


async def test_a_full_room_sheds_the_least_urgent_and_refuses_equals() -> None:
    room = Room(50_000, waiting_max=2)
    async with anyio.create_task_group() as group:
        for name, priority in [("low", Priority.LOW), ("medium", Priority.MEDIUM)]:
            group.start_soon(partial(room.enter, name, priority=priority))
            await room.clock.advance(1)
        group.start_soon(lambda: room.enter("another low", priority=Priority.LOW))
        await room.clock.advance(1)
        assert room.failed == {"another low": QueueFull}
        group.start_soon(lambda: room.enter("high", priority=Priority.HIGH))
        await room.clock.advance(1)
        group.cancel_scope.cancel()
    assert room.failed == {"another low": QueueFull, "low": QueueFull}


async def test_a_caller_that_gives_up_leaves_its_place_to_the_next() -> None:
    room, gone = Room(10_000), anyio.CancelScope()

    async def give_up() -> None:
        with gone:
            await room.enter("gone")

    async with anyio.create_task_group() as group:
        group.start_soon(give_up)
        await room.clock.advance(1)
        group.start_soon(room.enter, "next")
        await room.clock.advance(1)
        gone.cancel()
        await room.clock.advance(11_000)
    assert room.passed == ["next"]


async def test_sources_take_turns_so_that_a_flood_does_not_stand_before_a_single_call() -> None:
    room = Room(*range(1_000, 9_000, 1_000))
    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(partial(room.enter, f"flood-{number}", scope={"source": "noisy"}))
            await room.clock.advance(1)
        group.start_soon(partial(room.enter, "quiet", scope={"source": "calm"}))
        await room.clock.advance(8_000)
    assert room.passed.index("quiet") <= 1
    assert [name for name in room.passed if name != "quiet"] == [f"flood-{number}" for number in range(6)]


async def test_a_full_room_sheds_the_source_that_fills_it() -> None:
    room = Room(50_000, waiting_max=3)
    async with anyio.create_task_group() as group:
        for name in ("a", "b", "c"):
            group.start_soon(partial(room.enter, name, scope={"source": "noisy"}))
            await room.clock.advance(1)
        group.start_soon(partial(room.enter, "calm", scope={"source": "calm"}))
        await room.clock.advance(1)
        assert room.failed == {"c": QueueFull}
        group.start_soon(partial(room.enter, "more", scope={"source": "noisy"}))
        await room.clock.advance(1)
        assert room.failed == {"c": QueueFull, "more": QueueFull}
        group.cancel_scope.cancel()


async def test_the_bytes_that_wait_are_bounded_and_come_free_with_their_call() -> None:
    room = Room(1_000, 2_000, 50_000, bytes_max=3 * TICKET_BYTES + 5_000)
    async with anyio.create_task_group() as group:
        group.start_soon(partial(room.enter, "large", weight=4_000))
        await room.clock.advance(1)
        group.start_soon(partial(room.enter, "second", weight=4_000))
        await room.clock.advance(1)
        assert room.failed == {"second": QueueFull}
        group.start_soon(partial(room.enter, "urgent", weight=4_000, priority=Priority.CRITICAL))
        await room.clock.advance(1)
        assert room.failed == {"second": QueueFull, "large": QueueFull}
        await room.clock.advance(1_500)
        group.start_soon(partial(room.enter, "later", weight=4_000))
        await room.clock.advance(2_000)
        await room.enter("never", weight=10**6)
    assert room.passed == ["urgent", "later"]
    assert room.failed["never"] is QueueFull
