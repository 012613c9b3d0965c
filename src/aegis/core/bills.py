"""What providers say that a day cost: one figure per service and UTC day, read from answers that are hostile until checked.

A figure that is negative, absurd, no number or not in dollars is no figure: it is refused whole, and nothing is judged by it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from numbers import Real
from typing import Any, Final, Protocol

from aegis.core.calls import Usage
from aegis.core.errors import BadInput
from aegis.core.exchange import from_json
from aegis.core.money import CALL_MAX, Nanos
from aegis.core.ports import HttpAnswer
from aegis.core.usage import UNITS_MAX

DAY_MAX: Final[Nanos] = CALL_MAX
"""A million dollars of one service on one day is a broken report, not a bill."""
DAY_UNITS_MAX: Final = UNITS_MAX * 1_000
"""The same for units of a meter: an exabyte, or 10^18 tokens."""
DAYS_MAX: Final = 31
"""Days of one comparison: what both model vendors give in one page of days."""
PAGES_MAX: Final = 20
"""Pages that are read of one report; a report that goes on after them is refused, never cut."""
PAGE_CHARS_MAX: Final = 1_000
"""Of the mark of a next page."""
ROWS_MAX: Final = 20_000
"""Rows of one report: a hundred models and lines for each of its days."""
NANO_PLACES: Final = 9
DIGITS_MAX: Final = 60
"""Characters of a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledDay:
    """What a provider says of one service on one UTC day. `meter` is what it counts where that is not money (its figure
    stands in `usage` then); `usage` may hold other meters, for people to see why two figures differ.
    """

    service: str
    day: date
    cost: Nanos = 0
    meter: str = ""
    usage: Usage = field(default_factory=dict)

    @property
    def figure(self) -> int:
        """Nano-dollars, or units of the meter."""
        return self.usage.get(self.meter, 0) if self.meter else self.cost


class Bill(Protocol):
    """A provider's own figures. `lag_ms` is how long after a day's end they still change as a matter of course."""

    @property
    def provider(self) -> str: ...
    @property
    def services(self) -> tuple[str, ...]: ...
    @property
    def lag_ms(self) -> int: ...

    async def days(self, first: date, last: date) -> Sequence[BilledDay]:
        """The days from `first` to `last`, both included; a day without a row cost nothing. Raises `ServiceError`, `BadInput`
        for figures that cannot be, and `Refused` when asking is itself metered and a gate said no.
        """


class Sums:
    """Adds a report's rows up by service and day. Rows of other days are left out: a provider may send more than was asked for."""

    def __init__(self, first: date, last: date) -> None:
        self._first, self._last, self._rows = first, last, 0
        self._costs: dict[tuple[str, date], Nanos] = {}
        self._usage: dict[tuple[str, date], dict[str, int]] = {}

    def cost(self, service: str, day: date, amount: Nanos) -> None:
        """Add an amount. Raises `BadInput` when a day comes to more than `DAY_MAX`."""
        if self._counts(day):
            total = self._costs.get((service, day), 0) + amount
            if total > DAY_MAX:
                raise BadInput(f"more than a million dollars of {service} on {day} is no bill", code="bad_bill")
            self._costs[service, day] = total

    def use(self, service: str, day: date, usage: Mapping[str, int]) -> None:
        """Add units. Raises `BadInput`."""
        if self._counts(day):
            held = self._usage.setdefault((service, day), {})
            for meter, units in usage.items():
                held[meter] = held.get(meter, 0) + units
                if held[meter] > DAY_UNITS_MAX:
                    raise BadInput(f"{held[meter]} {meter} of {service} on {day} is no use", code="bad_bill")

    def _counts(self, day: date) -> bool:
        self._rows += 1
        if self._rows > ROWS_MAX:
            raise BadInput(f"the report has more than {ROWS_MAX} rows", code="bad_bill")
        return self._first <= day <= self._last

    def days(self) -> Sequence[BilledDay]:
        """Every day that has a row, by service and day."""
        return [
            BilledDay(service=service, day=day, cost=self._costs.get((service, day), 0), usage=dict(usage))
            for service, day in sorted({*self._costs, *self._usage})
            for usage in [self._usage.get((service, day), {})]
        ]


def amount_of(value: object, currency: object, *, places: int = 0) -> Nanos:
    """An amount of a bill, in nano-dollars: `value` is a number or its text; with `places` it is not in dollars but so many
    decimal places smaller (2: cents). Rounded to the nearest nano-dollar. Raises `BadInput` (`bad_bill`) for what is no number, negative, absurd or not in dollars.
    """
    if str(currency).lower() != "usd":
        raise BadInput("the bill is not in US dollars; figures in other currencies cannot be compared", code="bad_bill")
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, str | Real | Decimal) or len(text) > DIGITS_MAX:
        raise BadInput("an amount of the bill is no number", code="bad_bill")
    try:
        nanos = Decimal(text).scaleb(NANO_PLACES - places)
    except ArithmeticError:
        raise BadInput("an amount of the bill is no number that can be", code="bad_bill") from None
    if not nanos.is_finite() or nanos < 0 or nanos > DAY_MAX:
        raise BadInput("an amount of the bill is negative or absurd", code="bad_bill")
    return int(nanos.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def units_of_bill(value: object) -> int:
    """A whole count of units; nothing said counts as none. Raises `BadInput` (`bad_bill`)."""
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= DAY_UNITS_MAX:
        raise BadInput("a count of the bill is no count of units", code="bad_bill")
    return value


def day_of(value: object) -> date:
    """The UTC day in which a span of the bill begins: RFC 3339 text, a date, or seconds since 1970. Raises `BadInput`."""
    try:
        if type(value) is int:
            return datetime.fromtimestamp(value, UTC).date()
        if isinstance(value, str) and len(value) <= DIGITS_MAX:
            at = datetime.fromisoformat(value)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).date()
    except (ValueError, OverflowError, OSError):
        pass
    raise BadInput("a span of the bill has no time that can be read", code="bad_bill")


def begins(day: date) -> datetime:
    """The first moment of a UTC day."""
    return datetime.combine(day, time(), UTC)


def is_final(day: date, now: datetime, lag_ms: int) -> bool:
    """Whether the provider has had its time: before, a figure is provisional and nothing is judged by it."""
    return now >= begins(day + timedelta(days=1)) + timedelta(milliseconds=lag_ms)


async def buckets(service: str, ask: Callable[[str], Awaitable[HttpAnswer]]) -> AsyncIterator[Mapping[str, Any]]:
    """The days of a report that both model vendors give in pages of `data`, `has_more` and `next_page`. `ask` gets the mark of
    a page, empty for the first. Raises `BadInput` for a report that holds no days, goes on without saying where, or has more
    than `PAGES_MAX` pages, and what `ask` raises.
    """
    page = ""
    for _ in range(PAGES_MAX):
        held = from_json(service, await ask(page))
        found = held.get("data")
        if not isinstance(found, list):
            raise BadInput("the report holds no list of days", code="bad_bill")
        for bucket in found:
            yield bucket if isinstance(bucket, dict) else {}
        if held.get("has_more") is not True:
            return
        following = held.get("next_page")
        if not isinstance(following, str) or not 0 < len(following) <= PAGE_CHARS_MAX or following == page:
            raise BadInput("the report goes on, and does not say where", code="bad_bill")
        page = following
    raise BadInput(f"the report has more than {PAGES_MAX} pages", code="bad_bill")


def rows_of(bucket: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The rows of one day of such a report. Raises `BadInput`."""
    rows = bucket.get("results")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput("a day of the report holds no list of rows", code="bad_bill")
    return rows
