"""A stop and its return come to the same end wherever the process dies, and nothing but the plan's targets is touched."""

import anyio
import pytest
from tests.emergency.world import MINUTES_5, World, better, world

from aegis.core.errors import BadInput
from aegis.core.ramps import Measured
from aegis.core.stops import Check, Grade, Stop
from aegis.emergency.planning import Order

pytestmark = pytest.mark.anyio
ORDER = Order(grade=Grade.G4, scope={}, reason="runaway", by="ada")
COUNTS = {"importer": 3, "scorer": 7, "claude": 1, "openai-client": 2}


async def there_and_back(here: World) -> Stop:
    """A whole stop and a whole return, whatever dies on the way."""
    stop = await here.stop()
    assert stop.state == "stopped"
    assert here.yard.counts == COUNTS | {"importer": 0, "scorer": 0}
    assert await here.share() == 0
    await here.ask_back(stop)
    return await here.climb(stop)


async def test_a_stop_goes_down_in_order_and_comes_back_by_the_ramp() -> None:
    async with world() as here:
        shares: list[int | None] = []
        stop = await here.stop()
        shares.append(await here.share())
        await here.ask_back(stop)
        await here.go()
        for _ in range(3):
            shares.append(await here.share())
            here.clock.pass_ms(MINUTES_5)
            await here.go()
        stop = await here.parts.stops.get(stop.id)

        assert shares == [0, 10, 50, None]
        assert stop.state == "returned"
        assert here.yard.counts == COUNTS
        assert here.yard.touched == {"importer", "scorer"}
        assert here.notes.open_incidents == set()
        assert [told for told in here.notes.told if told.startswith("replayed")] == [
            "replayed 10 %", "replayed 50 %", "replayed 100 %",
        ]  # fmt: skip
        assert [what for _, what in here.log.entries] == [
            "stop.planned", "stop.applying", "stop.applied", "targets.stopping", "target.stopped", "target.stopped",
            "stop.done", "return.asked", "admissions.turning", "admissions.turned", "targets.returning",
            "target.restored", "target.restored", "admissions.turning", "admissions.turned", "return.stepped",
            "admissions.turning", "admissions.turned", "return.stepped", "return.done",
        ]  # fmt: skip


async def acts_of_a_whole_story() -> int:
    async with world() as here:
        await there_and_back(here)
        return here.stage.acts


@pytest.mark.parametrize("still_done", [False, True], ids=["before", "after"])
async def test_wherever_the_process_dies_it_comes_to_the_same_end(*, still_done: bool) -> None:
    acts = await acts_of_a_whole_story()
    assert acts > 30
    for number in range(1, acts + 1):
        async with world() as here:
            here.stage.last = (number, still_done)
            stop = await there_and_back(here)

            assert here.stage.deaths == 1, f"act {number} came"
            assert stop.state == "returned", f"act {number}"
            assert here.yard.counts == COUNTS, f"act {number}"
            assert here.yard.touched == {"importer", "scorer"}, f"act {number}"
            assert await here.share() is None, f"act {number}"
            assert here.notes.open_incidents == set(), f"act {number}"


async def test_twenty_cycles_give_everything_back(*, long: bool) -> None:
    async with world() as here:
        for number in range(200 if long else 20):
            here.stage.last = (here.stage.acts + number % 37 + 1, bool(number % 2))
            assert (await there_and_back(here)).state == "returned"
            here.stage.last = None

        assert here.yard.counts == COUNTS
        assert here.yard.touched == {"importer", "scorer"}


async def test_an_automatic_stop_tells_first_and_touches_only_what_is_preauthorised() -> None:
    async with world() as here:
        here.notes.has_left = False
        made = await here.stop(automatic=True)
        assert made.plan.targets == ()
        assert (made.state, await here.share()) == ("stopping", None)

        here.notes.has_left = True
        await here.go()
        assert await here.share() == 0
        assert here.yard.counts == COUNTS
    async with world(preauthorised=("yard:scorer",)) as here:
        await here.stop(automatic=True)
        assert here.yard.touched == {"scorer"}


async def test_a_message_that_does_not_leave_delays_by_five_seconds_only() -> None:
    async with world() as here:
        here.notes.has_left = False
        await here.stop(automatic=True)
        here.clock.pass_ms(5_000)
        await here.go()
        assert await here.share() == 0


async def test_what_changed_since_the_plan_is_left_alone_and_told_loudly() -> None:
    async with world() as here:
        await here.orders.keep(made := await here.orders.plan(ORDER))
        here.yard.counts["scorer"] = 9
        await here.orders.apply(made.id, by="grace")
        await here.go()

        assert here.yard.counts["scorer"] == 9
        assert any(told.startswith("LOUD Stopped at G4") and "scorer" in told for told in here.notes.told)
        stop = await here.parts.stops.get(made.id)
        await here.ask_back(stop)
        assert (await here.climb(stop)).state == "returned"
        assert here.yard.counts == COUNTS | {"scorer": 9}


