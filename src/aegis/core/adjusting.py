"""What the ledger takes over from a provider's bill: spending that never passed Aegis, and what unknown charges came to.

Policy: it was spent, so it is counted and never refused; levels are crossed as by any call, and what goes beyond a limit is
overrun. It is counted in the windows of the day it was spent on. Only the store that keeps a sum adds to it, so the same
figure twice changes nothing. Everything here runs inside one transaction of a `Shelf`; the rest of its rules: `core.escrow`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import orjson

from aegis.core.budgets import MONEY, Line
from aegis.core.calls import Usage
from aegis.core.escrow import correct, crossings, new_row
from aegis.core.ledger import Correction, Crossing, Entry, Row, Shelf
from aegis.core.money import Nanos
from aegis.core.usage import units_of
from aegis.core.windows import slot_of, slots_gone_before

OUTSIDE: Final = "(outside)"
"""The model, and the key, of what never passed Aegis."""
SCOPE: Final[Mapping[str, str]] = {"source": "outside", "key": OUTSIDE}
HOLDER: Final = "reconcile"
"""Under whose name it stands in the journal; nobody ever joins as it."""
NOON_MS: Final = 12 * 3_600_000
"""The moment of a UTC day that lies in the same calendar day in all but the outermost zones."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What was spent outside of Aegis at a service on a day, in all: `cost` and `usage` are totals, of which only what is not
    booked yet is added. `lines` are the budget lines that it counts on.
    """

    service: str
    day: date
    cost: Nanos
    usage: Usage
    lines: Sequence[Line]
    message: str

    @property
    def at_ms(self) -> int:
        return _midnight_ms(self.day) + NOON_MS

    @property
    def call_id(self) -> str:
        return f"outside-{self.service}-{self.day.isoformat()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Bookings and corrections that are applied together, whole or not at all."""

    bookings: Sequence[Booking] = ()
    corrections: Sequence[Correction] = ()


@dataclass(slots=True, kw_only=True)
class Adjusted:
    """What an adjustment changed: what each booking added, what corrections gave back in all, and which levels were crossed."""

    booked: dict[tuple[str, date], Nanos] = field(default_factory=dict)
    refunded: Nanos = 0
    corrected: int = 0
    crossings: list[Crossing] = field(default_factory=list)


def adjust(shelf: Shelf, adjustment: Adjustment, now_ms: int) -> Adjusted:
    """Apply an adjustment. A correction that would cost more than the worst case that is counted changes nothing."""
    done = Adjusted()
    for correction in adjustment.corrections:
        entry = shelf.entry(correction.attempt)
        if entry is not None and entry.state == "worst" and 0 <= correction.cost <= entry.cost:
            correct(shelf, correction, now_ms)
            done.refunded += entry.cost - correction.cost
            done.corrected += 1
    for booking in adjustment.bookings:
        _book(shelf, booking, now_ms, done)
    return done


def _book(shelf: Shelf, booking: Booking, now_ms: int, done: Adjusted) -> None:
    number, cost, usage = shelf.booked(booking.call_id, booking.service, OUTSIDE, booking.day)
    more = max(0, booking.cost - cost)
    used = {meter: max(0, units - usage.get(meter, 0)) for meter, units in booking.usage.items()}
    if not more and not any(used.values()):
        return
    used = {"requests": 0, **used}  # it is no call of ours: a meter of requests counts only what the bill says
    holds: dict[int, list[int]] = {}
    for line in booking.lines:
        units = more if line.unit == MONEY else units_of(used, line.unit)
        row = _count(shelf, line, units, booking.at_ms, now_ms) if units else None
        if row is not None:
            holds.setdefault(units, []).append(row.id)
            done.crossings += [news for news in crossings(row, now_ms) if shelf.cross(news)]
            shelf.put(row)
    entry = Entry(
        f"{booking.call_id}/{number + 1}",
        "settled",
        booking.service,
        OUTSIDE,
        booking.at_ms,
        now_ms,
        more,
        more,
        tuple((tuple(rows), units) for units, rows in holds.items()),
        orjson.dumps({"operation": "bill", "scope": dict(SCOPE), "usage": used, "message": booking.message}),
    )
    shelf.write(HOLDER, 0, [entry])
    done.booked[booking.service, booking.day] = more


def _count(shelf: Shelf, line: Line, units: int, at_ms: int, now_ms: int) -> Row | None:
    """The row of a line in the window of `at_ms`, with the units settled; None where a rolling window has left that behind."""
    fresh = new_row(line, at_ms)
    if line.window.kind == "rolling":
        if at_ms < slots_gone_before(fresh.policy, now_ms):
            return None
        row = shelf.newest(line.key) or shelf.add(new_row(line, now_ms))
        slot = slot_of(row.policy, at_ms)
        shelf.set_slot(row.id, slot, shelf.slots(row.id).get(slot, 0) + units)
    else:
        row = shelf.begun(line.key, fresh.starts_ms) or shelf.add(fresh)
    row.settled += units
    row.overrun = max(row.overrun, row.settled + row.leased - row.limit)
    return row


def _midnight_ms(day: date) -> int:
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
