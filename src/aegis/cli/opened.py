"""Opens an Aegis for one command: configuration, secrets, a lock on the state folder."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from aegis.app import App, Machine, open_app
from aegis.cli.reading import SANDBOX_STORE
from aegis.cli.session import Session
from aegis.config.settings import Config
from aegis.core.errors import ConfigError
from aegis.core.telemetry import Observer
from aegis.incidents.lane import RULES, LaneRule

if TYPE_CHECKING:
    from aegis.sandbox.world import World

LOCK_FILE = "aegis.lock"
SANDBOX_JOURNAL = "sandbox.jsonl"


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the state folder: one Aegis works on it at a time. Raises `ConfigError` when another one does."""
    with (home / LOCK_FILE).open("a+") as file:
        _lock(file, home)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _lock(file: IO[str], home: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(
            f"another Aegis works on {home}; send to it (POST /api/events), stop it, or use another --home"
        ) from error


@asynccontextmanager
async def opened(
    session: Session, *, sandbox: bool = False, observers: tuple[Observer, ...] = (), link_base: str = ""
) -> AsyncIterator[tuple[App, World | None]]:
    """An Aegis of this session's configuration. With `sandbox` every outside service is a sandbox that runs inside
    this process and keeps what it got in the state folder. Raises `ConfigError` and `StoreError`.
    """
    config = session.config()  # first: a wrong one leaves nothing behind
    home = session.make_home()
    async with AsyncExitStack() as stack:
        stack.enter_context(alone(home))
        world: World | None = None
        resolve = session.resolver(config).resolve
        machine = session.machine or Machine()
        if sandbox:
            world, config, resolve = await _behind_sandbox(stack, config, home)
            machine = replace(machine, lane_rules={name: LaneRule() for name in RULES})
        app = await stack.enter_async_context(
            open_app(
                config,
                home=home,
                resolve=resolve,
                machine=machine,
                observers=observers,
                link_base=link_base,
                locks=session.secrets(session.config()).keys,
            )
        )
        yield app, world


async def _behind_sandbox(stack: AsyncExitStack, config: Config, home: Path) -> tuple[World, Config, Any]:
    from aegis.app.system import SystemClock
    from aegis.rehearsal.sandboxed import SandboxKeys, sandboxed
    from aegis.sandbox.server import serve
    from aegis.sandbox.world import World

    world = World(clock=SystemClock(), journal=home / SANDBOX_JOURNAL)
    stack.callback(world.close)
    serving = await stack.enter_async_context(serve(world))
    store = replace(config.store, file=SANDBOX_STORE) if config.store.file == "aegis.db" else config.store
    return world, sandboxed(replace(config, store=store), serving), SandboxKeys(serving)
