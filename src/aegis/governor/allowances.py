"""What one process may spend of each budget line without asking: plain counters, changed only on its event loop.

At any moment free + held + spent = lent + excess: nothing is spent that was not lent, unless a true cost was above
its worst case, and then it is known as `excess`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aegis.core.budgets import Line
from aegis.core.ledger import Grant

Needs: TypeAlias = Sequence[tuple[Line, int]]
"""What a call needs, at worst, of each line it has to fit."""


class Allowance:
    """What this holder has of one row: `free` to reserve, `held` by calls under way, `spent` and not yet reported."""

    __slots__ = ("ends_at", "excess", "free", "held", "limit", "line", "others", "row", "settled", "spent", "used_ns")

    def __init__(self, line: Line, grant: Grant) -> None:
        self.line, self.row, self.ends_at = line, grant.row, grant.ends_at
        self.free = self.held = self.spent = self.excess = self.used_ns = 0
        self.limit = self.settled = self.others = 0

    def stands(self, grant: Grant) -> None:
        """Remember how the row stood in the store: for the throttle, never for a decision about money."""
        self.limit, self.settled = grant.limit, grant.settled
        self.others = grant.leased - self.free - self.held - self.spent

    @property
    def used(self) -> int:
        """Settled and held, as far as this holder knows."""
        return self.settled + self.spent + self.held + self.others


@dataclass(slots=True)
class Hold:
    """What one attempt has reserved, and under which epoch."""

    attempt: str
    epoch: int
    parts: list[tuple[Allowance, int]]
    journalled: bool

    def rows(self) -> tuple[tuple[int, int], ...]:
        """Pairs of a row and what is held of it, for the journal."""
        return tuple((allowance.row, need) for allowance, need in self.parts if need)


def settle(allowance: Allowance, need: int, amount: int) -> None:
    """A call that held `need` ended with `amount`."""
    allowance.held -= need
    allowance.spent += amount
    if amount <= need:
        allowance.free += need - amount
        return
    beyond = amount - need
    covered = min(allowance.free, beyond)
    allowance.free -= covered
    allowance.excess += beyond - covered
