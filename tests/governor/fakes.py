"""A governor on a clock that stands still, with prices that are easy to add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Call, Priority
from aegis.core.ports import Answers, Ledger
from aegis.core.prices import Price, PriceBook
from aegis.core.telemetry import Happened
from aegis.core.windows import WindowPolicy
from aegis.governor.governor import Governor
from aegis.governor.policies import ServicePolicy
from aegis.stores.memory_ledger import MemoryLedger
from aegis.testing import FakeClock

T = TypeVar("T")
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
HOUR_MS = 3_600_000
CENT = 10_000_000
"""A cent in nano-dollars."""


DAY = WindowPolicy(kind="day")
PRICES = PriceBook(
    overrides={
        ("anthropic", "dear"): Price(
            service="anthropic",
            model="dear",
            rates={"input_tokens": ((0, 1_000_000 * CENT),), "output_tokens": ((0, 1_000_000 * CENT),)},
        ),
        ("anthropic", "cheap"): Price(
            service="anthropic", model="cheap", rates={"input_tokens": ((0, 100_000 * CENT),)}
        ),
        ("virustotal", ""): Price(service="virustotal", model="", rates={}),
    }
)
"""`dear` costs a cent a token, `cheap` a tenth of that, virustotal nothing."""


def daily(cents: int, *, name: str = "everything", warning: int | None = None, **more: object) -> Budget:
    """A daily budget of so many cents."""
    amounts = Amounts(window=DAY, emergency=cents * CENT, warning=None if warning is None else warning * CENT)
    return Budget(name=name, windows=(amounts,), **more)  # type: ignore[arg-type]


def asking(tokens: int = 1, **more: object) -> Call:
    """A call to the dear model that may use so many tokens."""
    settings: dict[str, object] = {
        "id": "call-1",
        "service": "anthropic",
        "operation": "messages",
        "models": ("dear",),
        "worst": {"input_tokens": tokens},
        "priority": Priority.MEDIUM,
    }
    return Call(**{**settings, **more})  # type: ignore[arg-type]


class Stage:
    """A governor, its clock, its ledger and everything it told."""

    def __init__(
        self,
        *budgets: Budget,
        services: Mapping[str, ServicePolicy] | None = None,
        ledger: Ledger | None = None,
        answers: Answers | None = None,
        clock: FakeClock | None = None,
        holder: str = "main",
        prices: PriceBook = PRICES,
    ) -> None:
        self.clock = clock or FakeClock(START)
        self.ledger = ledger or MemoryLedger(self.clock)
        self.told: list[Happened] = []
        self.governor = Governor(
            budgets=budgets,
            prices=prices,
            ledger=self.ledger,
            clock=self.clock,
            services=services,
            answers=answers,
            observers=(self.told.append,),
            holder=holder,
        )

    def heard(self, kind: type[T]) -> Sequence[T]:
        """What was told of one kind."""
        return [happened for happened in self.told if isinstance(happened, kind)]

    async def settled(self, budget: str = "everything") -> int:
        """What a budget has settled, in cents."""
        [balance] = [b for b in await self.governor.balances() if b.budget == budget]
        return balance.settled // CENT
