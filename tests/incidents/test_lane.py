"""Claims about when a busy lane is looked at again."""

import anyio
import pytest

from aegis.incidents.lane import QUICK_MS, Lane, LaneRule
from aegis.testing import FakeClock, FakeNotifier

pytestmark = pytest.mark.anyio


async def looks(ends_ms: list[int]) -> list[bool]:
    """Whether a lane of four that is full rings after each end of an attempt that took so long."""
    lane, rang = Lane(FakeNotifier("slack"), LaneRule(concurrency=4)), list[bool]()
    lane.sends(4, 0)
    for took_ms in ends_ms:
        lane.ended(took_ms)
        with anyio.move_on_after(0) as none:
            await lane.bell.wait(FakeClock(), 1_000)
        rang.append(not none.cancelled_caught)
    return rang


async def test_while_its_service_is_quick_a_lane_is_looked_at_when_half_of_it_is_free() -> None:
    assert await looks([0, 0, 0, 0]) == [False, True, True, True]


async def test_when_its_service_is_slow_a_lane_is_looked_at_after_every_end() -> None:
    assert await looks([QUICK_MS, QUICK_MS]) == [True, True]
