"""Where a drill is played: one Aegis on the story's clock in a folder of its own, a sandbox around it, and a watch over
both.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel

from aegis.app import App, Machine, open_app
from aegis.app.keydesk import KeyDesk, MadeKey
from aegis.app.keyring import pepper
from aegis.config.settings import Config
from aegis.connectors import registry
from aegis.core.ports import Analyst, Http, HttpAnswer, HttpRequest
from aegis.governor.pricing import keep_table
from aegis.incidents.lane import RULES
from aegis.rehearsal.clock import StoryClock
from aegis.rehearsal.demo import seeded_ids
from aegis.rehearsal.drills.report import Line, Looked, Measure, Report, Secluded, cut
from aegis.rehearsal.drills.seclusion import Watch
from aegis.rehearsal.drills.seen import Seen
from aegis.rehearsal.programs import Asked, Program, ask
from aegis.rehearsal.sandboxed import sandbox_config, sandbox_secrets, with_gateway
from aegis.rehearsal.stage import Director, WatchedHttp
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World

T = TypeVar("T")
BEGINS: Final = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
SANDBOX_FILE: Final = "sandbox.jsonl"
PLANTS: Final[Mapping[str, str]] = {
    "channels-down": "every channel to people answers 503",
    "breaker-off": "the breaker of the provider never opens",
    "actions-off": "the budget's levels set off nothing but a line in the log",
    "nobody-acts": "nobody acts on the page",
    "backup-lost": "the newest backup was cut short when it was copied away",
}
"""Faults that can be planted on purpose: a drill that still scores 100 with one of them would measure nothing."""
AUDIT_MAX: Final = 10_000
FINE: Final = 40
"""Wakings of a stretch that a drill looks at one by one: ten seconds."""
CHANNELS: Final = ("slack", "teams", "discord", "pagerduty", "email", "twilio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is asked of a drill: `home` is a fresh folder, `table` the compiled price list, `planted` one of `PLANTS`."""

    home: Path
    table: bytes
    seed: int
    fast: bool
    planted: str = ""


Tamper: TypeAlias = Callable[[HttpRequest, HttpAnswer], HttpAnswer]
"""What becomes of an answer on its way: how a drill plays a service that lies."""


@dataclass(frozen=True, slots=True)
class Tampered:
    """The port `Http` with answers changed on their way."""

    http: Http
    tamper: Tamper

    async def send(self, request: HttpRequest) -> HttpAnswer:
        return self.tamper(request, await self.http.send(request))


@dataclass(slots=True, kw_only=True)
class Scene:
    """Everything a drill plays with."""

    asking: Asking
    app: App
    world: World
    clock: StoryClock
    director: Director
    vendor: Analyst
    seen: Seen
    watch: Watch
    chance: random.Random
    began: datetime
    registered: set[str] = field(default_factory=set)

    async def pass_(self, stretch: timedelta) -> None:
        """Let the story's time pass; whatever has to be done on the way is done."""
        await self.director.reach(self.clock.now() + stretch)
        await self.director.calm()

    async def ask(self, program: Program) -> Asked:
        """One call of a program; while it waits for its turn, the story's time passes."""
        return await self.awaited(lambda: ask(self.app, self.vendor, program))

    async def awaited(self, work: Callable[[], Awaitable[T]]) -> T:
        """What some work comes to; while it waits for its turn, the story's time passes."""
        done: list[T] = []

        async def run() -> None:
            done.append(await work())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await self.director.calm()
            while not done and (wakes := self.clock.next_waking()):
                self.clock.move_to(wakes)
                await self.director.calm()
        return done[0]

    def desk(self) -> KeyDesk:
        """Where virtual keys are made and ended, as by `aegis key`."""
        return KeyDesk(
            self.app.keys.store,
            clock=self.clock,
            pepper=pepper(self.app.home),
            randbits=self.chance.getrandbits,
            routes=(),
        )

    async def key(self, name: str, *, team: str) -> MadeKey:
        """A virtual key made for this drill: the only kind of thing that it may stop."""
        made = await self.desk().create(name, team=team)
        self.registered.add(f"virtual-keys:{made.key.id}")
        await self.app.keys.turn()
        return made

    async def take(self, text: str, *, source: str) -> None:
        """Events come in and are worked."""
        await self.app.take(text.encode(), source=source)
        await self.app.work_events()
        await self.director.calm()

    def bill(self, service: str = "anthropic") -> int:
        """What the provider charges, in nano-dollars."""
        return self.world.received(service).billed

    def down(self, services: Collection[str], *, mode: str = "503") -> None:
        for service in services:
            self.world.fault(service, mode)

    def up(self, services: Collection[str]) -> None:
        for service in services:
            self.world.fault(service, "ok")

    async def secluded(self) -> Secluded:
        """The negative check, from the watch and from the audit log."""
        noted = await self.app.audit.entries(limit=AUDIT_MAX)
        touched = {entry.facts["target"] for entry in noted if entry.what == "target.stopped"}
        return self.watch.verdict(registered=self.registered, touched=touched)


