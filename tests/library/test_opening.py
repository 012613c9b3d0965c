"""A program opens a governor in one line, in memory or on a file, and what it gives is checked before anything opens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from tests.library.stage import CENT, PRICES

import aegis
from aegis.app import overrides
from aegis.app.overrides import Override
from aegis.core.errors import ConfigError
from aegis.core.money import USD
from aegis.core.windows import WindowPolicy
from aegis.governor.pricing import load_prices
from aegis.library.opening import read_budgets, read_prices
from aegis.stores.database import Database
from aegis.stores.lookups import SqliteLookups
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio


def pages(number: int) -> aegis.Call:
    """A report of so many pages, a cent each."""
    return aegis.Call(id=f"report-{number}", service="reports", operation="print", worst={"pages": number})


async def test_a_budget_of_dollars_holds() -> None:
    async with aegis.open_governor(budgets={"day": "0.10"}, prices=PRICES) as governor:
        async with governor.admit(pages(8)) as reservation:
            reservation.settle({"pages": 3})
        with pytest.raises(aegis.BudgetExceeded):
            async with governor.admit(pages(8)):
                pass
        [balance] = await governor.balances()
        assert (balance.settled, balance.held) == (3 * CENT, 0)


async def test_a_file_remembers_what_was_spent(tmp_path: Path) -> None:
    for settled in (4, 8):
        async with aegis.open_governor(tmp_path / "spend.db", budgets={"day": "0.10"}, prices=PRICES) as governor:
            async with governor.admit(pages(4)) as reservation:
                reservation.settle({"pages": 4})
            [balance] = await governor.balances()
            assert balance.settled == settled * CENT


async def test_a_program_keeps_to_what_somebody_said_about_its_budget_by_command(tmp_path: Path) -> None:
    store, clock = tmp_path / "spend.db", FakeClock()

    async def say(cents: int) -> None:
        database = await Database.open(store)
        word = Override(
            budget="everything", window="day", level="emergency", amount=cents * CENT, by="me", at=clock.now()
        )
        await overrides.add(SqliteLookups(database), read_budgets({"day": "0.10"}), word)
        await database.close()

    await say(3)
    async with aegis.open_governor(store, budgets={"day": "0.10"}, prices=PRICES, clock=clock) as governor:
        with pytest.raises(aegis.BudgetExceeded):
            async with governor.admit(pages(4)):
                pass
        await say(5)
        with anyio.fail_after(60):
            while [balance.limit for balance in await governor.balances()] != [5 * CENT]:
                await clock.advance(250)
        async with governor.admit(pages(5)) as reservation:
            reservation.settle({"pages": 5})


async def test_the_blocks_own_error_comes_out_as_it_is() -> None:
    with pytest.raises(LookupError, match="mine"):
        async with aegis.open_governor(budgets={"day": 1}, prices=PRICES):
            raise LookupError("mine")


async def test_housekeeping_runs_while_the_block_does() -> None:
    clock = FakeClock()
    async with aegis.open_governor(budgets={"day": 1}, prices=PRICES, clock=clock) as governor:
        async with governor.admit(pages(1)) as reservation:
            reservation.settle({"pages": 1})
        assert clock.sleeping >= 1
        await clock.advance(60_000)
        async with governor.admit(pages(1)) as reservation:
            reservation.settle({"pages": 1})
        [balance] = await governor.balances()
        assert (balance.settled, balance.held) == (2 * CENT, 0)


def test_budgets_are_read_from_any_of_their_forms() -> None:
    document = {"budget_thresholds": {"daily": {"warning": 5, "emergency": "10.00"}}}
    text = '{"budget_thresholds": {"daily": {"warning": 5, "emergency": 10.00}}}'
    assert read_budgets(document) == read_budgets(text)
    [budget] = read_budgets({"day": "10", "month": 100})
    assert [(a.window, a.emergency) for a in budget.windows] == [
        (WindowPolicy(kind="day"), 10 * USD),
        (WindowPolicy(kind="month"), 100 * USD),
    ]
    assert read_budgets([budget]) == (budget,)


@pytest.mark.parametrize("wrong", [{}, {"hour": 1}, {"day": "much"}, {"day": "-1"}, {"day": "NaN"}, "not json"])
def test_a_budget_that_cannot_be_read_opens_nothing(wrong: object) -> None:
    with pytest.raises(ConfigError):
        read_budgets(wrong)  # type: ignore[arg-type]


def test_prices_add_to_the_list(tmp_path: Path) -> None:
    book = read_prices({"openai/my-model": {"input_tokens": "3.00"}, "reports": {"pages": 0}}, folder=tmp_path)
    day = FakeClock().now().date()
    assert book.price("openai", "my-model", day).cost({"input_tokens": 1_000_000}) == 3 * USD
    assert book.price("reports", "", day).cost({"pages": 9}) == 0
    assert book.price("anthropic", "claude-haiku-5-5", day) == load_prices(tmp_path).price(
        "anthropic", "claude-haiku-5-5", day
    )
    with pytest.raises(ConfigError, match=r"prices.reports.pages"):
        read_prices({"reports": {"pages": "free"}}, folder=tmp_path)


def test_every_public_name_is_found_and_importing_aegis_loads_none_of_them() -> None:
    stub = Path(aegis.__file__).with_name("__init__.pyi").read_text(encoding="utf-8")
    for name in aegis.__all__:
        assert getattr(aegis, name) is not None
        assert f" as {name}\n" in stub or f"{name}:" in stub
    with pytest.raises(AttributeError):
        aegis.nothing  # type: ignore[attr-defined]  # noqa: B018
    code = "import aegis, sys; print(sorted(name for name in sys.modules if name.startswith('aegis')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "['aegis']"


def test_a_program_that_governs_calls_loads_no_connector_and_no_server() -> None:
    check = (
        "import sys; from aegis import open_governor; "
        "print([m for m in sys.modules if m.startswith(('aegis.connectors', 'aegis.web', 'aegis.app.running', 'aiohttp'))])"
    )
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, check=True, text=True)
    assert loaded.stdout == "[]\n"
