"""Every claim about a port is made of every store behind it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.stores.making import KINDS, Stores, opened


@pytest.fixture(params=KINDS)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    async with opened(request.param, tmp_path) as found:
        yield found