async def test_a_breach_goes_back_and_a_second_stops_again() -> None:
    async with world() as here:
        stop = await here.stop()
        await here.ask_back(stop)
        await here.climb(stop, steps=1)
        assert await here.share() == 50

        here.seen = better(here.seen, failed=60)
        await here.stepper.turn()
        # One turn sees the breach twice: the second look at 10 % has the same calls before it.
        stop = await here.parts.stops.get(stop.id)
        assert (stop.state, await here.share()) == ("stopped", 0)
        assert here.yard.counts == COUNTS | {"importer": 0, "scorer": 0}, "what was given back is stopped again"
        assert any(told.startswith("LOUD One step back") for told in here.notes.told)
        assert any(told.startswith("LOUD Stopped again") for told in here.notes.told)

        here.seen = Measured(calls=100)
        await here.ask_back(stop)
        assert (await here.climb(stop)).state == "returned"


async def test_a_runaway_does_not_return_at_the_pace_that_it_was_stopped_for() -> None:
    async with world() as here:
        here.seen = Measured(calls=100, cost=50_000_000)
        here.usually = 400_000
        stop = await here.stop()
        assert stop.plan.burn == 50_000_000, "what doing nothing costs"
        here.seen = Measured(calls=0)
        await here.ask_back(stop)
        await here.go()
        here.seen = Measured(calls=9, cost=60_000)  # 5 minutes of 10 %, and a fifth more, are 4,000
        await here.go()
        stop = await here.parts.stops.get(stop.id)
        assert stop.state == "stopped"
        assert any("more than their share of what is usual" in told for told in here.notes.told)


async def test_what_blocks_keeps_it_stopped() -> None:
    async with world() as here:
        stop = await here.stop()
        here.checks = [
            Check(name="bill", good=False, text="2 calls have no end"),
            Check(name="keys", good=True, text=""),
        ]
        await here.ask_back(stop)
        stop = await here.climb(stop)

        assert (stop.state, await here.share()) == ("stopped", 0)
        assert "No return: bill: 2 calls have no end" in stop.said[-1][1]


async def test_a_return_needs_an_approver_and_a_cause_and_for_programs_another_person() -> None:
    async with world() as here:
        stop = await here.stop()
        for wrong in ({"approver": ""}, {"root_cause": " "}, {"approver": "ada"}):
            asked = {"by": "ada", "approver": "grace", "root_cause": "x", **wrong}
            with pytest.raises(BadInput):
                await here.orders.recover(stop.id, **asked)


async def test_a_service_that_does_not_answer_is_asked_three_times() -> None:
    async with world() as here:
        here.yard.failing = 2
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(here.stop)
                while here.yard.counts["scorer"]:
                    await here.clock.advance(1_000)

        assert here.yard.counts == COUNTS | {"importer": 0, "scorer": 0}


async def test_a_scope_that_two_stops_need_stays_closed_until_the_last() -> None:
    async with world() as here:
        first = await here.stop(Grade.G1)
        second = await here.stop()
        await here.ask_back(second)
        assert (await here.climb(second)).state == "returned"
        assert await here.share() == 0

        await here.ask_back(first)
        assert (await here.climb(first)).state == "returned"
        assert await here.share() is None


async def test_a_stop_for_a_time_returns_by_itself() -> None:
    async with world() as here:
        expires_ms = here.parts.now_ms() + 60_000
        stop = await here.stop(Grade.G2, expires_ms=expires_ms)
        here.clock.pass_ms(60_000)
        await here.go()
        assert (await here.parts.stops.get(stop.id)).state == "returned"
        assert await here.share() is None
        with pytest.raises(BadInput, match="do not come back by themselves"):
            await here.stop(Grade.G4, expires_ms=expires_ms)


async def test_two_processes_do_not_step_one_stop() -> None:
    async with world() as here:
        here.notes.has_left = False
        await here.stop()
        other = here.stepper
        here.restart()
        here.notes.has_left = True
        assert await here.stepper.turn() is False
        assert await other.turn() is True


async def test_where_nobody_can_look_the_plan_says_so_and_stops_the_rest() -> None:
    async with world() as here:
        here.yard.unreachable = True
        made = await here.stop()
        assert made.state == "stopped"
        assert made.plan.unseen == ("yard: yard: did not answer",)
        assert await here.share() == 0
        assert any(
            told.startswith("LOUD Stopped at G4") and "nobody could look at yard" in told for told in here.notes.told
        )
