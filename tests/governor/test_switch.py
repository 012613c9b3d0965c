"""The stop switch on the governed path: shares, pools, throttles, ends, and calls that are under way."""

import pytest
from tests.governor.fakes import CENT, PRICES, START, daily

from aegis.core.buckets import Rate
from aegis.core.calls import Call, Priority
from aegis.core.errors import BudgetExceeded, Refused, Stopped
from aegis.core.ledger import Switch
from aegis.core.stops import share_of
from aegis.governor.governor import Governor
from aegis.governor.policies import ServicePolicy
from aegis.stores.memory_ledger import MemoryLedger
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio
NOW_MS = int(START.timestamp() * 1_000)


def call(number: int = 0, *, priority: Priority = Priority.MEDIUM, cents: int = 1, **more: object) -> Call:
    known = {"id": f"call_{number}", "service": "anthropic", "operation": "ask", "models": ("dear",)}
    return Call(**{**known, "worst": {"input_tokens": cents}, "priority": priority, **more})  # type: ignore[arg-type]


def made(clock: FakeClock, **more: object) -> Governor:
    ledger = MemoryLedger(clock)
    return Governor(budgets=[daily(1_000)], prices=PRICES, ledger=ledger, clock=clock, **more)  # type: ignore[arg-type]


def switch(**more: object) -> Switch:
    return Switch(**{"scope": {}, "stopped": True, "reason": "runaway", "at_ms": NOW_MS, **more})  # type: ignore[arg-type]


async def admitted(governor: Governor, asked: Call) -> bool:
    try:
        async with governor.admit(asked) as reservation:
            reservation.settle(asked.worst)
    except Refused:
        return False
    return True


async def test_a_share_admits_the_same_calls_that_every_process_would() -> None:
    async with made(FakeClock(START)) as governor:
        await governor.turn(switch(percent=10))
        passed = {number for number in range(200) if await admitted(governor, call(number))}

        assert passed == {number for number in range(200) if share_of(f"call_{number}") < 10}
        assert await admitted(governor, call(priority=Priority.CRITICAL))


async def test_critical_calls_spend_their_pool_and_not_a_cent_more() -> None:
    async with made(FakeClock(START)) as governor:
        await governor.turn(switch(pool=3 * CENT, stop="stp_1"))

        assert not await admitted(governor, call(priority=Priority.HIGH))
        for number in range(3):
            assert await admitted(governor, call(number, priority=Priority.CRITICAL))
        with pytest.raises(BudgetExceeded, match="stop stp_1"):
            async with governor.admit(call(4, priority=Priority.CRITICAL)):
                pass

        await governor.turn(switch(stopped=False, stop="stp_1"))
        assert await admitted(governor, call(5, priority=Priority.CRITICAL))


async def test_a_throttle_lowers_the_rate_of_its_service_and_gives_it_back() -> None:
    services = {"anthropic": ServicePolicy(rates=(Rate(count=10, per_ms=60_000),))}
    async with made(FakeClock(START), services=services) as governor:
        rooms = []
        for turned in (switch(grade=0, percent=50, scope={"service": "anthropic"}), switch(grade=0, percent=20)):
            await governor.turn(turned)
            rooms.append(governor.services()[0].room)
        await governor.turn(switch(stopped=False))
        await governor.turn(switch(stopped=False, scope={"service": "anthropic"}))

        assert rooms == [5, 2]
        assert governor.services()[0].room == 10
        assert await admitted(governor, call())


async def test_a_throttle_of_a_key_admits_a_share_of_its_calls() -> None:
    async with made(FakeClock(START)) as governor:
        await governor.turn(switch(grade=0, percent=50, scope={"key": "red"}))
        passed = sum([await admitted(governor, call(n, scope={"key": "red"})) for n in range(200)])
        assert 70 < passed < 130
        assert await admitted(governor, call(201, scope={"key": "blue"}))


async def test_a_switch_that_holds_for_a_time_lets_everything_in_when_it_is_over() -> None:
    clock = FakeClock(START)
    async with made(clock) as governor:
        await governor.turn(switch(expires_ms=NOW_MS + 60_000))
        with pytest.raises(Stopped):
            async with governor.admit(call()):
                pass
        clock.pass_ms(60_000)
        assert await admitted(governor, call(1))
        await governor.tick()
        assert governor.stopped() == ()


async def test_calls_under_way_drain_unless_the_stop_ends_them() -> None:
    async with made(FakeClock(START)) as governor:
        ended: list[str] = []
        async with governor.admit(call(1, scope={"key": "red"})) as red, governor.admit(call(2)) as other:
            red.interrupted = lambda: ended.append("red")
            other.interrupted = lambda: ended.append("other")
            await governor.turn(switch())
            assert ended == []
            await governor.turn(switch(scope={"key": "red"}, cancel=True))
            await governor.tick()
            assert ended == ["red"]
            other.settle({"input_tokens": 1})
        # `red` was broken off and never said what it used.
        assert red.end == "worst"
        assert red.cost == CENT


async def test_revoking_allowances_fences_every_process_and_loses_no_cent() -> None:
    clock = FakeClock(START)
    ledger = MemoryLedger(clock)
    one = Governor(budgets=[daily(10)], prices=PRICES, ledger=ledger, clock=clock, holder="one")
    two = Governor(budgets=[daily(10)], prices=PRICES, ledger=ledger, clock=clock, holder="two")
    async with one, two:
        async with one.admit(call(1, cents=4)) as first:
            assert await admitted(two, call(2))
            assert sorted(await ledger.revoke({})) == ["one", "two"]
            first.settle({"input_tokens": 2})
        await one.balances()
        assert await admitted(two, call(3))
        settled = (await two.balances())[0].settled

    assert settled == 4 * CENT  # 2 corrected from the worst case of 4, and 1 twice
