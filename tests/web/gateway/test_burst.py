"""Two hundred at once on a budget for twenty, then again, and again."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from tests.web.gateway.stage import Stage, staged
from tests.web.gateway.yardstick import BUDGET, UNIT_NANOS, WORST_NANOS, burst, stats, vendor

from aegis.core.budgets import Balance

pytestmark = pytest.mark.anyio


async def everything(stage: Stage) -> Balance:
    return next(balance for balance in await stage.app.governor.balances() if balance.budget == "everything")


@pytest.mark.parametrize("more", [(), ("--stream",), ("--cancel-after", "0.05")])
async def test_two_hundred_on_twenty_never_pass_more_than_twenty(
    shared: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    async with vendor(shared) as mock, staged(tmp_path, budgets=BUDGET, openai=mock) as stage:
        found = await burst(shared, stage.address, mock, await stage.key(), *more)
        with anyio.fail_after(60):
            while (balance := await everything(stage)).held:
                await anyio.sleep(0)
        passed = (await stats(mock))["requests"]
        if "--cancel-after" in more:  # who left before anything was sent freed a place: it is there for those who stay
            found = await burst(shared, stage.address, mock, await stage.key("patient"))
            passed += (await stats(mock))["requests"]
            balance = await everything(stage)
    assert passed <= 20, found
    assert balance.settled == passed * UNIT_NANOS, "the bill is the vendor's, also for programs that left"
    assert balance.limit - balance.settled < WORST_NANOS, "less than one hold stays unused"
