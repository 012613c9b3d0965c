"""A whole Aegis with a gateway on loopback, the sandbox as its vendors, and virtual keys made for the test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp

from aegis.app import App, Machine, open_app
from aegis.app.keyring import pepper
from aegis.app.system import SystemClock
from aegis.core.secret import Secret
from aegis.core.virtualkeys import RANDOM_BITS, VirtualKey, key_hash, make_key
from aegis.governor.pricing import compile_list, keep_table
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World
from aegis.web.access import Access
from aegis.web.server import create
from aegis.web.serving import listen, serving

GATEWAY = """\
gateway:
  upstreams:
    anthropic: {{key: env:SANDBOX_KEY, base_url: "{anthropic}"}}
    openai: {{key: env:SANDBOX_KEY, base_url: "{openai}"}}
    bedrock: {{key: env:SANDBOX_AWS, base_url: "{bedrock}", region: eu-west-1}}
"""
HELLO: Any = [{"role": "user", "content": "Failed logins for 214 accounts from 203.0.113.0/24."}]


@dataclass
class Stage:
    """An open client, the gateway's address, and what stands behind it."""

    address: str
    app: App
    world: World
    client: aiohttp.ClientSession
    home: Path
    serving: Serving

    async def key(self, name: str = "bot", **rights: Any) -> str:
        """A fresh virtual key, known to the running gateway."""
        key_id, secret = make_key(secrets.randbits(RANDOM_BITS))
        now = self.app.clock.now()
        hashed = key_hash(secret.reveal().encode(), pepper(self.home))
        await self.app.keys.store.add(VirtualKey(id=key_id, hash=hashed, name=name, created_at=now, **rights), now=now)
        await self.turn()
        return secret.reveal()

    async def turn(self) -> None:
        """One turn of what runs four times a second."""
        for chore in self.app.chores:
            await chore()

    async def post(
        self, path: str, body: Mapping[str, Any], key: str, **headers: str
    ) -> tuple[int, Mapping[str, str], Any]:
        """Status, headers (lower case) and JSON of an answer."""
        head = {"authorization": f"Bearer {key}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self.client.post(self.address + path, json=body, headers=head) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.json()

    async def stream(self, path: str, body: Mapping[str, Any], key: str, **headers: str) -> tuple[int, bytes]:
        """Status and bytes of a stream."""
        head = {"authorization": f"Bearer {key}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        asked = {**body, "stream": True}
        async with self.client.post(self.address + path, json=asked, headers=head) as answer:
            return answer.status, await answer.read()

    def batches(self, service: str) -> list[Any]:
        """The batches that a vendor of the sandbox has."""
        return list(self.world.documents(service, "batch"))

    def billed(self) -> int:
        """What the sandbox's vendors charge, in nano-dollars."""
        return sum(tally.billed for tally in self.world.tallies().values())


@cache
def prices() -> bytes:
    """The compiled price list: 0.8 s of CPU, once for all tests."""
    return compile_list()


@asynccontextmanager
async def staged(
    home: Path,
    *,
    budgets: str = "",
    more: str = "",
    world: World | None = None,
    clock: SystemClock | None = None,
    **upstreams: str,
) -> AsyncIterator[Stage]:
    """`budgets` is YAML in front of everything, `more` ends the section of the gateway; `world` is a sandbox that goes on
    from before; `upstreams` are addresses in place of the sandbox's. Housekeeping runs only where a test calls `turn`.
    """
    home.mkdir(mode=0o700, exist_ok=True)
    keep_table(home, prices())
    clock = clock or SystemClock()
    world = world or World(clock=clock)
    async with serve(world) as sandbox:
        config = sandbox_config(
            sandbox,
            more=budgets
            + GATEWAY.format(**{**sandbox.addresses(), **{name: at for name, at in upstreams.items() if at}})
            + more,
        )
        access = Access(Secret("not-used"))
        async with (
            open_app(config, home=home, resolve=SandboxKeys(sandbox), machine=Machine(clock=clock)) as app,
            serving(create(app, access=access), listen("127.0.0.1", 0)) as address,
            aiohttp.ClientSession() as client,
        ):
            yield Stage(address, app, world, client, home, sandbox)
