"""Retries add a tenth to the load of a service and not a factor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aegis.core.retries import RetryBudget, RetryPolicy

SECOND_NS = 1_000_000_000


def test_a_tenth_of_the_calls_may_be_tried_again() -> None:
    budget = RetryBudget(policy=RetryPolicy())
    for _ in range(200):
        budget.first(0)
    assert sum(budget.again(0, 2) == "" for _ in range(200)) == 20
    assert "20 of 200 calls of the last 60 s were retries" in budget.again(0, 2)


def test_a_quiet_service_can_be_tried_again_and_the_span_forgets() -> None:
    budget = RetryBudget(policy=RetryPolicy())
    budget.first(0)
    assert [budget.again(0, 2) == "" for _ in range(4)] == [True, True, True, False]
    assert budget.again(60 * SECOND_NS, 2) == ""


def test_one_piece_of_work_is_tried_three_times() -> None:
    budget = RetryBudget(policy=RetryPolicy())
    assert [budget.again(0, attempt) for attempt in (2, 3)] == ["", ""]
    assert budget.again(0, 4) == "it was tried 3 times already"


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=200))
def test_no_span_ever_holds_more_retries_than_its_share(steps: list[tuple[int, bool]]) -> None:
    policy, now_ns = RetryPolicy(), 0
    budget, firsts, retries = RetryBudget(policy=policy), list[int](), list[int]()
    for pause_s, first in steps:
        now_ns += pause_s * SECOND_NS
        if first:
            budget.first(now_ns)
            firsts.append(now_ns)
        elif not budget.again(now_ns, 2):
            retries.append(now_ns)
            since = now_ns - policy.span_ms * 1_000_000
            made = sum(at > since for at in retries)
            assert made <= max(policy.least, sum(at > since for at in firsts) * policy.percent // 100)
