"""Compares a day's bill with the ledger: the drift, its likely cause, and what the ledger would have to change. Pure.

Policy: money is never minted. Calls whose cost nobody knows were counted at their worst case, so the bill may settle them
for less, never below nothing and never for more than was counted; what the bill has beyond everything counted was spent
outside. Nothing else is ever taken back, and nothing is judged before the provider has had its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from aegis.core.bills import BilledDay
from aegis.core.calls import Usage
from aegis.core.money import USD, Nanos

Cause = Literal["", "provisional", "unknown", "outside", "price", "above"]
CENT: Final[Nanos] = USD // 100
"""Bills are told in cents, ours in nano-dollars: less than one is rounding, and never booked."""
HUNDRED: Final = 10_000
"""Percents are whole hundredths of a percent."""

CAUSES: Final[Mapping[Cause, str]] = {
    "": "both agree",
    "provisional": "the provider still counts this day: not judged yet",
    "unknown": "calls that ended without saying what they used were counted at their worst case",
    "outside": "calls that never passed Aegis, or a bill that was restated upwards",
    "price": "the same usage at another price: look at `aegis price list` and your contract",
    "above": "the ledger counts more than the provider: a price that is too high, a discount, or a bill that is late",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerDay:
    """What the ledger holds of one service on one UTC day. `cost` is all of it; `worst` the part that is counted at its worst
    case; `outside` the part that was booked from bills. `usage` is what passed Aegis, by meter, with `requests`.
    """

    cost: Nanos = 0
    worst: Nanos = 0
    outside: Nanos = 0
    usage: Usage = field(default_factory=dict)
    outside_usage: Usage = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From when on two figures differ: more than `percent` hundredths of a percent, and more than an amount."""

    percent: int = 100
    at_least: Nanos = USD // 10
    units: int = 5
    """The same for a quota: a look-up or two may be under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One service on one day, in nano-dollars or units of `meter`. `drift` is the provider's figure less the ledger's;
    `percent` is it in hundredths of a percent of the larger figure; `settle` what the unknown charges come to together
    (None: nothing to settle); `book` what was spent outside in all (what is booked already included).
    """

    provider: str
    service: str
    day: date
    meter: str
    billed: int
    counted: int
    unknown: Nanos
    outside: int
    drift: int
    percent: int
    cause: Cause
    differs: bool
    provisional: bool
    settle: Nanos | None = None
    book: int = 0

    @property
    def refund(self) -> Nanos:
        """What settling would give back."""
        return 0 if self.settle is None else self.unknown - self.settle

    @property
    def booking(self) -> int:
        """What booking would add."""
        return self.book - self.outside


def compare(
    provider: str, bill: BilledDay, held: LedgerDay, *, provisional: bool, limits: Limits, least: Nanos = CENT
) -> Compared:
    """Compare one day. `least` is the smallest amount that is booked (units are booked from one on)."""
    if bill.meter:
        return _units(provider, bill, held, limits)
    drift = bill.cost - held.cost
    percent = _percent(drift, bill.cost, held.cost)
    settle, book = (None, held.outside) if provisional else _proposal(bill.cost, held, least)
    cause = _cause(bill, held, drift, settle, book) if not provisional else "provisional"
    return Compared(
        provider=provider,
        service=bill.service,
        day=bill.day,
        meter="",
        billed=bill.cost,
        counted=held.cost,
        unknown=held.worst,
        outside=held.outside,
        drift=drift,
        percent=percent,
        cause=cause,
        differs=not provisional and percent > limits.percent and abs(drift) > limits.at_least,
        provisional=provisional,
        settle=settle,
        book=book,
    )


def _proposal(billed: Nanos, held: LedgerDay, least: Nanos) -> tuple[Nanos | None, Nanos]:
    """What unknown charges come to, and what was spent outside in all."""
    left = billed - (held.cost - held.worst)  # what the bill leaves for them
    settle = None
    # A little below nothing is rounding: every call's cost is rounded up, the bill's total once.
    if held.worst and left >= -max(least, billed // 100):
        settle = min(held.worst, max(0, left))
    beyond = left - held.worst
    return settle, held.outside + (beyond if beyond >= least else 0)


def _units(provider: str, bill: BilledDay, held: LedgerDay, limits: Limits) -> Compared:
    """A quota: the provider counts what it used at once, so its day is judged while it goes on."""
    outside = held.outside_usage.get(bill.meter, 0)
    counted = held.usage.get(bill.meter, 0) + outside
    drift = bill.figure - counted
    percent = _percent(drift, bill.figure, counted)
    return Compared(
        provider=provider,
        service=bill.service,
        day=bill.day,
        meter=bill.meter,
        billed=bill.figure,
        counted=counted,
        unknown=0,
        outside=outside,
        drift=drift,
        percent=percent,
        cause="outside" if drift > 0 else "above" if drift < 0 else "",
        differs=percent > limits.percent and abs(drift) > limits.units,
        provisional=False,
        book=outside + max(0, drift),
    )


def _percent(drift: int, billed: int, counted: int) -> int:
    return abs(drift) * HUNDRED // max(billed, counted, 1)


def _cause(bill: BilledDay, held: LedgerDay, drift: Nanos, settle: Nanos | None, book: Nanos) -> Cause:
    if settle is not None and settle < held.worst:
        return "unknown"
    if book > held.outside:
        return "price" if _same_use(bill.usage, held.usage) else "outside"
    return "above" if -drift >= CENT else ""


def _same_use(billed: Usage, counted: Usage) -> bool:
    """Whether both counted the same tokens, to a hundredth: then only the price can differ."""
    ours, theirs = (sum(n for meter, n in one.items() if meter.endswith("_tokens")) for one in (counted, billed))
    return theirs > 0 and abs(theirs - ours) * 100 <= theirs


def shares(total: Nanos, counted: Sequence[Nanos]) -> Sequence[Nanos]:
    """`total` shared out over charges in proportion to what they were counted at: the shares add up to it, and none is above
    its own count. `total` is at most their sum.
    """
    together = sum(counted)
    found = [total * one // together if together else 0 for one in counted]
    rest = total - sum(found)
    for number in sorted(range(len(counted)), key=lambda n: (-(total * counted[n] % max(1, together)), n)):
        if not rest:
            break
        if found[number] < counted[number]:
            found[number] += 1
            rest -= 1
    return found
