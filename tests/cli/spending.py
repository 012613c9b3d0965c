"""Puts calls into the store of a place as a program would: through a governor on its ledger."""

from collections.abc import Mapping
from contextlib import suppress

from tests.cli.running import Place

from aegis.app.system import SystemClock
from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Call, Priority
from aegis.core.errors import BudgetExceeded
from aegis.core.money import usd
from aegis.core.prices import Price, PriceBook
from aegis.core.windows import WindowPolicy
from aegis.governor.governor import Governor
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger

CENT = 10_000_000
SETTINGS = "budgets: {everything: {daily: {warning: 0.05, critical: 0.08, emergency: 0.10}}}\n"
BUDGET = Budget(
    name="everything",
    windows=(
        Amounts(window=WindowPolicy(kind="day"), warning=usd("0.05"), critical=usd("0.08"), emergency=usd("0.10")),
    ),
)
PRICES = PriceBook(
    overrides={
        ("anthropic", "m"): Price(
            service="anthropic", model="m", rates={"input_tokens": ((0, 1_000_000 * CENT),)}, source="test"
        )
    }
)


async def spend(place: Place, *cents: int, scope: Mapping[str, str] | None = None, prefix: str = "call") -> None:
    """One call of so many cents each, `PREFIX-1` and so on; what the budget refuses is on record as refused."""
    place.home.mkdir(mode=0o700, exist_ok=True)
    database = await Database.open(place.home / "aegis.db")
    clock = SystemClock()
    try:
        governor = Governor(budgets=[BUDGET], prices=PRICES, ledger=SqliteLedger(database, clock), clock=clock)
        async with governor:
            for number, tokens in enumerate(cents, start=1):
                call = Call(
                    id=f"{prefix}-{number}",
                    service="anthropic",
                    operation="messages",
                    models=("m",),
                    worst={"input_tokens": tokens},
                    scope=scope or {},
                    priority=Priority.HIGH,
                )
                with suppress(BudgetExceeded):
                    async with governor.admit(call) as reservation:
                        reservation.settle(call.worst)
    finally:
        await database.close()
