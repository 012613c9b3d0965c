"""Which models a call may use, in which order they are tried, and under which name they are budgeted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

from aegis.core.budgets import Budget
from aegis.core.calls import Call
from aegis.core.prices import PriceBook

NO_MODEL = ("",)


def candidates(call: Call) -> tuple[str, ...]:
    """The candidates of a call in order of preference; a service without models has one nameless candidate."""
    return call.models or NO_MODEL


def under_one_name(budgets: Sequence[Budget], prices: PriceBook, day: date) -> Iterator[Budget]:
    """Budgets of a model under the name that the price list has for it, whatever the budget called it."""
    for budget in budgets:
        model = budget.scope.get("model", "*")
        if model == "*":
            yield budget
        else:
            service = budget.scope.get("service", "") or budget.scope.get("provider", "")
            yield replace(budget, scope={**budget.scope, "model": prices.name(service, model, day)})
