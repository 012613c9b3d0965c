"""A story's time passes only when somebody turns the page."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from aegis.rehearsal.clock import StoryClock

pytestmark = pytest.mark.anyio

MIDNIGHT = datetime(2026, 3, 4, tzinfo=UTC)


async def test_sleepers_wake_in_the_order_of_their_ends_and_not_before() -> None:
    clock, woken = StoryClock(MIDNIGHT), list[int]()

    async def sleep(milliseconds: int) -> None:
        await clock.sleep_ms(milliseconds)
        woken.append(milliseconds)

    async with anyio.create_task_group() as sleepers:
        for milliseconds in (3_000, 1_000, 2_000):
            sleepers.start_soon(sleep, milliseconds)
        await anyio.wait_all_tasks_blocked()
        assert clock.next_waking() == MIDNIGHT + timedelta(seconds=1)
        clock.move_to(MIDNIGHT + timedelta(milliseconds=1_999))
        await anyio.wait_all_tasks_blocked()
        assert woken == [1_000]
        clock.move_to(MIDNIGHT + timedelta(seconds=9))

    assert woken == [1_000, 2_000, 3_000]


async def test_time_never_goes_back_and_both_clocks_agree() -> None:
    clock = StoryClock(MIDNIGHT)
    before = clock.monotonic_ns()

    clock.move_to(MIDNIGHT + timedelta(seconds=5))
    clock.move_to(MIDNIGHT)

    assert clock.now() == MIDNIGHT + timedelta(seconds=5)
    assert clock.monotonic_ns() - before == 5_000_000_000
