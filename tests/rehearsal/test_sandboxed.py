"""A rehearsal on a person's own configuration reaches nobody."""

from pathlib import Path

import pytest

from aegis.app.gateway import upstreams
from aegis.config.load import load
from aegis.rehearsal.sandboxed import SandboxKeys, sandboxed
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

OWN = 'gateway: {upstreams: {mine: {kind: openai, base_url: "https://api.openai.com", key: env:REAL_KEY}}}\n'


async def test_the_gateways_vendors_are_the_sandbox_too(tmp_path: Path) -> None:
    (tmp_path / "aegis.yaml").write_text(OWN)
    async with serve(World(clock=FakeClock())) as serving:
        config = sandboxed(load(tmp_path / "aegis.yaml", {}), serving)
        assert {one.base_url.startswith(serving.url) for one in config.gateway.upstreams} == {True}
        assert "env:REAL_KEY" not in {str(one.key) for one in config.gateway.upstreams}


async def test_the_rehearsals_gateway_has_every_vendor_that_a_gateway_can_have(tmp_path: Path) -> None:
    (tmp_path / "aegis.yaml").write_text(OWN)
    async with serve(World(clock=FakeClock())) as serving:
        config = sandboxed(load(tmp_path / "aegis.yaml", {}), serving)
        made = upstreams(config.gateway, SandboxKeys(serving))
        assert [one.settings.kind for one in made] == ["anthropic", "openai", "bedrock"]
        assert [one.signer is not None for one in made] == [False, False, True]
        for one in made:
            await one.relay.close()
