"""From a bill to what the ledger is told: the budget lines that outside spending counts on, and the truth of unknown charges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import orjson

from aegis.core.adjusting import OUTSIDE, SCOPE, Booking
from aegis.core.budgets import MONEY, BudgetBook
from aegis.core.calls import Call, Priority, Usage
from aegis.core.ledger import Correction, Entry
from aegis.core.money import Nanos
from aegis.core.ports import Ledger

OPERATION: Final = "bill"
SETTLED: Final = "settled from the provider's bill"


def booking(book: BudgetBook, service: str, day: date, *, cost: Nanos, usage: Usage, message: str) -> Booking:
    """What was spent outside of Aegis in all. It counts on every budget that a call of least priority would: what is kept for
    severities stays theirs as long as it can.
    """
    call = Call(
        id=f"outside-{service}",
        service=service,
        operation=OPERATION,
        worst={},
        models=(OUTSIDE,),
        scope=SCOPE,
        priority=Priority.LOW,
    )
    lines = book.route(call, OUTSIDE).lines
    return Booking(service=service, day=day, cost=cost, usage=usage, lines=lines, message=message)


async def corrections(ledger: Ledger, unknown: Sequence[Entry], costs: Sequence[Nanos]) -> Sequence[Correction]:
    """What attempts that are counted at their worst case really cost. Meters are scaled as the money, rounded up. Raises
    `StoreError`.
    """
    rows = sorted({row for entry in unknown for some, _ in entry.holds for row in some})
    units = {row.id: row.unit for row in await ledger.numbered(rows)}

    def scaled(counted: int, entry: Entry, cost: Nanos) -> int:
        return -(-counted * cost // entry.cost) if entry.cost else counted

    return [
        Correction(
            attempt=entry.attempt,
            cost=cost,
            units={
                row: cost if units[row] == MONEY else scaled(counted, entry, cost)
                for some, counted in entry.holds
                for row in some
            },
            body=_body(
                entry, {m: scaled(n, entry, cost) for m, n in orjson.loads(entry.body).get("usage", {}).items()}
            ),
        )
        for entry, cost in zip(unknown, costs, strict=True)
    ]


def _body(entry: Entry, usage: Usage) -> bytes:
    return orjson.dumps({**orjson.loads(entry.body), "usage": usage, "message": SETTLED})
