"""The test kit keeps its own promises: a clock that only the test moves, services that follow their script."""

from datetime import timedelta

import anyio
import pytest

from aegis.core.errors import Billed, ServiceError
from aegis.core.ports import HttpRequest
from aegis.testing import START, FakeClock, FakeNotifier, FixedIds, ScriptedHttp

pytestmark = pytest.mark.anyio


async def test_a_chain_of_sleeps_is_lived_through_as_in_real_time() -> None:
    clock, woken = FakeClock(), []

    async def sleeper(name: str, *spans: int) -> None:
        for span in spans:
            await clock.sleep_ms(span)
            woken.append((name, (clock.now() - START) // timedelta(milliseconds=1)))

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper, "a", 10, 10, 100)
        group.start_soon(sleeper, "b", 15)
        await clock.advance(50)
        assert woken == [("a", 10), ("b", 15), ("a", 20)]
        assert (clock.sleeping, clock.monotonic_ns()) == (1, 50_000_000)
        group.cancel_scope.cancel()

    assert clock.sleeping == 0


async def test_setting_the_wall_clock_leaves_the_other_one_alone() -> None:
    clock = FakeClock()

    clock.jump(timedelta(hours=-1))
    clock.pass_ms(1_000)

    assert clock.now() == START - timedelta(hours=1) + timedelta(seconds=1)
    assert clock.monotonic_ns() == 1_000_000_000


async def test_no_sleep_at_all_still_lets_others_run() -> None:
    clock, ran = FakeClock(), []

    async def other() -> None:
        ran.append("other")

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await clock.sleep_ms(0)
        ran.append("sleeper")

    assert ran == ["other", "sleeper"]


def test_ids_repeat_from_run_to_run() -> None:
    one, other = FixedIds(), FixedIds()

    assert [one("inc"), one("inc")] == [other("inc"), other("inc")]
    assert one("inc") != one("inc")


async def test_scripts_are_followed_in_order() -> None:
    refusal = ServiceError("slack", "answered 500", retryable=True, billed=Billed.NO)
    http = ScriptedHttp(ScriptedHttp.answer(200, b"ok"), refusal)
    request = HttpRequest(service="slack", method="GET", url="https://slack.com")

    assert (await http.send(request)).body == b"ok"
    with pytest.raises(ServiceError):
        await http.send(request)
    with pytest.raises(AssertionError, match="not in the script"):
        await http.send(request)
    assert len(http.requests) == 3
    assert FakeNotifier("slack").told == []
