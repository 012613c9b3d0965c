"""A gateway that is killed with -9 in the middle of calls, and comes back on the same store: no hold stays, and what its
vendors charged, counted by a process of its own, is never more than the ledger says, the ledger never more than the limit.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from tests.scenarios.processes import sandbox
from tests.web.gateway.running import Place, fail, place, told
from tests.web.gateway.stage import HELLO
from tests.web.gateway.yardstick import BUDGET, UNIT_NANOS, WORST_NANOS, burst, stats, vendor

from aegis.core.money import USD

pytestmark = pytest.mark.anyio

CI_CYCLES, LONG_CYCLES = 2, 50
AT_ONCE = 30
SECONDS = 120
CHAT: Any = {"model": "gpt-6-luna", "max_completion_tokens": 64, "messages": HELLO}
WORST_MAX = 80_000
"""Nano-dollars of one call: its body and framing of less than 480 bytes at 100, and its cap of 64 tokens at 500."""
SLOW_MS = 150
"""A vendor charges when it is asked and answers later: whoever is killed meanwhile does not know."""


async def ask(client: aiohttp.ClientSession, address: str, key: str, *, stream: bool) -> int:
    """The status of one call; 0 for one whose gateway is gone."""
    try:
        body, head = CHAT | {"stream": stream}, {"Authorization": f"Bearer {key}"}
        async with client.post(f"{address}/v1/chat/completions", json=body, headers=head) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError:
        return 0


async def wave(address: str, key: str, outcomes: Counter[int]) -> None:
    """Calls at once, every third a stream."""
    async with aiohttp.ClientSession() as client, anyio.create_task_group() as tasks:

        async def one(number: int) -> None:
            outcomes[await ask(client, address, key, stream=number % 3 == 0)] += 1

        for number in range(AT_ONCE):
            tasks.start_soon(one, number)


async def charged(vendors: str) -> int:
    """What the vendor of chats has charged, in nano-dollars."""
    return int(Decimal((await told(vendors, "openai"))["billed_usd"]) * USD)


async def nothing_is_held(here: Place, address: str) -> int:
    """What is settled, once nothing is held: at once after a start, in a moment after calls."""
    with anyio.fail_after(SECONDS):
        while (line := (await here.budgets(address))["everything"])["held_units"]:
            await asyncio.sleep(0.05)
    return int(line["settled_units"])


async def one_life(here: Place, vendors: str, key: str, chance: random.Random, outcomes: Counter[int]) -> None:
    """Start, serve, be killed in the middle of a wave."""
    async with here.up() as (address, process):
        line = (await here.budgets(address))["everything"]
        assert line["held_units"] == 0, "what was held before the kill is settled at the start"
        before = (await told(vendors, "openai"))["received"]
        over = anyio.Event()

        async def whole() -> None:
            await wave(address, key, outcomes)
            over.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(whole)
            while not over.is_set() and (await told(vendors, "openai"))["received"] == before:
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0, 2 * SLOW_MS / 1_000))
            process.kill()


async def test_a_gateway_that_is_killed_holds_nothing_afterwards_and_counts_all_that_was_charged(
    tmp_path: Path, *, long: bool
) -> None:
    cycles, chance, outcomes = LONG_CYCLES if long else CI_CYCLES, random.Random(9), Counter[int]()
    limit = cycles * AT_ONCE * 2 // 3 * WORST_MAX
    budget = f"budgets:\n  everything: {{scope: all, daily: {{emergency: {Decimal(limit) / USD}}}}}\n"
    async with sandbox(tmp_path / "vendors") as vendors:
        at = {name: f"{vendors}/{name}" for name in ("openai", "anthropic")}
        here = place(tmp_path / "home", budgets=budget, **at)
        key = await here.key("bot")
        await fail(vendors, "openai", mode="slow", delay_ms=SLOW_MS)
        for _ in range(cycles):
            await one_life(here, vendors, key, chance, outcomes)
        await fail(vendors, "openai", mode="ok")
        async with here.up() as (address, _):
            settled = await nothing_is_held(here, address)
        truth, rows = await charged(vendors), here.journal()
    lost = [row for row in rows if row["state"] == "worst"]
    assert 0 < truth <= settled <= limit
    assert settled == sum(row["cost"] for row in rows if row["state"] != "refused")
    assert {row["state"] for row in rows} <= {"settled", "worst", "void", "refused"}, "every call has ended"
    assert lost, f"some were lost in the kills: {outcomes}"
    assert {row["cost"] - row["worst"] for row in lost} == {0}
    assert max(row["worst"] for row in rows) <= WORST_MAX


async def test_two_hundred_on_twenty_with_a_kill_between_never_pass_more_than_twenty(
    shared: Path, tmp_path: Path
) -> None:
    async with vendor(shared) as mock:
        here = place(tmp_path / "home", budgets=BUDGET, openai=mock, anthropic=mock)
        key = await here.key("bot")
        async with here.up() as (address, process), anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: burst(shared, address, mock, key, waves=1))
            with anyio.fail_after(SECONDS):
                while not (await stats(mock))["requests"]:
                    await asyncio.sleep(0.01)
            process.kill()
        before = (await stats(mock))["requests"]
        async with here.up() as (address, _):
            await nothing_is_held(here, address)
            await burst(shared, address, mock, key)
            settled = await nothing_is_held(here, address)
            after = (await stats(mock))["requests"]
    limit = 20 * UNIT_NANOS
    assert before > 0
    assert (before + after) * UNIT_NANOS <= settled <= limit
    assert limit - settled < WORST_NANOS, "less than one hold stays unused"
