"""What holds for every call of one kind - its price, its budget lines, its gates - looked up once and used for many.

Policy: a plan is forgotten when a day begins (prices have dates) and when budgets change; the memory is bounded, since
what calls say about themselves comes from outside.
"""

from __future__ import annotations

from typing import Final

from aegis.core.budgets import BudgetBook, Route
from aegis.core.calls import Call
from aegis.core.ports import Clock
from aegis.core.prices import Price, PriceBook
from aegis.governor.fitting import Fit
from aegis.governor.gates import Gates, Passage

PLANS_MAX: Final = 10_000
"""Kinds of calls that are remembered."""
AGE_NS: Final = 1_000_000_000
"""How long after midnight UTC yesterday's prices may still be used: the wall clock is looked at once a second."""


class Plan:
    """A kind of call: its price (at its tier of service, and by the list), the lines that it has to fit, and the gates
    on its way.
    """

    __slots__ = ("fit", "listed", "passage", "price", "route")

    def __init__(self, listed: Price, tier: str, route: Route, passage: Passage, fit: Fit | None) -> None:
        self.listed, self.price, self.route, self.passage = listed, listed.at(tier), route, passage
        self.fit = fit

    def fitted(self, needs: tuple[int, ...]) -> tuple[int, ...]:
        """What is held of the needs: all of each, or what such calls usually use. A request is always a whole one."""
        fit = self.fit
        if fit is None:
            return needs
        units = zip(self.route.units, needs, strict=True)
        return tuple([need if unit == "requests" else fit.held(need) for unit, need in units])


class Plans:
    """The plans of the calls that were made today."""

    def __init__(
        self, book: BudgetBook, prices: PriceBook, gates: Gates, clock: Clock, fits: dict[tuple[str, str], Fit]
    ) -> None:
        """`fits` are kept by the caller: what was learned outlives a change of budgets."""
        self._fits = fits
        self._book, self._prices, self._gates, self._clock = book, prices, gates, clock
        self._found: dict[tuple[object, ...], Plan] = {}
        self._looked_ns, self._day = clock.monotonic_ns(), clock.now().date()

    def plan(self, call: Call, model: str, now_ns: int) -> Plan:
        """The plan of a call made with `model`. Raises `UnknownPrice`."""
        if now_ns - self._looked_ns > AGE_NS:
            self._look(now_ns)
        scope = call.scope
        says = (
            call.service,
            model,
            call.operation,
            call.tier,
            int(call.priority),
            call.alarm,
            *[scope.get(n) for n in self._book.names],
        )
        found = self._found.get(says)
        if found is None:
            price, name = self._prices.found(call.service, model, self._day)
            fitted = self._gates.policy(call.service).fitted and call.cost is None  # a batch is no call like others
            fit = self._fit(call.service, name) if fitted else None
            route, passage = self._book.route(call, name), self._gates.passage(call.service, model)
            found = Plan(price, call.tier, route, passage, fit)
            if len(self._found) >= PLANS_MAX:
                self._found.clear()
            self._found[says] = found
        return found

    def _fit(self, service: str, name: str) -> Fit:
        if len(self._fits) >= PLANS_MAX:
            self._fits.clear()
        return self._fits.setdefault((service, name), Fit())

    def _look(self, now_ns: int) -> None:
        day = self._clock.now().date()
        if day != self._day:
            self._found.clear()
        self._looked_ns, self._day = now_ns, day
