"""A governed function is admitted before it runs, settled by what its result says, and refused without having run."""

from __future__ import annotations

import pytest
from tests.library.stage import CENT, PRICES

import aegis
from aegis.core.calls import Usage
from aegis.core.errors import Billed, ConfigError
from aegis.sync import open_governor

pytestmark = pytest.mark.anyio


def bound(pages: int) -> Usage:
    return {"pages": pages}


def used(result: list[str]) -> Usage:
    return {"pages": len(result)}


async def test_an_async_function_is_governed() -> None:
    async with aegis.open_governor(budgets={"day": "0.10"}, prices=PRICES) as governor:

        @aegis.governed(governor=governor, service="reports", worst=bound, usage=used)
        async def print_out(pages: int) -> list[str]:
            """Prints."""
            return ["page"] * (pages // 2)

        assert await print_out(8) == ["page"] * 4
        assert (print_out.__name__, print_out.__doc__) == ("print_out", "Prints.")
        with pytest.raises(aegis.Refused):
            await print_out(7)
        [balance] = await governor.balances()
        assert balance.settled == 4 * CENT


def test_a_plain_function_is_governed_by_the_sync_twin() -> None:
    with open_governor(budgets={"day": "0.10"}, prices=PRICES) as governor:
        ran: list[int] = []

        @aegis.governed(governor=governor, service="reports", worst=bound)
        def print_out(pages: int) -> None:
            ran.append(pages)

        print_out(6)
        with pytest.raises(aegis.Refused):
            print_out(6)
        [balance] = governor.balances()
        assert (balance.settled, ran) == (6 * CENT, [6])  # nothing says what it used: the worst case counts


async def test_a_block_settles_its_own_reservation_and_may_be_entered_by_many() -> None:
    async with aegis.open_governor(budgets={"day": "0.10"}, prices=PRICES) as governor:
        block = aegis.governed(governor=governor, service="reports", worst={"pages": 4})
        async with block as outer, block as inner:
            outer.settle({"pages": 1})
            inner.settle({"pages": 2})
        [balance] = await governor.balances()
        assert (balance.settled, balance.held) == (3 * CENT, 0)


def test_a_plain_block_that_fails_unbilled_costs_nothing() -> None:
    with open_governor(budgets={"day": "0.10"}, prices=PRICES) as governor:
        with (
            pytest.raises(aegis.ServiceError),
            aegis.governed(governor=governor, service="reports", worst={"pages": 4}),
        ):
            raise aegis.ServiceError("reports", "no paper", retryable=True, billed=Billed.NO)
        [balance] = governor.balances()
        assert (balance.settled, balance.held) == (0, 0)


async def test_a_function_that_does_not_fit_its_governor_is_refused_when_it_is_made() -> None:
    async with aegis.open_governor(budgets={"day": 1}, prices=PRICES) as governor:
        with pytest.raises(ConfigError, match=r"aegis\.sync"):
            aegis.governed(governor=governor, service="reports")(bound)
