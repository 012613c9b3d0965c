"""Works out a cost report from what the record says: pure arithmetic on whole nano-dollars.

Policy: a call that was not made is worth what comparable calls of the same span cost on average: the same service, model and
operation, else the same service and operation. Where there were none it is counted and not valued; nothing is guessed.
Refusals by a rate (bucket, queue, retry) are not counted as avoided: they are asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from aegis.core.costs import (
    Avoided,
    Baseline,
    CostDay,
    CostReport,
    Counted,
    Method,
    Recorded,
    Route,
    Saving,
    Share,
)
from aegis.core.errors import AegisError
from aegis.core.incidents import Severity
from aegis.core.money import Nanos
from aegis.core.prices import PriceBook

NAMES: Final = ("service", "model", "key", "team", "incident", "severity")
"""What every cost report is broken down by, beside the day."""
FOR_GOOD: Final = frozenset({"budget", "stop", "throttle", "breaker", "price"})
"""Gates whose refusal ends a call: what waits for a rate is asked again and then made."""
FORGOTTEN: Final = "(journal no longer kept)"
_MODEL_SEVERITIES: Final = tuple(severity.name for severity in Severity if severity >= Severity.HIGH)

HOW: Final[Mapping[Method, str]] = {
    "gate": "calls refused by a budget, stop, throttle, breaker or missing price, at the mean cost of comparable calls "
    "in the same days",
    "folding": "detections of HIGH and CRITICAL incidents after the first, at the mean cost of an analysis by a model",
    "severity": "detections of LOW and MEDIUM incidents, which no model is asked about, at the mean cost of an analysis "
    "by a model",
    "cache": "answers given from the cache, at the mean cost of comparable calls in the same days",
    "downgrade": "calls that a cheaper model served than the one asked for first: the same usage at the price of that "
    "one, less what was paid",
}


def cost_report(
    found: Recorded, prices: PriceBook, *, first: date, last: date, now: datetime, baseline: Baseline = "per-detection"
) -> CostReport:
    """The report of the days `first` to `last`. Every breakdown adds up to the total: what the journal no longer holds
    stands under `(journal no longer kept)`.
    """
    days = tuple(
        CostDay(day=day, by_service={name: one.cost for name, one in found.days.get(day, {}).items()})
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1))
    )
    total = _sum([one for services in found.days.values() for one in services.values()])
    each = _mean(found.analyses)
    return CostReport(
        first=first,
        last=last,
        generated_at=now,
        total=total,
        days=days,
        by={name: _shares(values, total) for name, values in found.by.items()},
        incidents=found.incidents,
        emergencies=found.emergencies,
        avoided=tuple(_avoided(found, prices, each)),
        saving=_saving(found, baseline, each),
    )


def _sum(parts: Sequence[Counted]) -> Counted:
    return Counted(
        calls=sum(one.calls for one in parts),
        cached=sum(one.cached for one in parts),
        refused=sum(one.refused for one in parts),
        cost=sum(one.cost for one in parts),
    )


def _shares(values: Mapping[str, Counted], total: Counted) -> tuple[Share, ...]:
    """The dearest first; what is missing to the total in a row of its own, last."""
    shares = [Share(value=value, counted=counted) for value, counted in values.items()]
    shares.sort(key=lambda share: (-share.counted.cost, -share.counted.calls, share.value))
    kept = _sum([share.counted for share in shares])
    rest = Counted(
        calls=total.calls - kept.calls,
        cached=total.cached - kept.cached,
        refused=total.refused - kept.refused,
        cost=total.cost - kept.cost,
    )
    return (*shares, Share(value=FORGOTTEN, counted=rest)) if rest != Counted() else tuple(shares)


def _mean(counted: Counted) -> Nanos | None:
    return None if not counted.calls else (2 * counted.cost + counted.calls) // (2 * counted.calls)


def _avoided(found: Recorded, prices: PriceBook, each: Nanos | None) -> Iterator[Avoided]:
    refused: dict[Route, int] = {}
    for (gate, route), count in found.gates.items():
        if gate in FOR_GOOD:
            refused[route] = refused.get(route, 0) + count
    yield _valued("gate", refused, found.routes)
    yield _of_detections("folding", sum(_folded(found, name) for name in _MODEL_SEVERITIES), each)
    low = sum(count for name, count in found.incidents.detections.items() if name not in _MODEL_SEVERITIES)
    yield _of_detections("severity", low, each)
    yield _valued("cache", {route: one.cached for route, one in found.routes.items() if one.cached}, found.routes)
    yield _downgraded(found, prices)


def _folded(found: Recorded, severity: str) -> int:
    return found.incidents.detections.get(severity, 0) - found.incidents.by_severity.get(severity, 0)


def _valued(method: Method, events: Mapping[Route, int], routes: Mapping[Route, Counted]) -> Avoided:
    """Calls that were not made, each at the mean of those like it."""
    alike: dict[tuple[str, str], list[Counted]] = {}
    for (service, _, operation), counted in routes.items():
        alike.setdefault((service, operation), []).append(counted)
    amount = unvalued = 0
    for route, count in events.items():
        each = _mean(routes.get(route, Counted()))
        if each is None:
            each = _mean(_sum(alike.get((route[0], route[2]), [])))
        if each is None:
            unvalued += count
        else:
            amount += each * count
    return _made(method, sum(events.values()), unvalued, amount)


def _of_detections(method: Method, count: int, each: Nanos | None) -> Avoided:
    return _made(method, count, count if each is None else 0, 0 if each is None else each * count)


def _downgraded(found: Recorded, prices: PriceBook) -> Avoided:
    amount = unvalued = 0
    for one in found.served:
        try:
            would_be = prices.price(one.service, one.wanted, one.day).cost(one.usage)
        except AegisError:  # a price that there no longer is: counted, not valued
            unvalued += one.calls
        else:
            amount += max(0, would_be - one.cost)
    return _made("downgrade", sum(one.calls for one in found.served), unvalued, amount)


def _made(method: Method, events: int, unvalued: int, amount: Nanos) -> Avoided:
    return Avoided(method=method, events=events, unvalued=unvalued, amount=amount, how=HOW[method])


def _saving(found: Recorded, baseline: Baseline, each: Nanos | None) -> Saving:
    counted = found.incidents.detections if baseline == "per-detection" else found.incidents.by_severity
    return Saving(
        baseline=baseline,
        analyses=found.analyses.calls,
        would_be=sum(counted.values()),
        each=each,
        spent=found.analyses.cost,
    )
