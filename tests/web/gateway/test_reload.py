"""The configuration is read again without a pause: what can change changes at once, what is under way goes on."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.transport.scripted import scripted
from tests.web.gateway.stage import GATEWAY, HELLO, Stage, staged
from tests.web.gateway.test_streams import DELTA, END, IN, OUT, START, STOP, post, waiting_for

from aegis.app.reloading import Reloading
from aegis.config.load import load
from aegis.config.settings import Config
from aegis.core.errors import ConfigError
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config

pytestmark = pytest.mark.anyio

MESSAGE: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": HELLO}
BUDGET = "budgets:\n  all: {{scope: all, daily: {{emergency: {0}}}}}\n"


class File:
    """The configuration file, as it is written now, and what reads it again."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.text = stage, ""
        self.reloading = Reloading(stage.app, read=self._read, resolve=SandboxKeys(stage.serving))

    def _read(self) -> Config:
        return sandbox_config(self.stage.serving, more=self.text)

    async def says(self, budgets: str = "", more: str = "", **upstreams: str) -> Any:
        """Write the file and have it read."""
        self.text = budgets + GATEWAY.format(**{**self.stage.serving.addresses(), **upstreams}) + more
        return await self.reloading.reload(by="a test")


async def test_a_stream_goes_on_at_its_upstream_while_the_next_call_goes_to_another(tmp_path: Path) -> None:
    released = asyncio.Event()
    async with scripted(waiting_for(released)) as vendor, staged(tmp_path, anthropic=vendor.url) as stage:
        key = await stage.key()
        answer = await post(stage, "/v1/messages", MESSAGE | {"stream": True}, key)
        await answer.content.readexactly(len(START + DELTA))
        done = await File(stage).says()
        assert done.taken == ("gateway.upstreams.anthropic.base_url",)
        status, _, body = await stage.post("/v1/messages", MESSAGE, key)
        assert (status, body["type"], vendor.connections) == (200, "message", 1)
        released.set()
        assert await answer.read() == END + STOP
        spent = sum(spend.cost for spend in await stage.app.governor.spent())
        assert spent == 40 * IN + 70 * OUT + stage.billed()


async def test_budgets_and_prices_of_the_file_hold_at_once(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=BUDGET.format(5)) as stage:
        key, file = await stage.key(), File(stage)
        assert (await stage.post("/v1/messages", MESSAGE, key))[0] == 200
        done = await file.says(BUDGET.format("0.000001"))
        assert done.taken == ("budgets.all.daily.emergency",)
        assert (await stage.post("/v1/messages", MESSAGE, key))[0] == 429
        prices = 'prices: {"anthropic/claude-haiku-4-5": {input_tokens: 100.00, output_tokens: 100.00}}\n'
        await file.says(BUDGET.format(5) + prices)
        status, head, body = await stage.post("/v1/messages", MESSAGE, key)
        tokens = body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
        assert status == 200
        assert Decimal(head["x-aegis-cost-usd"]) == tokens * Decimal(100) / 10**6


async def test_an_upstream_that_stays_as_it_was_keeps_its_connections(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        assert stage.app.gateway is not None
        before = {one.settings.name: one for one in stage.app.gateway.upstreams}
        done = await File(stage).says(more='  fallback: {"claude-*": [gpt-6-luna]}\n')
        after = {one.settings.name: one for one in stage.app.gateway.upstreams}
        assert [path.partition(".")[2].partition(".")[0] for path in done.taken] == ["fallback"]
        assert {name for name, one in after.items() if before[name] is one} == {"anthropic", "openai"}


async def test_a_wrong_file_is_refused_by_its_place_and_the_old_goes_on(tmp_path: Path) -> None:
    async with staged(tmp_path, budgets=BUDGET.format(5)) as stage:
        key, file = await stage.key(), File(stage)
        wrong = tmp_path / "aegis.yaml"
        wrong.write_text("budgets:\n  all: {scope: all, daily: {emergncy: 0.01}}\n")
        reloading = Reloading(stage.app, read=lambda: load(wrong, {}), resolve=SandboxKeys(stage.serving))
        before = stage.app.config
        with pytest.raises(ConfigError, match=r"aegis\.yaml:2:\d+"):
            await reloading.reload(by="a test")
        with pytest.raises(ConfigError, match="not one of the sandbox's own keys"):
            await file.says(more="    more: {kind: openai, base_url: https://example.com, key: env:UNKNOWN}\n")
        assert stage.app.config is before
        assert (await stage.post("/v1/messages", MESSAGE, key))[0] == 200


async def test_what_waits_for_a_restart_is_named(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        done = await File(stage).says(
            "server: {listen: 127.0.0.1:9999}\nstore: {url: sqlite:other.db}\n", "  drains: 7\n"
        )
        assert done.waits == ("gateway.drains", "server.listen", "store.url")
        assert done.taken == ()
        assert stage.app.config.server.port != 9999