@dataclass(frozen=True, slots=True, kw_only=True)
class Props:
    """What differs from drill to drill: `settings` is YAML in front of the services, `extra` names connectors beyond the usual
    ones, `change` edits the configuration, `tamper` the answers of services.
    """

    settings: str = ""
    extra: tuple[str, ...] = ()
    change: Callable[[Config], Config] = lambda config: config
    gateway: bool = False
    tamper: Tamper = lambda _request, answer: answer

    def config(self, serving: Serving) -> Config:
        config = self.change(sandbox_config(serving, more=self.settings, extra=self.extra))
        return with_gateway(config, serving) if self.gateway else config


@asynccontextmanager
async def scene(
    asking: Asking, watch: Watch, props: Props, *, begins: datetime = BEGINS, folder: str = "aegis"
) -> AsyncIterator[Scene]:
    """Open it; lanes keep the pace of the real services."""
    home = asking.home / folder
    home.mkdir(mode=0o700, exist_ok=True)
    keep_table(home, asking.table)
    clock, seen, watched = StoryClock(begins), Seen(), list[WatchedHttp]()
    world, chance = World(clock=clock), random.Random(asking.seed)

    def around(http: Http) -> Http:
        watched.append(WatchedHttp(Tampered(http, props.tamper)))
        return watched[-1]

    async with serve(world) as serving:
        watch.allow(int(urlsplit(serving.url).port or 0))
        watch.allow(serving.mail_port)
        keys, new_id = sandbox_secrets(serving), seeded_ids(clock, asking.seed)
        resolve, config = partial(watch.resolve, keys), props.config(serving)
        machine = Machine(clock=clock, new_id=new_id, chance=chance, watch_http=around, lane_rules=RULES)
        values = {"key": keys["SANDBOX_KEY"], "base_url": serving.addresses()["anthropic"]}
        async with (
            open_app(config, home=home, resolve=resolve, machine=machine, observers=(seen,)) as app,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(app.run)
            here = Scene(
                asking=asking,
                app=app,
                world=world,
                clock=clock,
                director=Director(app, clock, watched[0], fine=FINE),
                vendor=registry.build("anthropic", values, watched[0], clock=clock, new_id=new_id),
                seen=seen,
                watch=watch,
                chance=chance,
                began=begins,
            )
            if asking.planted == "channels-down":
                here.down(CHANNELS)
            await here.director.calm()
            yield here
            tasks.cancel_scope.cancel()


def at_rate(config: Config, per_minute: int) -> Config:
    """Claude may be asked so often: a drill of budgets is none of rates."""
    service = config.services["anthropic"]
    assert service.rate is not None, "the sandbox's configuration has one"
    faster = replace(service, rate=replace(service.rate, count=per_minute))
    return replace(config, services={**config.services, "anthropic": faster})


async def at_once(_stretch: timedelta) -> None:
    """A drill has no audience: nobody waits."""
    await anyio.lowlevel.checkpoint()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a drill says about itself, beside what it measured."""

    kind: str
    title: str
    story: str
    size: str


async def reported(
    here: Scene, told: Told, measures: Collection[Measure], looked: Collection[Looked], *, more: Collection[Line] = ()
) -> Report:
    """The report of a drill that has been played."""
    return Report(
        kind=told.kind,
        title=told.title,
        story=told.story,
        size=told.size,
        seed=here.asking.seed,
        fast=here.asking.fast,
        planted=PLANTS.get(here.asking.planted, ""),
        began=here.began,
        ended=here.clock.now(),
        measures=tuple(measures),
        looked=tuple(looked),
        secluded=await here.secluded(),
        timeline=cut([*here.seen.lines(), *more]),
    )
