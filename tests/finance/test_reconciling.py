"""The arithmetic of a bill beside the ledger: nothing is minted, nothing is below nothing, the same twice changes nothing."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from aegis.core.bills import BilledDay
from aegis.core.money import USD
from aegis.finance.reconciling import CENT, LedgerDay, Limits, compare, shares

DAY = date(2026, 11, 18)
MONEY = st.integers(0, 50 * USD)
LIMITS = Limits()


@st.composite
def ledgers(draw: st.DrawFn) -> LedgerDay:
    known, worst, outside = draw(MONEY), draw(MONEY), draw(MONEY)
    return LedgerDay(cost=known + worst + outside, worst=worst, outside=outside)


def applied(bill: BilledDay, held: LedgerDay) -> LedgerDay:
    """What the ledger holds after everything that was found is taken over."""
    found = compare("p", bill, held, provisional=False, limits=LIMITS)
    worst = held.worst if found.settle is None else 0
    settled = held.worst if found.settle is None else found.settle
    return replace(
        held, cost=held.cost - held.worst + settled + found.book - held.outside, worst=worst, outside=found.book
    )


@given(MONEY, ledgers())
def test_only_unknown_charges_are_given_back_and_never_more_than_they_were_counted(
    billed: int, held: LedgerDay
) -> None:
    found = compare("p", BilledDay(service="s", day=DAY, cost=billed), held, provisional=False, limits=LIMITS)
    assert 0 <= found.refund <= held.worst
    assert found.booking >= 0
    assert applied(BilledDay(service="s", day=DAY, cost=billed), held).cost >= held.cost - held.worst


@given(MONEY, ledgers())
def test_the_ledger_never_ends_below_the_bill_by_more_than_rounding(billed: int, held: LedgerDay) -> None:
    assert applied(BilledDay(service="s", day=DAY, cost=billed), held).cost > billed - CENT


@given(MONEY, ledgers())
def test_what_is_taken_over_twice_changes_nothing_the_second_time(billed: int, held: LedgerDay) -> None:
    bill = BilledDay(service="s", day=DAY, cost=billed)
    once = applied(bill, held)
    assert applied(bill, once) == once


@given(MONEY, MONEY, ledgers())
def test_a_bill_that_grows_takes_no_known_cost_back_and_adds_at_most_what_is_new(
    first: int, more: int, held: LedgerDay
) -> None:
    once = applied(BilledDay(service="s", day=DAY, cost=first), held)
    twice = applied(BilledDay(service="s", day=DAY, cost=first + more), once)
    assert once.cost - once.worst <= twice.cost <= max(once.cost, first + more)


@given(MONEY, ledgers())
def test_a_provisional_day_is_never_judged(billed: int, held: LedgerDay) -> None:
    found = compare("p", BilledDay(service="s", day=DAY, cost=billed), held, provisional=True, limits=LIMITS)
    assert (found.settle, found.booking, found.differs, found.cause) == (None, 0, False, "provisional")


@given(MONEY, ledgers())
def test_drift_is_the_difference_and_its_percent_of_the_larger(billed: int, held: LedgerDay) -> None:
    found = compare("p", BilledDay(service="s", day=DAY, cost=billed), held, provisional=False, limits=LIMITS)
    assert found.drift == billed - held.cost
    assert 0 <= found.percent <= 10_000
    if found.differs:
        assert abs(found.drift) * 100 > max(billed, held.cost)
        assert abs(found.drift) > LIMITS.at_least


@given(st.lists(MONEY, max_size=30), st.data())
def test_shares_add_up_and_none_is_above_its_own_count(counted: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(counted)))
    found = shares(total, counted)
    assert sum(found) == total
    assert all(0 <= share <= count for share, count in zip(found, counted, strict=True))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_quota_only_ever_counts_more(used: int, ours: int, booked: int) -> None:
    bill = BilledDay(service="virustotal", day=DAY, meter="requests", usage={"requests": used})
    held = LedgerDay(usage={"requests": ours}, outside_usage={"requests": booked})
    found = compare("p", bill, held, provisional=True, limits=LIMITS)
    assert found.book == max(booked, used - ours)


def test_the_same_tokens_at_another_price_are_called_a_price() -> None:
    bill = BilledDay(service="s", day=DAY, cost=2 * USD, usage={"input_tokens": 1_000})
    held = LedgerDay(cost=USD, usage={"input_tokens": 1_000, "requests": 4})
    assert compare("p", bill, held, provisional=False, limits=LIMITS).cause == "price"
    more = replace(bill, usage={"input_tokens": 2_000})
    assert compare("p", more, held, provisional=False, limits=LIMITS).cause == "outside"
