"""The yardstick beside the project, run as it is: 200 at once on a budget for 20, then again, and again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio
import pytest
from tests.web.gateway.stage import Stage, staged

from aegis.core.budgets import Balance

pytestmark = pytest.mark.anyio

UNIT = "0.0001386"
"""412 + 128 tokens of gpt-4o-mini."""
BUDGET = "budgets:\n  everything: {scope: all, daily: {emergency: 0.002772}}\n"
"""Twenty of them, to the nano-dollar."""
MOCK = "http://127.0.0.1:9237"
WORST = (700 + 128) * 150 + 256 * 600
"""What one of them is held at: its body of less than 700 bytes, and its cap."""


async def burst(shared: Path, address: str, key: str, *more: str) -> dict[str, object]:
    script = shared / "bench/gateway/budget_burst.py"
    command = [sys.executable, str(script), "--url", f"{address}/v1/chat/completions", "--mock", MOCK, "--n", "200"]
    command += ["--k", "20", "--gap", "0.2", "--waves", "6", "--header", f"Authorization: Bearer {key}", *more]
    done = await anyio.run_process(command)
    found: dict[str, object] = json.loads(done.stdout)
    return found


async def everything(stage: Stage) -> Balance:
    return next(balance for balance in await stage.app.governor.balances() if balance.budget == "everything")


@pytest.mark.parametrize("more", [(), ("--stream",), ("--cancel-after", "0.05")])
async def test_two_hundred_on_twenty_never_pass_more_than_twenty(
    shared: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    script = shared / "bench/gateway/mock_upstream.py"
    command = [sys.executable, "-u", str(script), "--port", "9237", "--delay-ms", "100", "--prompt-tokens", "412"]
    vendor = await anyio.open_process(command)
    assert vendor.stdout is not None
    try:
        await vendor.stdout.receive()
        async with staged(tmp_path, budgets=BUDGET, openai=MOCK) as stage:
            found = await burst(shared, stage.address, await stage.key(), *more)
            with anyio.fail_after(20):
                while (balance := await everything(stage)).held:
                    await anyio.sleep(0)
            async with stage.client.get(f"{MOCK}/stats") as answer:
                passed: int = (await answer.json(content_type=None))["requests"]
    finally:
        vendor.kill()
        await vendor.aclose()
    assert passed <= 20, found
    assert balance.settled == passed * 138_600, "the bill is the vendor's, also for programs that left"
    assert balance.limit - balance.settled < WORST, "less than one hold stays unused"
