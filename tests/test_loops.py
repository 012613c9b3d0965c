"""Claims about the background: failing ticks, siblings, draining."""

from datetime import datetime, timedelta
from itertools import pairwise

import anyio
import pytest

from aegis.loops import BACKOFF_MAX_MS, DRAIN_MS, Loops
from aegis.testing import START, FakeClock, settle

pytestmark = pytest.mark.anyio


class Background:
    """Loops on a clock that stands still, and what they reported."""

    def __init__(self, chance: float = 0.0) -> None:
        self.clock = FakeClock()
        self.reported: list[tuple[str, str]] = []
        self.loops = Loops(
            clock=self.clock,
            chance=lambda: chance,
            report=lambda name, error: self.reported.append((name, str(error))),
        )
        self.ticks: list[int] = []

    async def tick(self, now: datetime) -> None:
        self.ticks.append(int((now - START) / timedelta(milliseconds=1)))


async def test_a_tick_comes_at_once_and_then_every_period() -> None:
    background = Background()
    background.loops.every(1_000, background.tick, name="sweep")

    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await background.clock.advance(3_500)
        background.loops.stop()

    assert background.ticks == [0, 1_000, 2_000, 3_000]


async def test_jitter_only_makes_a_tick_earlier_and_within_its_percentage() -> None:
    background = Background(chance=1.0)
    background.loops.every(1_000, background.tick, name="sweep", jitter=20)

    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await background.clock.advance(2_000)
        background.loops.stop()

    assert background.ticks == [0, 800, 1_600]


async def test_a_failing_tick_is_reported_backs_off_and_leaves_its_siblings_alone() -> None:
    background, tried = Background(), []

    async def failing(now: datetime) -> None:
        tried.append(int((now - START).total_seconds()))
        raise RuntimeError("the store is away")

    background.loops.every(1_000, failing, name="failing")
    background.loops.every(1_000, background.tick, name="healthy")

    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await background.clock.advance(15_500)
        assert background.loops.health()["failing"].failures == 4
        background.loops.stop()

    assert tried == [0, 2, 6, 14]
    assert background.reported == [("failing", "the store is away")] * 4
    assert len(background.ticks) == 16


async def test_backing_off_has_a_bound_and_ends_with_the_first_success() -> None:
    background, times = Background(), []

    async def failing_twenty_times(now: datetime) -> None:
        times.append(now)
        if len(times) <= 20:
            raise RuntimeError("away")

    background.loops.every(60_000, failing_twenty_times, name="failing")

    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await background.clock.advance(23 * BACKOFF_MAX_MS)
        background.loops.stop()

    gaps = [int((after - before) / timedelta(milliseconds=1)) for before, after in pairwise(times)]
    assert max(gaps) == BACKOFF_MAX_MS
    assert gaps[20] == 60_000
    assert background.loops.health()["failing"].failures == 0


async def test_a_stop_lets_the_tick_under_way_end_and_begins_no_other() -> None:
    background, log = Background(), []

    async def slow(_now: datetime) -> None:
        log.append("began")
        await background.clock.sleep_ms(5_000)
        log.append("ended")

    background.loops.every(1_000, slow, name="slow")

    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await background.clock.advance(100)
        background.loops.stop()
        await background.clock.advance(6_000)

    assert log == ["began", "ended"]


async def test_a_tick_that_does_not_end_is_cancelled_after_the_drain() -> None:
    background, log = Background(), []

    async def stuck(_now: datetime) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("cancelled")

    background.loops.every(1_000, stuck, name="stuck")

    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await background.clock.advance(100)
        background.loops.stop()
        await background.clock.advance(DRAIN_MS - 1)
        assert log == []
        await background.clock.advance(1)

    assert log == ["cancelled"]


async def test_work_that_fails_begins_again_and_a_stop_ends_it() -> None:
    background, begun = Background(), []

    async def work() -> None:
        begun.append(background.clock.now())
        if len(begun) < 3:
            raise RuntimeError("broken pipe")
        await anyio.sleep_forever()

    background.loops.keep(work, name="pipeline")

    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await background.clock.advance(10_000)
        background.loops.stop()

    assert [(at - START).total_seconds() for at in begun] == [0, 2, 6]
    assert [name for name, _ in background.reported] == ["pipeline"] * 2


async def test_cancelling_the_run_ends_everything_and_reports_nothing() -> None:
    background = Background()
    background.loops.every(1_000, background.tick, name="sweep")

    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await settle()
        group.cancel_scope.cancel()

    assert background.reported == []
    assert background.clock.sleeping == 0


async def test_a_stop_before_the_start_starts_nothing() -> None:
    background = Background()
    background.loops.every(1_000, background.tick, name="sweep")
    background.loops.stop()

    await background.loops.run()

    assert background.ticks == []


async def test_work_that_went_well_for_long_begins_again_soon_when_it_fails() -> None:
    background, began = Background(), list[int]()

    async def failing() -> None:
        began.append(int((background.clock.now() - START) / timedelta(milliseconds=1)))
        await background.clock.sleep_ms(BACKOFF_MAX_MS + 1)
        raise OSError("after long")

    background.loops.keep(failing, name="listener")
    async with anyio.create_task_group() as group:
        group.start_soon(background.loops.run)
        await background.clock.advance(4 * BACKOFF_MAX_MS)
        background.loops.stop()

    pauses = {later - earlier - BACKOFF_MAX_MS - 1 for earlier, later in pairwise(began)}
    assert len(began) == 4
    assert pauses == {2_000}
