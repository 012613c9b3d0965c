"""Targets that do not answer, answer too late or are others by now: each is named, none is lost, none delays the rest."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from tests.emergency.test_stepping import COUNTS, ORDER
from tests.emergency.world import MINUTES_5, World, Yard, better, world

from aegis.app.returns import break_off
from aegis.core.errors import BadInput, StoreError
from aegis.core.stops import Grade, Stop

pytestmark = pytest.mark.anyio
STOPPED = COUNTS | {"importer": 0, "scorer": 0}


async def stopped(here: World) -> Stop:
    await here.with_time(here.stop)
    (made,) = await here.parts.stops.standing()
    return made


async def returned(here: World, stop: Stop) -> Stop:
    await here.ask_back(stop)
    await here.with_time(lambda: here.climb(stop))
    return await here.parts.stops.get(stop.id)


async def test_what_was_stopped_though_its_answer_was_lost_is_known_by_a_look_and_given_back() -> None:
    async with world() as here:
        here.yard.lost = 6
        stop = await stopped(here)
        assert (stop.failed, {one.id for one in stop.stopped}) == ({}, {"importer", "scorer"})
        assert any("as a look at it shows: yard: the answer was lost" in words for _, words in stop.said)
        assert (await returned(here, stop)).state == "returned"
        assert here.yard.counts == COUNTS


async def test_what_nobody_can_look_at_is_told_as_failed_and_given_back_all_the_same() -> None:
    async with world() as here:
        here.yard.lost, here.yard.blind = 6, True
        stop = await stopped(here)
        assert set(stop.failed) == {"target yard:importer", "target yard:scorer"}
        assert here.yard.counts == STOPPED, "it was stopped, and nobody heard so"
        assert any(told.startswith("LOUD") and "aegis stop retry" in told for told in here.notes.told)
        here.yard.blind = False
        await returned(here, stop)
        assert here.yard.counts == COUNTS


async def test_a_kind_that_never_answers_is_named_keeps_no_other_running_and_is_tried_again_when_asked() -> None:
    shed = Yard(kind="shed", counts={"api": 4, "claude": 1}, registered=("api",), failing=3)
    async with world(beside=(shed,)) as here:
        acted: list[str] = []
        watch(here, acted)
        stop = await stopped(here)
        assert here.yard.counts == STOPPED
        assert stop.failed == {"target shed:api": "shed: did not answer"}
        assert acted == ["shed", "yard", "yard", "shed", "shed"], "the others come before it is tried again"
        assert stop.state == "stopped"

        await here.orders.retry(stop.id, by="ada")
        await here.go()
        stop = await here.parts.stops.get(stop.id)
        assert (stop.state, stop.failed, shed.counts) == ("stopped", {}, {"api": 0, "claude": 1})
        with pytest.raises(BadInput, match="nothing of it waits"):
            await here.orders.retry(stop.id, by="ada")
        assert (await returned(here, stop)).state == "returned"
        assert (here.yard.counts, shed.counts) == (COUNTS, {"api": 4, "claude": 1})


def watch(here: World, acted: list[str]) -> None:
    real: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] = here.stage.act
    for kind, actuator in here.parts.actuators.items():

        class Told:
            async def act(self, do: Callable[[], Awaitable[Any]], kind: str = kind) -> Any:
                acted.append(kind)
                return await real(do)

        actuator._stage = Told()  # type: ignore[attr-defined]


async def test_what_ended_by_itself_is_no_failure_although_its_number_is_anothers() -> None:
    async with world() as here:
        await here.orders.keep(made := await here.orders.plan(ORDER))
        here.yard.gone.add("scorer")
        await here.orders.apply(made.id, by="grace")
        await here.go()
        stop = await here.parts.stops.get(made.id)
        assert (stop.state, stop.failed, here.yard.touched) == ("stopped", {}, {"importer"})
        assert not any(told.startswith("LOUD") for told in here.notes.told)


async def test_what_could_not_be_given_back_is_told_loudly_and_given_back_when_asked_again() -> None:
    async with world() as here:
        stop = await here.stop()
        here.yard.failing = 6
        stop = await returned(here, stop)
        assert (stop.state, here.yard.counts) == ("returned", STOPPED)
        assert any(told.startswith("LOUD Returned") and "NOT given back" in told for told in here.notes.told)

        await here.orders.recover(stop.id, by="ada", approver="grace", root_cause="the engine was down")
        await here.go()
        stop = await here.parts.stops.get(stop.id)
        assert (stop.state, stop.failed, here.yard.counts) == ("returned", {}, COUNTS)
        assert await here.share() is None, "no second ramp"
        with pytest.raises(BadInput):
            await here.orders.recover(stop.id, by="ada", approver="grace", root_cause="x")


async def test_what_is_about_to_be_touched_is_on_the_log_and_in_the_store_before_it_is() -> None:
    async with world() as here:
        seen: list[tuple[str, bool]] = []
        stop_id = ""

        class Told:
            async def act(self, do: Callable[[], Awaitable[Any]]) -> Any:
                facts: Mapping[str, str] = here.log.facts[-1] if here.log.entries[-1][1].startswith("targets.") else {}
                kept = await here.parts.stops.get(stop_id)
                seen.append((here.log.entries[-1][1], len(facts) == 3 and len(kept.begun) == 2))
                return await do()

        here.parts.actuators["yard"]._stage = Told()  # type: ignore[attr-defined]
        await here.orders.keep(made := await here.orders.plan(ORDER))
        stop_id = made.id
        await here.orders.apply(made.id, by="grace")
        await here.go()
        await here.ask_back(made)
        await here.go()
        assert seen == [("targets.stopping", True)] * 2 + [("targets.returning", True)] * 2


async def test_a_stop_that_lapses_while_a_target_is_being_stopped_gives_that_one_back() -> None:
    async with world() as here:
        await here.orders.keep(made := await here.orders.plan(ORDER))
        await here.orders.apply(made.id, by="grace")
        real = here.parts.stops.save
        left = {"saves": 0}

        async def save(stop: Stop) -> bool:
            """Somebody is faster at the moment after the targets were touched."""
            left["saves"] += bool(stop.begun and stop.done[-1].startswith("target"))
            return False if left["saves"] == 1 else await real(stop)

        here.parts.stops.save = save  # type: ignore[method-assign]
        await here.stepper.turn()
        kept = await here.parts.stops.get(made.id)
        assert (here.yard.counts, kept.stopped) == (STOPPED, ())
        assert {one.id for one in kept.touched} == {"importer", "scorer"}


async def test_a_log_that_cannot_be_written_keeps_nothing_from_being_stopped_but_everything_from_returning() -> None:
    async with world() as here:
        await here.orders.keep(made := await here.orders.plan(ORDER))
        here.log.broken = True
        with pytest.raises(StoreError):
            await here.orders.apply(made.id, by="grace")
        assert await here.share() == 0, "admissions are closed all the same"
        here.log.broken = False
        await here.go()
        here.log.broken = True
        with pytest.raises(StoreError):
            await here.orders.recover(made.id, by="ada", approver="grace", root_cause="a loop")
        assert (await here.parts.stops.get(made.id)).state == "stopped"


async def test_a_second_breach_stops_what_was_given_back_and_it_can_return_later() -> None:
    async with world() as here:
        stop = await here.stop(Grade.G4)
        await here.ask_back(stop)
        await here.climb(stop, steps=1)
        assert here.yard.counts == COUNTS
        good, here.seen = here.seen, better(here.seen, failed=60)
        here.clock.pass_ms(MINUTES_5)
        await here.go()
        assert ((await here.parts.stops.get(stop.id)).state, here.yard.counts) == ("stopped", STOPPED)
        here.seen = good
        assert (await returned(here, stop)).state == "returned"
        assert here.yard.counts == COUNTS


async def test_a_return_that_a_person_breaks_off_stops_what_was_given_back_and_it_can_return_later() -> None:
    async with world() as here:
        stop = await here.stop()
        await here.ask_back(stop)
        await here.go()
        assert (await here.share(), here.yard.counts) == (10, COUNTS)
        await break_off(here.parts, stop.id, by="ada")
        assert await here.share() == 0
        await here.go()
        assert here.yard.counts == STOPPED
        assert (await returned(here, stop)).state == "returned"
