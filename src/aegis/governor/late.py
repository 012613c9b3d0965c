"""What was learned late: the true use of an attempt that its process did not live to settle."""

from __future__ import annotations

from typing import Literal

import orjson

from aegis.core.budgets import MONEY
from aegis.core.calls import Usage
from aegis.core.ledger import Correction, Entry
from aegis.core.money import Nanos
from aegis.core.ports import Ledger
from aegis.core.usage import units_of


async def late_correction(
    ledger: Ledger, attempt: str, usage: Usage, cost: Nanos
) -> Correction | Literal["settled"] | None:
    """The correction of an attempt that was counted at its worst case; `settled` where nothing is left to correct; None
    while it is still under way. Raises `StoreError`.
    """
    call_id = attempt.rpartition("/")[0]
    found = next((entry for entry in await ledger.attempts(call_id) if entry.attempt == attempt), None)
    if found is not None and found.state == "sent":
        return None
    if found is None or found.state != "worst":
        return "settled"
    rows = await ledger.numbered(sorted({row for rows, _ in found.holds for row in rows}))
    units = {row.id: cost if row.unit == MONEY else units_of(usage, row.unit) for row in rows}
    return Correction(attempt=attempt, cost=cost, units=units, body=_body(found, usage))


def _body(entry: Entry, usage: Usage) -> bytes:
    return orjson.dumps({**orjson.loads(entry.body), "usage": dict(usage), "message": "learned late"})
