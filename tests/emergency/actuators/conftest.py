"""A sandbox on loopback, and the one door to it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from aegis.app.system import SystemClock
from aegis.core.ports import HttpAnswer, HttpRequest
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.transport.http import OutboundHttp


@dataclass
class Outside:
    """A served sandbox, the door to it, and every request that went through."""

    world: World
    url: str
    door: OutboundHttp
    sent: list[HttpRequest]

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.sent.append(request)
        return await self.door.send(request)

    async def ask(self, method: str, path: str, value: Any = None, **headers: str) -> HttpAnswer:
        """A request of the test's own, which is not counted."""
        sent = {"content-type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        body = b"" if value is None else orjson.dumps(value)
        return await self.door.send(
            HttpRequest(service="test", method=method, url=self.url + path, headers=sent, body=body)
        )

    def changes(self) -> list[str]:
        """What was asked for that may change something: method and path."""
        return [f"{one.method} {one.url.removeprefix(self.url)}" for one in self.sent if one.method != "GET"]


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    clock = SystemClock()
    world = World(clock=clock)
    door = OutboundHttp(clock=clock, observer=lambda _: None)
    async with serve(world) as serving:
        yield Outside(world, serving.url, door, [])
        await door.close()
