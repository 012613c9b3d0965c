"""Claims about the arithmetic of a cost report: whole nano-dollars, nothing guessed, every breakdown the whole."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from aegis.core.costs import Avoided, CostReport, Counted, IncidentCount, Method, Recorded, Route, Served
from aegis.core.prices import Price, PriceBook
from aegis.finance.costs import FORGOTTEN, cost_report

DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, 9, tzinfo=UTC)
ROUTE: Route = ("anthropic", "sonnet", "messages")
DEAR = Price(service="anthropic", model="opus", rates={"input_tokens": ((0, 5_000_000_000),)}, source="test")
PRICES = PriceBook(overrides={("anthropic", "opus"): DEAR})
"""5,000 nano-dollars a token."""


def recorded(
    *,
    days: Mapping[date, Mapping[str, Counted]] | None = None,
    routes: Mapping[Route, Counted] | None = None,
    gates: Mapping[tuple[str, Route], int] | None = None,
    by: Mapping[str, Mapping[str, Counted]] | None = None,
    served: tuple[Served, ...] = (),
    analyses: Counted = Counted(),  # noqa: B008 - frozen
    opened: Mapping[str, int] | None = None,
    detections: Mapping[str, int] | None = None,
) -> Recorded:
    return Recorded(
        days=days or {},
        routes=routes or {},
        gates=gates or {},
        by=by or {},
        served=served,
        analyses=analyses,
        incidents=IncidentCount(by_severity=opened or {}, detections=detections or {}),
        emergencies=0,
    )


def report(found: Recorded, *, last: date = DAY) -> CostReport:
    return cost_report(found, PRICES, first=DAY, last=last, now=NOW)


def avoided(found: Recorded, method: Method) -> Avoided:
    return next(one for one in report(found).avoided if one.method == method)


def test_an_answer_from_the_cache_is_worth_the_mean_of_calls_like_it() -> None:
    found = recorded(routes={ROUTE: Counted(calls=4, cached=3, cost=100)})

    assert (avoided(found, "cache").events, avoided(found, "cache").amount) == (3, 75)


def test_what_nothing_compares_with_is_counted_and_not_valued() -> None:
    found = recorded(gates={("budget", ROUTE): 7})

    gate = avoided(found, "gate")
    assert (gate.events, gate.unvalued, gate.amount) == (7, 7, 0)


def test_a_refused_model_that_never_answered_is_valued_by_the_others_of_its_kind() -> None:
    other: Route = ("anthropic", "haiku", "messages")
    found = recorded(gates={("stop", ROUTE): 2}, routes={other: Counted(calls=2, cost=30)})

    assert avoided(found, "gate").amount == 30


def test_a_refusal_that_only_waits_for_a_rate_avoids_nothing() -> None:
    found = recorded(
        gates={("bucket", ROUTE): 5, ("queue", ROUTE): 5, ("retry", ROUTE): 5},
        routes={ROUTE: Counted(calls=1, cost=10, refused=15)},
    )

    assert avoided(found, "gate").events == 0


def test_folding_counts_detections_after_the_first_and_severity_those_below_high() -> None:
    found = recorded(
        analyses=Counted(calls=2, cost=40),
        opened={"LOW": 3, "HIGH": 2, "CRITICAL": 1},
        detections={"LOW": 9, "HIGH": 10, "CRITICAL": 5},
    )

    assert (avoided(found, "folding").events, avoided(found, "folding").amount) == (12, 240)
    assert (avoided(found, "severity").events, avoided(found, "severity").amount) == (9, 180)


def test_a_downgrade_avoids_the_difference_at_the_price_of_the_model_asked_for() -> None:
    served = Served(
        day=DAY,
        service="anthropic",
        wanted="opus",
        model="haiku",
        calls=2,
        usage={"input_tokens": 10},
        cost=20_000,
    )

    found = avoided(recorded(served=(served,)), "downgrade")
    assert (found.events, found.unvalued, found.amount) == (2, 0, 30_000)


def test_a_downgrade_from_a_model_without_a_price_is_not_valued() -> None:
    served = Served(
        day=DAY, service="anthropic", wanted="gone", model="haiku", calls=1, usage={"input_tokens": 10}, cost=5
    )

    assert avoided(recorded(served=(served,)), "downgrade").unvalued == 1


def test_a_downgrade_to_something_dearer_avoids_nothing_and_is_not_below_zero() -> None:
    served = Served(
        day=DAY, service="anthropic", wanted="opus", model="x", calls=1, usage={"input_tokens": 1}, cost=9_000
    )

    assert avoided(recorded(served=(served,)), "downgrade").amount == 0


def test_the_dearest_day_is_the_first_of_equals_and_days_without_calls_count_for_the_average() -> None:
    days = {DAY: {"a": Counted(calls=1, cost=10)}, date(2026, 3, 3): {"a": Counted(calls=1, cost=10)}}

    made = report(recorded(days=days), last=date(2026, 3, 5))

    assert made.dearest_day.day == DAY
    assert made.average_day == 5


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 10**12), max_size=6), st.integers(0, 10**12))
def test_every_breakdown_adds_up_to_the_total_whatever_the_journal_still_holds(
    kept: dict[str, int], forgotten: int
) -> None:
    total = Counted(calls=len(kept) + 1, cost=sum(kept.values()) + forgotten)
    by = {"key": {value: Counted(calls=1, cost=cost) for value, cost in kept.items()}}

    made = report(recorded(days={DAY: {"a": total}}, by=by))

    assert sum(share.counted.cost for share in made.by["key"]) == made.total.cost
    assert made.by["key"][-1].value == FORGOTTEN
