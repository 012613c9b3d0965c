"""What a correlation measures in a window: how many, how many different, sum, average, percentile. Each can take a value
back out, so that a moving window costs the same at any size.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, TypeAlias

from aegis.sigma.rules import Comparison, Correlation

Payload: TypeAlias = str | int | Decimal
"""What an entry adds to its window: a value, a number, or the position of the rule that matched."""


class Measure(Protocol):
    """One figure about the entries of a window."""

    def add(self, payload: Payload) -> None: ...

    def remove(self, payload: Payload) -> None: ...

    def value(self) -> Decimal | None:
        """The figure now; None for that of nothing."""
        ...


class Count:
    """How many entries there are."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def add(self, _: Payload) -> None:
        self._count += 1

    def remove(self, _: Payload) -> None:
        self._count -= 1

    def value(self) -> Decimal:
        return Decimal(self._count)


class Distinct:
    """How many different payloads there are."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[Payload] = Counter()

    def add(self, payload: Payload) -> None:
        self._counts[payload] += 1

    def remove(self, payload: Payload) -> None:
        if self._counts[payload] > 1:
            self._counts[payload] -= 1
        else:
            del self._counts[payload]

    def value(self) -> Decimal:
        return Decimal(len(self._counts))


class Total:
    """The sum of the payloads, or their average. Decimal sums are exact, so nothing drifts."""

    __slots__ = ("_average", "_count", "_sum")

    def __init__(self, *, average: bool) -> None:
        self._average = average
        self._sum = Decimal(0)
        self._count = 0

    def add(self, payload: Payload) -> None:
        self._sum += Decimal(payload)
        self._count += 1

    def remove(self, payload: Payload) -> None:
        self._sum -= Decimal(payload)
        self._count -= 1

    def value(self) -> Decimal | None:
        if not self._count:
            return None
        return self._sum / self._count if self._average else self._sum


class Percentile:
    """The value below or at which a share of the payloads lies, between neighbours by their distance (the median of
    1 and 2 is 1.5).
    """

    __slots__ = ("_percent", "_sorted")

    def __init__(self, percent: Decimal) -> None:
        self._percent = percent
        self._sorted: list[Decimal] = []

    def add(self, payload: Payload) -> None:
        insort(self._sorted, Decimal(payload))

    def remove(self, payload: Payload) -> None:
        del self._sorted[bisect_left(self._sorted, Decimal(payload))]

    def value(self) -> Decimal | None:
        if not self._sorted:
            return None
        place = self._percent / 100 * (len(self._sorted) - 1)
        below = int(place)
        above = min(below + 1, len(self._sorted) - 1)
        return self._sorted[below] + (self._sorted[above] - self._sorted[below]) * (place - below)


def measure_of(correlation: Correlation) -> Measure:
    """A new measure for a correlation of any type but `temporal_ordered`."""
    match correlation.type:
        case "event_count":
            return Count()
        case "value_sum":
            return Total(average=False)
        case "value_avg":
            return Total(average=True)
        case "value_median":
            return Percentile(Decimal(50))
        case "value_percentile":
            return Percentile(correlation.percentile)
        case _:
            return Distinct()


def compares(value: Decimal | None, wanted: Sequence[tuple[Comparison, Decimal]]) -> bool:
    """Whether every comparison holds for a figure; none holds for that of nothing."""
    return value is not None and all(_holds(value, comparison, number) for comparison, number in wanted)


def _holds(value: Decimal, comparison: Comparison, number: Decimal) -> bool:
    match comparison:
        case "gt":
            return value > number
        case "gte":
            return value >= number
        case "lt":
            return value < number
        case "lte":
            return value <= number
        case "eq":
            return value == number
        case _:
            return value != number
