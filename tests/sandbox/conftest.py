"""A served world, a client and the contracts."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.sandbox.places import Client, Contracts, HandClock

from aegis.sandbox.server import serve
from aegis.sandbox.world import World


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def world(clock: HandClock) -> World:
    return World(clock=clock)


@pytest.fixture
async def client(world: World, clock: HandClock) -> AsyncIterator[Client]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with serve(world) as serving, aiohttp.ClientSession(timeout=timeout) as session:
        yield Client(world, clock, serving, session)


@pytest.fixture
def contracts(shared: Path) -> Contracts:
    return Contracts(shared / "contracts")
