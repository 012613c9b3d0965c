"""A running Aegis: one part that fails, or is away, takes no other part along."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from tests.app.living import living, offline, soon, trail_stopped
from tests.web.faces import faced

from aegis.core.errors import StoreError
from aegis.core.incidents import Event
from aegis.core.telemetry import LoopFailed
from aegis.governor.governor import Governor
from aegis.incidents.pipeline import Pipeline
from aegis.stores.lookups import SqliteLookups

pytestmark = pytest.mark.anyio


class Around:
    """Another part with some of its methods replaced."""

    def __init__(self, part: Any, **methods: Any) -> None:
        self._part, self._methods = part, methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._part, name)


async def test_a_store_that_is_away_is_named_and_nothing_is_said_to_be_ready(tmp_path: Path) -> None:
    async def away(_name: str) -> str | None:
        raise StoreError("The store does not answer")

    async with faced(tmp_path) as face:
        lookups = face.app.lookups
        face.app.lookups = cast("SqliteLookups", Around(lookups, setting=away))
        async with face.client.get(f"{face.address}/readyz") as answer:
            failing = (answer.status, await answer.text())
        async with face.client.get(f"{face.address}/livez") as answer:
            alive = answer.status
        face.app.lookups = lookups
        async with face.client.get(f"{face.address}/readyz") as answer:
            back = answer.status

    assert failing[0] == 503
    assert failing[1].startswith("store: ")
    assert (alive, back) == (200, 200)


@pytest.mark.parametrize("fault", ["hang", "503", "garbage", "huge"])
async def test_a_service_that_is_down_delays_no_other_and_no_event(tmp_path: Path, fault: str) -> None:
    async with living(tmp_path) as here:
        here.world.fault("slack", fault)
        here.world.fault("datadog", fault)
        for user in ("one", "two"):
            taken = await here.app.take(trail_stopped(user), source="cloudtrail")
            assert taken.accepted == 1

        async def others_are_told() -> bool:
            counts = await here.app.outbox.counts()
            return all(
                states.get("done", 0) >= 1 and not states.get("ready") and not states.get("leased")
                for name, states in counts.items()
                if name not in ("slack", "datadog")
            )

        async def analysed() -> bool:
            found = await here.app.incidents.recent(10)
            return bool(found) and all(one.analysis for one in found)

        await soon(analysed)
        await soon(others_are_told)
        assert not await here.app.events.pending(10)
        assert (await here.app.outbox.counts())["slack"].keys() != {"done"}


async def test_a_loop_that_fails_is_told_and_begins_again(tmp_path: Path) -> None:
    failures = iter([RuntimeError("a mistake of ours")])

    async def sometimes() -> None:
        for failure in failures:
            raise failure

    async with living(tmp_path, run=False) as here:
        here.app.governor = cast("Governor", Around(here.app.governor, tick=sometimes))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(here.app.run)

            async def told() -> bool:
                return any(isinstance(one, LoopFailed) for one in here.told)

            await soon(told)
            await here.app.take(trail_stopped(), source="cloudtrail")

            async def worked() -> bool:
                return bool(await here.app.incidents.recent(1))

            await soon(worked)
            tasks.cancel_scope.cancel()

    (failed,) = [one for one in here.told if isinstance(one, LoopFailed)]
    assert (failed.loop, failed.message) == ("governor", "RuntimeError: a mistake of ours")
    assert "in sometimes" in failed.trace


async def test_an_event_that_cannot_be_worked_is_set_aside_and_stops_no_other(tmp_path: Path) -> None:
    async with offline(tmp_path) as app:
        pipeline = app.pipeline

        async def handle(events: Sequence[Event]) -> None:
            if any(event.fields.get("poison") for event in events):
                raise ValueError("a mistake of ours")
            await pipeline.handle(events)

        told: list[object] = []
        app.hub.add(told.append)
        app.pipeline = cast("Pipeline", Around(pipeline, handle=handle))
        body = b"".join([trail_stopped("one"), b'{"poison": 1}\n', trail_stopped("two"), b'{"fine": 1}\n'])
        await app.take(body, source="http")
        await app.work_events()

        assert not await app.events.pending(10)
        assert sum(one.count for one in await app.incidents.recent(10)) == 2
        (aside,) = await app.lookups.lines(10)
        assert (aside.file, aside.code, aside.reason) == ("http", "not_worked", "could not be worked (ValueError)")
        assert [one.loop for one in told if isinstance(one, LoopFailed)] == ["detection"]


async def test_an_update_leaves_at_once_not_at_the_next_look(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        await here.app.take(trail_stopped(), source="cloudtrail")

        async def told() -> bool:
            found = await here.app.incidents.recent(1)
            return bool(found and found[0].analysis and not await here.app.outbox.undelivered())

        await soon(told)
        (incident,) = await here.app.incidents.recent(1)
        began = here.app.clock.now()
        await here.app.pipeline.acknowledge(incident.id, by="somebody")
        await soon(told)

    assert (here.app.clock.now() - began).total_seconds() < 3  # a look comes every five seconds
