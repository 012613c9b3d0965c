"""An optimiser on AWS of our own making and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.cost_optimization.aws import PRICES, Clients

from aegis.cost_optimization import CostOptimizer

STEP_MS = 5_000
"""Shorter than a lease."""
Make = Callable[..., CostOptimizer]


class SteppingClock:
    """Time moves only by sleeping; both clocks move together."""

    def __init__(self) -> None:
        self.wall_ms = int(datetime(2026, 11, 10, 12, tzinfo=UTC).timestamp()) * 1_000

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wall_ms / 1_000, UTC)

    def monotonic_ns(self) -> int:
        return self.wall_ms * 1_000_000

    async def sleep_ms(self, milliseconds: int) -> None:
        import anyio

        if milliseconds == 250:  # housekeeping: it must not carry time away
            await anyio.sleep_forever()
        self.wall_ms += milliseconds
        await anyio.lowlevel.checkpoint()


def go_on(optimizer: CostOptimizer, clock: SteppingClock, milliseconds: int) -> None:
    """Let time pass as it does for a running program: its housekeeping keeps what it was lent."""
    governor = optimizer.engine.governor
    governor.run(governor.parts.governor.balances)
    for _ in range(milliseconds // STEP_MS):
        clock.wall_ms += STEP_MS
        governor.run(governor.parts.governor.tick)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def clients() -> Clients:
    return Clients()


@pytest.fixture
def make(clients: Clients, clock: SteppingClock) -> Iterator[Make]:
    """Makes optimisers that are closed at the end."""
    made: list[CostOptimizer] = []

    def optimizer(**settings: Any) -> CostOptimizer:
        settings = {"home": ":memory:", "prices": PRICES, "clock": clock, **settings}
        made.append(CostOptimizer(settings.pop("aws_clients", clients), **settings))
        return made[-1]

    yield optimizer
    for one in made:
        one.close()
