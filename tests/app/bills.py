"""A whole Aegis beside a sandbox whose vendors tell their bills, with a clock that can be set."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from aegis.app import App, Machine, open_app
from aegis.app.reconciling import Reconciling
from aegis.core.calls import Call
from aegis.core.ports import HttpRequest
from aegis.core.references import Reference
from aegis.rehearsal.sandboxed import sandbox_config, sandbox_secrets
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing import FakeClock
from aegis.transport.http import OutboundHttp

NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
MODEL = "claude-haiku-4-5"
BUDGET = """\
budgets:
  everything:
    daily: {warning: 0.50, critical: 0.80, emergency: 1.00}
    monthly: {warning: 7.50, critical: 9.00, emergency: 10.00}
  keys: {scope: {key: "*"}, daily: {emergency: 5.00}}
"""
"""Seed 001's limits, a tenth of them."""


@dataclass
class Billed:
    """The Aegis, what stands outside, and the ways to call Claude: through the governor or behind its back."""

    app: App
    world: World
    clock: FakeClock
    http: OutboundHttp
    base: str

    @property
    def reconciling(self) -> Reconciling:
        assert self.app.reconciling is not None
        return self.app.reconciling

    async def behind(self, words: int = 2_000, times: int = 1) -> int:
        """Ask Claude as somebody would who has the key and does not know of Aegis; returns nano-dollars by the list."""
        cost = 0
        for _ in range(times):
            cost += price(await self._ask(words))
        return cost

    async def governed(self, words: int = 2_000, *, silent: bool = False, lost: bool = False) -> int:
        """Ask through the governor; `silent` never says what it used, `lost` was never sent at all. Returns what is charged."""
        call = Call(
            id=self.app.new_id("call"),
            service="anthropic",
            operation="messages",
            worst={"input_tokens": 40_000, "output_tokens": 8_000},
            models=(MODEL,),
            scope={"key": "red"},
        )
        async with self.app.governor.admit(call) as reservation:
            usage = {} if lost else await self._ask(words)
            if not (silent or lost):
                reservation.settle(usage)
        await self.app.governor.balances()  # it is on record before the clock moves
        return reservation.cost

    async def _ask(self, words: int) -> dict[str, int]:
        text = "word " * words
        body = {"model": MODEL, "max_tokens": 1_000, "messages": [{"role": "user", "content": text}]}
        headers = {"x-api-key": "sandbox-key", "anthropic-version": "2023-06-01", "content-type": "application/json"}
        answer = await self.http.send(
            HttpRequest(
                service="anthropic",
                method="POST",
                url=f"{self.base}/anthropic/v1/messages",
                headers=headers,
                body=orjson.dumps(body),
            )
        )
        assert answer.status == 200, answer.body
        used = orjson.loads(answer.body)["usage"]
        return {"input_tokens": used["input_tokens"], "output_tokens": used["output_tokens"]}

    def days_pass(self, days: int) -> None:
        """Midnights go by, and the providers have their time."""
        self.clock.pass_ms(days * 86_400_000)

    async def total(self) -> int:
        return sum(spend.cost for spend in await self.app.governor.spent())


def price(usage: dict[str, int]) -> int:
    """By the list: 1 and 5 dollars a million."""
    return usage["input_tokens"] * 1_000 + usage["output_tokens"] * 5_000


@asynccontextmanager
async def billed(
    home: Path, *, more: str = "", at: datetime = NOON, extra: Sequence[str] = ()
) -> AsyncIterator[Billed]:
    """Nothing goes on in the background: tests take its turns themselves."""
    home.mkdir(mode=0o700, exist_ok=True)
    clock = FakeClock(at)
    world = World(clock=clock)
    async with serve(world) as serving:
        config = sandbox_config(serving, more=BUDGET + more, extra=extra)
        services = dict(config.services)
        for name in ("anthropic", "openai"):
            base = f"{serving.url}/{name}"
            admin = Reference("env", "SANDBOX_ADMIN")
            services[name] = replace(services[name], admin_key=admin, base_url=base, rate=None)
        known = sandbox_secrets(serving)
        config = replace(config, services=services)
        http = OutboundHttp(clock=clock, observer=lambda _: None)
        async with open_app(
            config, home=home, resolve=lambda reference: known[reference.name], machine=Machine(clock=clock)
        ) as app:
            yield Billed(app, world, clock, http, serving.url)
        await http.close()


__all__ = ["NOON", "Billed", "billed"]
