"""What an incident report is written from: the incident, who was told, its calls, what was spent around it, its stops.

Policy: figures are the ledger's own; what was avoided is an estimate, so every such figure carries how it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aegis.core.incidents import AnalysisSource, Incident
from aegis.core.money import Nanos, show_usd
from aegis.core.notifications import Delivery
from aegis.core.stops import Grade, Stop
from aegis.core.telemetry import CallEnded

HOUR_MS: Final = 3_600_000
STOOD_MS_MAX: Final = 24 * HOUR_MS
"""What doing nothing would have cost is reckoned for a day at most: somebody would have noticed by then."""
SECTIONS: Final[Mapping[str, str]] = {
    "root-cause": "Root Cause Analysis",
    "prevention": "Prevention Measures",
    "lessons": "Lessons Learned",
}
"""The sections that people fill in, as the first specification has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one value of a name (a source, a key, a model) came to."""

    value: str
    calls: int
    cost: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What a scope spent around an incident: `points` are equal parts of the time (their ends in milliseconds, what each
    cost), `top` the dearest by each name, `since_stop` what was spent while each stop stood. `refused` calls were not made; `cut` says that only the newest calls were read.
    """

    about: str
    since_ms: int
    until_ms: int
    points: tuple[tuple[int, Nanos], ...]
    calls: int = 0
    refused: int = 0
    since_stop: Mapping[str, Nanos] = field(default_factory=dict)
    top: Mapping[str, tuple[Spent, ...]] = field(default_factory=dict)
    cut: bool = False

    @property
    def total(self) -> Nanos:
        return sum(cost for _, cost in self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Avoided:
    """An estimate of what was not spent, and how it was made."""

    amount: Nanos
    how: str


def stood(stop: Stop, now_ms: int) -> int:
    """For how many milliseconds a stop stood until it had returned, or stands by now; a day at most."""
    until_ms = stop.said[-1][0] if stop.state == "returned" and stop.said else max(now_ms, stop.applied_ms)
    return min(until_ms - stop.applied_ms, STOOD_MS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a report says. `kept` is what people wrote into its sections, by their names in `SECTIONS`."""

    incident: Incident
    calls: Sequence[CallEnded] = ()
    deliveries: Sequence[Delivery] = ()
    spend: Spend | None = None
    stops: Sequence[Stop] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Sequence[str] = ()
    """Lines that people wrote outside of the marked sections, carried over so that none is lost."""
    made_at: datetime | None = None

    @property
    def avoided(self) -> tuple[Avoided, ...]:
        return tuple(one for one in (*self._by_stops(), self._by_refusals(), self._by_folding()) if one and one.amount)

    def _by_stops(self) -> Sequence[Avoided]:
        return [self._by_stop(stop) for stop in self.stops if stop.applied_ms and stop.plan.grade >= Grade.G1]

    def _by_stop(self, stop: Stop) -> Avoided:
        made_ms = 0 if self.made_at is None else int(self.made_at.timestamp() * 1_000)
        stood_ms = stood(stop, made_ms)
        spent = self.spend.since_stop.get(stop.id, 0) if self.spend else 0
        how = (
            f"{show_usd(stop.plan.burn)} an hour, what the scope cost in the hour before the stop {stop.id}, for the "
            f"{stood_ms // 60_000} minutes that it stood (at most a day), less {show_usd(spent)} that was spent meanwhile"
        )
        return Avoided(amount=max(0, stop.plan.burn * stood_ms // HOUR_MS - spent), how=how)

    def _by_refusals(self) -> Avoided | None:
        """Calls that budgets refused, where no stop counts them already."""
        spend = self.spend
        if spend is None or any(stop.applied_ms for stop in self.stops) or not spend.calls or not spend.refused:
            return None
        each = spend.total // spend.calls
        how = f"{spend.refused} refused calls at {show_usd(each, decimals=4)}, the mean of the {spend.calls} that were made"
        return Avoided(amount=each * spend.refused, how=how)

    def _by_folding(self) -> Avoided | None:
        """Repeats that joined this incident and were not analysed again."""
        analysis, repeats = self.incident.analysis, self.incident.count - 1
        if analysis is None or analysis.source is not AnalysisSource.MODEL or repeats <= 0:
            return None
        how = (
            f"{repeats:,} repeats that were folded into this incident, at the {show_usd(analysis.cost, decimals=4)} "
            f"of its analysis; compared with asking a model about every detection"
        )
        return Avoided(amount=analysis.cost * repeats, how=how)
