"""What a holder and its reporter hand each other: wants, ended attempts, and the batch that goes to the ledger together.

Policy: whoever waits for a batch hears of its end once, in one turn of the loop, however it ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from aegis.core.budgets import Line, Route
from aegis.core.errors import StoreError
from aegis.core.ledger import Entry, Shortage
from aegis.governor.allowances import Hold


@dataclass(slots=True)
class Want:
    """A call whose needs have to be asked for; `gone` when nobody waits for the answer any more."""

    call_id: str
    route: Route
    needs: tuple[int, ...]
    hold: Hold | None = None
    shortage: Shortage | None = None
    gone: bool = False

    def lines(self) -> list[tuple[Line, int]]:
        """Every line with what is needed of it."""
        return [(line, need) for group, need in zip(self.route.groups, self.needs, strict=True) for line in group]


class Ended(NamedTuple):
    """An attempt that ended: its entry, and what it took if it held anything."""

    entry: Entry
    hold: Hold | None = None
    amounts: tuple[int, ...] = ()


@dataclass(slots=True)
class Batch:
    """What goes to the ledger together, and who waits for it. `whole` asks for everything to be reported."""

    sent: list[tuple[int, Entry]] = field(default_factory=list)
    wants: list[Want] = field(default_factory=list)
    whole: bool = False
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def over(self, error: StoreError | None = None) -> None:
        """It was applied, or failed: everybody who waits hears of it in one turn of the loop."""
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if future.done():  # its caller was cancelled
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # it was looked at, should its caller be cancelled before it runs again
