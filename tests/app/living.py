"""A whole Aegis on loopback with its background going, and the sandbox around it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from aegis.app import App, Machine, open_app
from aegis.app.system import SystemClock
from aegis.config.load import load
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.core.telemetry import Happened
from aegis.rehearsal.sandboxed import sandbox_config, sandbox_secrets
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World

SOON_SECONDS = 60
LOOK_SECONDS = 0.01

TRAIL_STOPPED = (
    b'{"eventVersion":"1.09","eventTime":"2026-03-03T23:45:50Z","eventSource":"cloudtrail.amazonaws.com",'
    b'"eventName":"StopLogging","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.66","userIdentity":'
    b'{"type":"IAMUser","userName":"%s","arn":"arn:aws:iam::210987654321:user/%s"},'
    b'"requestParameters":{"name":"org-trail"}}\n'
)


def trail_stopped(user: str = "deploy") -> bytes:
    """One event that opens a HIGH incident about this user."""
    return TRAIL_STOPPED % (user.encode(), user.encode())


@dataclass
class Living:
    """A running Aegis, what stands outside, and everything that was told."""

    app: App
    world: World
    told: list[Happened]


@asynccontextmanager
async def living(home: Path, *, secrets: Mapping[str, Secret] | None = None, run: bool = True) -> AsyncIterator[Living]:
    """`secrets` replace the sandbox's made-up ones; without `run` nothing goes on in the background."""
    home.mkdir(mode=0o700, exist_ok=True)
    clock, told = SystemClock(), list[Happened]()
    world = World(clock=clock)
    async with serve(world) as serving:
        known = {**sandbox_secrets(serving), **(secrets or {})}
        async with (
            open_app(
                sandbox_config(serving),
                home=home,
                resolve=lambda reference: known[reference.name],
                machine=Machine(clock=clock),
                observers=(told.append,),
            ) as app,
            anyio.create_task_group() as tasks,
        ):
            if run:
                tasks.start_soon(app.run)
            yield Living(app, world, told)
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def offline(home: Path) -> AsyncIterator[App]:
    """An Aegis that knows no service; nothing goes on in the background."""
    home.mkdir(mode=0o700, exist_ok=True)
    async with open_app(load((), {}), home=home, resolve=_no_secret) as app:
        yield app


def _no_secret(reference: Reference) -> Secret:
    raise AssertionError(f"{reference} was asked for")


async def soon(true: Callable[[], Awaitable[object]]) -> None:
    """Return when it is true; fail when it is not within `SOON_SECONDS`."""
    with anyio.fail_after(SOON_SECONDS):
        while not await true():
            await anyio.sleep(LOOK_SECONDS)


__all__ = ["Living", "Serving", "living", "offline", "soon", "trail_stopped"]
