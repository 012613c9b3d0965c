"""Events of a file worked again, on their own time, against the sandbox: under one configuration, or under two to compare.

Policy: nothing leaves the machine and nothing of the state folder is touched; the same file comes to the same, whatever the
machine. Events are worked in the order of their time.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio

from aegis.app import App, Machine, open_app
from aegis.config.settings import Config
from aegis.core.errors import BadInput
from aegis.core.incidents import Event
from aegis.core.ports import Http
from aegis.incidents.formats.records import Rejected
from aegis.incidents.intake import chunks_of, read_events
from aegis.rehearsal.clock import StoryClock
from aegis.rehearsal.demo import MODEL_MS, seeded_ids
from aegis.rehearsal.sandboxed import SandboxKeys, sandboxed
from aegis.rehearsal.stage import Director, WatchedHttp
from aegis.rehearsal.summary import Tally
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World

EVENTS_MAX: Final = 200_000
"""Events of one replay: they are held in memory, to be put into order."""
AFTER: Final = timedelta(minutes=15)
"""How long what still waits after the last event may take to leave."""
SEED: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What stands in the files: events in the order of their time, how many lines could not be read."""

    events: Sequence[Event]
    rejected: int


def read(files: Iterable[Path], *, at: str | None, received_at: Any) -> Read:
    """All events of these files. Raises `BadInput` for more than `EVENTS_MAX`, and for none at all."""
    found: list[Event] = []
    rejected = 0
    for file in files:
        for item in read_events(chunks_of(file), source=str(file), received_at=received_at, at=at):
            if isinstance(item, Rejected):
                rejected += 1
            elif isinstance(item, Event):
                found.append(item)
            if len(found) > EVENTS_MAX:
                raise BadInput(f"more than {EVENTS_MAX:,} events; replay the files one by one", code="too_many_events")
    if not found:
        raise BadInput(f"there is no event in these files ({rejected} lines could not be read)", code="no_events")
    return Read(events=sorted(found, key=lambda event: (event.at, event.id)), rejected=rejected)


async def replay(events: Sequence[Event], config: Config) -> Mapping[str, Any]:
    """Work these events in a fresh Aegis; what came of it, as in the summary of the demo, and the requests that each service
    of the sandbox received.
    """
    clock, tally, watched = StoryClock(events[0].at), Tally(), list[WatchedHttp]()

    def watch(http: Http) -> Http:
        watched.append(WatchedHttp(http, clock, {"anthropic": MODEL_MS}))
        return watched[0]

    world = World(clock=clock)
    machine = Machine(clock=clock, new_id=seeded_ids(clock, SEED), chance=random.Random(SEED), watch_http=watch)
    with TemporaryDirectory(prefix="aegis-replay-") as folder:
        async with (
            serve(world) as serving,
            open_app(
                _played(config, serving),
                home=Path(folder),
                resolve=SandboxKeys(serving),
                machine=machine,
                observers=(tally,),
            ) as app,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(app.run)
            await _play(app, Director(app, clock, watched[0]), events)
            tasks.cancel_scope.cancel()
    received = {
        name: counted.received for name, counted in world.tallies().items() if name not in ("attack", "prometheus")
    }
    summary = tally.summary("replay", budget=0, report="", received=received)
    for name in ("schema", "budget_usd", "report"):
        summary.pop(name)
    return {**summary, "events": len(events)}


def _played(config: Config, serving: Serving) -> Config:
    """The configuration with the sandbox behind it: the connectors that it names, or all where it names none."""
    whole = sandboxed(config, serving)
    named = {name: values for name, values in whole.connectors.items() if name in config.connectors}
    quiet = replace(whole, heartbeat=None, backup=None, weekly=None, otlp=None)
    return replace(quiet, connectors=named or whole.connectors)


async def _play(app: App, director: Director, events: Sequence[Event]) -> None:
    for _, together in groupby(events, key=lambda event: event.at.replace(microsecond=0)):
        second = list(together)
        await director.reach(second[0].at)
        await app.events.accept(second)
        await app.work_events()
    await director.finish(by=events[-1].at + AFTER)


def differences(now: Mapping[str, Any], then: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the other configuration changes: detections, incidents and analyses by kind, requests by service."""
    return {
        "detections": then["detections"] - now["detections"],
        "incidents": _less(then["incidents"], now["incidents"]),
        "analyses": _less(then["analyses"], now["analyses"]),
        "received": _less(_received(then), _received(now)),
    }


def _received(summary: Mapping[str, Any]) -> Mapping[str, int]:
    return {name: values["received"] for name, values in summary["services"].items()}


def _less(then: Mapping[str, int], now: Mapping[str, int]) -> Mapping[str, int]:
    names = [*now, *(name for name in then if name not in now)]
    return {name: diff for name in names if (diff := then.get(name, 0) - now.get(name, 0))}
