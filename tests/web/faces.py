"""A whole Aegis with its HTTP face on loopback and the sandbox behind it, for tests of what a client sees."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio

from aegis.app import App, Machine, open_app
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.rehearsal.story import STARTS
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing.clock import FakeClock
from aegis.web.access import TOKEN_FILE, Access
from aegis.web.server import create
from aegis.web.serving import listen, serving

BRUTE_FORCE = b"".join(
    b"Mar  3 23:41:%02d bastion-1 sshd[4242]: Failed password for root from 203.0.113.66 port 40000 ssh2\n" % second
    for second in range(40)
)


@dataclass
class Face:
    """An open client, the address, and what stands behind it."""

    address: str
    app: App
    world: World
    access: Access
    client: aiohttp.ClientSession
    token: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@asynccontextmanager
async def faced(home: Path, more: str = "") -> AsyncIterator[Face]:
    """The face of an Aegis in `home`, with `more` lines of configuration. Nothing runs in the background: tests call `app.finish`."""
    home.mkdir(mode=0o700, exist_ok=True)
    clock = FakeClock(STARTS)
    world = World(clock=clock)
    access = Access.in_folder(home)
    async with (
        serve(world) as sandbox,
        open_app(
            sandbox_config(sandbox, more=more), home=home, resolve=SandboxKeys(sandbox), machine=Machine(clock=clock)
        ) as app,
        serving(create(app, access=access, received=world.tallies), listen("127.0.0.1", 0)) as address,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,
    ):
        token = await anyio.Path(home / TOKEN_FILE).read_text()
        yield Face(address, app, world, access, client, token.strip())
