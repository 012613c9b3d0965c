"""The nouns of a cost report: what a span of days came to, by whom and for what, and what was not spent, with its method.

Policy: what was spent is the ledger's own figure, to the nano-dollar; what was avoided is an estimate, so every such figure
carries the sentence that says how it was made and how many events could not be valued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from aegis.core.forecasts import Forecast
from aegis.core.money import Nanos

NAMES: Final = (
    "service", "model", "key", "team", "incident", "severity", "purpose", "source", "operation", "provider",
)  # fmt: skip
"""What spending can be broken down by: everything that a budget's scope can name, and the incident."""

Method = Literal["gate", "folding", "severity", "cache", "downgrade"]
Baseline = Literal["per-detection", "per-incident"]

BASELINES: Final[Mapping[Baseline, str]] = {
    "per-detection": "a model is asked about every detection",
    "per-incident": "a model is asked about every incident, whatever its severity",
}
"""What the spending on analysis is compared with. `per-detection` is the "before" of the product's first description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many calls ended in which way, and what they cost together."""

    calls: int = 0
    cached: int = 0
    refused: int = 0
    cost: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One row of a breakdown: the value of the name (`(none)` where a call does not say), and its part of the whole."""

    value: str
    counted: Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class CostDay:
    """One day in UTC, and what each service came to on it."""

    day: date
    by_service: Mapping[str, Nanos]

    @property
    def cost(self) -> Nanos:
        return sum(self.by_service.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Avoided:
    """What was not spent for one reason. `unvalued` of the `events` had nothing comparable to value them by."""

    method: Method
    events: int
    unvalued: int
    amount: Nanos
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Spending on analysis beside what a named baseline would have spent. `each` is the mean of an analysis by a model in
    the span; None where no model was asked, and then nothing can be compared.
    """

    baseline: Baseline
    analyses: int
    would_be: int
    each: Nanos | None
    spent: Nanos

    @property
    def before(self) -> Nanos | None:
        return None if self.each is None else self.each * self.would_be

    @property
    def saved(self) -> Nanos | None:
        return None if self.before is None else max(0, self.before - self.spent)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentCount:
    """The incidents that opened in the span, by severity, and the detections folded into them."""

    by_severity: Mapping[str, int]
    detections: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_severity.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """What the days `first` to `last` (UTC, both included) came to. `by` holds a breakdown for each name, the dearest
    first; the sum of each is `total`. `emergencies` is how often a budget reached its emergency level.
    """

    first: date
    last: date
    generated_at: datetime
    total: Counted
    days: tuple[CostDay, ...]
    by: Mapping[str, tuple[Share, ...]]
    incidents: IncidentCount
    emergencies: int
    avoided: tuple[Avoided, ...]
    saving: Saving

    @property
    def average_day(self) -> Nanos:
        """The mean of a day, rounded to the nearest nano-dollar."""
        count = len(self.days)
        return (2 * self.total.cost + count) // (2 * count)

    @property
    def dearest_day(self) -> CostDay:
        """The day that cost most, the first of them where several did."""
        return max(self.days, key=lambda day: (day.cost, -day.day.toordinal()))


Route = tuple[str, str, str]
"""Service, model and operation: what makes two calls comparable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Calls of one day that asked for `wanted` first and were served by `model`: their usage added up, and their cost."""

    day: date
    service: str
    wanted: str
    model: str
    calls: int
    usage: Mapping[str, int]
    cost: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the record says of a span of days, added up: `routes` by what makes calls comparable, `by` for each name asked,
    `gates` how many calls each gate refused by route, `analyses` the calls to models that explained incidents.
    """

    days: Mapping[date, Mapping[str, Counted]]
    routes: Mapping[Route, Counted]
    gates: Mapping[tuple[str, Route], int]
    by: Mapping[str, Mapping[str, Counted]]
    served: tuple[Served, ...]
    analyses: Counted
    incidents: IncidentCount
    emergencies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekInCosts:
    """Seven whole days beside the seven before, and what every budget will come to."""

    week: CostReport
    before: Nanos
    forecasts: tuple[Forecast, ...]
