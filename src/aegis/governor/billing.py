"""From a bill to what the ledger is told: the budget lines that outside spending counts on, and the truth of unknown charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import orjson

from aegis.core.adjusting import OUTSIDE, SCOPE, Booking
from aegis.core.budgets import MONEY, BudgetBook
from aegis.core.calls import Call, Priority, Usage
from aegis.core.ledger import Correction, Entry
from aegis.core.money import Nanos
from aegis.core.ports import Ledger
from aegis.core.usage import units_of

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
    return [_correction(entry, cost, units) for entry, cost in zip(unknown, costs, strict=True)]


def _correction(entry: Entry, cost: Nanos, units: Mapping[int, str]) -> Correction:
    body: dict[str, Any] = orjson.loads(entry.body)
    usage: dict[str, int] = body.get("usage", {})
    true = {meter: _scaled(count, cost, entry.cost) for meter, count in usage.items()}
    found = {}
    for some, held in entry.holds:
        for row in some:
            # Of a process that was lost its holds were counted. One that lived counted what the entry says, which is more
            # than it still held where that had shrunk or was fitted.
            unit = units[row]
            counted = held if "message" not in body else entry.cost if unit == MONEY else units_of(usage, unit)
            found[row] = held + (cost if unit == MONEY else _scaled(counted, cost, entry.cost)) - counted
    return Correction(
        attempt=entry.attempt,
        cost=cost,
        units=found,
        body=orjson.dumps({**body, "usage": true, "message": SETTLED}),
    )


def _scaled(count: int, cost: Nanos, counted: Nanos) -> int:
    """A count in proportion to the money, rounded up."""
    return -(-count * cost // counted) if counted else count
