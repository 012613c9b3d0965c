"""The ledger beside the providers' bills, against a sandbox that bills what it really served."""

from pathlib import Path

import pytest
from tests.app.bills import NOON, billed

from aegis.core.money import format_usd

pytestmark = pytest.mark.anyio


async def test_what_passed_aegis_agrees_with_the_bill(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        spent = await here.governed() + await here.governed()
        here.days_pass(2)

        ran = await here.reconciling.run(days=7, by="test", providers=["anthropic"])

        assert ran.problems == {}
        [row] = ran.rows
        assert (row["state"], row["billed_usd"], row["drift_usd"]) == ("agrees", format_usd(spent), "0.00")
        assert row["day"] == NOON.date().isoformat()


async def test_spending_behind_aegis_is_found_told_booked_once_and_counted(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        ours = await here.governed()
        theirs = await here.behind(words=20_000, times=12)
        here.days_pass(2)

        found = await here.reconciling.run(days=7, by="test", providers=["anthropic"])
        applied = await here.reconciling.run(days=7, by="test", providers=["anthropic"], apply="all", watched=False)
        again = await here.reconciling.run(days=7, by="test", providers=["anthropic"], apply="all")

        [row] = found.rows
        assert (row["state"], row["cause"], row["to_book_usd"]) == ("differs", "outside", format_usd(theirs))
        assert row["incident"]
        assert list(applied.done.booked.values()) == [theirs]
        assert again.done.booked == {}
        assert await here.total() == ours + theirs
        [row] = again.rows
        assert (row["state"], row["drift_usd"], row["incident"]) == ("agrees", "0.00", None)
