"""The sync twin is the same governor: from many threads at once, and from event loops that are not its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from tests.library.stage import CENT, PRICES
from tests.library.test_opening import pages

import aegis
from aegis.core.errors import Stopped
from aegis.sync import open_governor

pytestmark = pytest.mark.anyio


def test_many_threads_never_overspend() -> None:
    with open_governor(budgets={"day": "0.50"}, prices=PRICES) as governor:

        def one(number: int) -> bool:
            try:
                with governor.admit(pages(number) if number else pages(1)) as reservation:
                    reservation.settle({"pages": 1})
            except aegis.Refused:
                return False
            return True

        with ThreadPoolExecutor(16) as threads:
            made = sum(threads.map(one, [1] * 200))
        [balance] = governor.balances()
        assert (made, balance.settled, balance.held) == (50, 50 * CENT, 0)


def test_what_it_answers_is_what_the_governor_answers() -> None:
    with open_governor(budgets={"day": "0.10"}, prices=PRICES) as governor:
        with governor.admit(pages(2)) as reservation:
            reservation.settle({"pages": 2})
        assert [(s.service, s.calls, s.cost) for s in governor.spent()] == [("reports", 1, 2 * CENT)]
        [explained] = governor.explain("report-2")
        assert explained.state == "settled"
        assert [status.service for status in governor.services()] == ["reports"]
        governor.stop({"service": "reports"}, "no paper")
        with pytest.raises(Stopped, match="no paper"), governor.admit(pages(1)):
            pass
        governor.resume({"service": "reports"})
        with governor.admit(pages(1)):
            pass


def test_the_blocks_own_error_comes_out_as_it_is_and_counts() -> None:
    with open_governor(budgets={"day": "0.10"}, prices=PRICES) as governor:
        with pytest.raises(LookupError, match="mine"), governor.admit(pages(3)):
            raise LookupError("mine")
        [balance] = governor.balances()
        assert (balance.settled, balance.held) == (3 * CENT, 0)


async def test_another_event_loop_may_use_it_and_be_cancelled() -> None:
    with open_governor(budgets={"day": "0.10"}, prices=PRICES) as governor:
        async with governor.admit_async(pages(2)) as reservation:
            reservation.settle({"pages": 1})
        with anyio.CancelScope() as scope:
            async with governor.admit_async(pages(2)):
                scope.cancel()
                await anyio.sleep_forever()
        with pytest.raises(LookupError, match="mine"):
            async with governor.admit_async(pages(4)):
                raise LookupError("mine")
        [balance] = governor.balances()
        assert (balance.settled, balance.held) == (7 * CENT, 0)
