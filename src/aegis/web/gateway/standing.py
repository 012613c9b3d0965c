"""How the budgets stood a moment ago: for the header that tells a program what is left, and for streams whose budget was
lowered below what is spent. Decisions about money are the governor's alone.
"""

from __future__ import annotations

from typing import Final

from aegis.core.budgets import Route
from aegis.core.ports import Clock
from aegis.governor.governor import Governor
from aegis.governor.reservation import Reservation

EVERY_NS: Final = 1_000_000_000
"""Looking costs the ledger a report; once a second is soon enough for a percentage."""
ROUTES_MAX: Final = 10_000
"""Kinds of calls whose percentage is remembered until the next look."""
Line = tuple[str, str, str]


class Standing:
    """`turn` looks, when there were calls since."""

    def __init__(self, governor: Governor, clock: Clock) -> None:
        self._governor, self._clock = governor, clock
        self._left: dict[Line, int] = {}
        self._over: frozenset[Line] = frozenset()
        self._told: dict[Route, int | None] = {}
        self._looked_ns = 0
        self.busy = True

    async def turn(self) -> bool:
        """Look at the budgets if it is time; whether it was. Raises `StoreError`."""
        now_ns = self._clock.monotonic_ns()
        if not self.busy or (self._looked_ns and now_ns - self._looked_ns < EVERY_NS):
            return False
        self.busy, self._looked_ns = False, now_ns
        balances = [balance for balance in await self._governor.balances() if not balance.observe]
        self._left = {
            (one.budget, one.part, one.window): max(0, 100 * (one.limit - one.settled - one.held) // max(1, one.limit))
            for one in balances
        }
        self._told.clear()
        self._over = frozenset(
            (one.budget, one.part, one.window) for one in balances if one.settled + one.held > one.limit
        )
        return True

    def remaining(self, reservation: Reservation) -> int | None:
        """Percent that is left of the budget that this call is nearest to emptying; None where none covers it."""
        plan = reservation.plan
        if plan is None:
            return None
        if plan.route not in self._told:
            if len(self._told) >= ROUTES_MAX:
                self._told.clear()
            left = [self._left[key] for key in _lines(reservation) if key in self._left]
            self._told[plan.route] = min(left, default=None)
        return self._told[plan.route]

    def over(self, reservation: Reservation) -> bool:
        """Whether a budget of this call holds less than what is spent and held already: it was lowered."""
        return bool(self._over) and any(key in self._over for key in _lines(reservation))


def _lines(reservation: Reservation) -> list[Line]:
    plan = reservation.plan
    return [] if plan is None else [(line.budget, line.part, line.window.kind) for line in plan.route.lines]
