"""One admitted call: what it holds, and how it ends. Ending only touches memory, so cancelling cannot tear it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from aegis.core.budgets import Route
from aegis.core.calls import Call, Usage
from aegis.core.errors import Billed, ServiceError, UnknownPrice
from aegis.core.money import Nanos
from aegis.core.prices import Price
from aegis.core.usage import check_usage
from aegis.governor.allowances import Hold
from aegis.governor.gates import Passage

End = Literal["", "settled", "void", "worst", "cached"]
_NOTHING: Usage = {"requests": 0}


@dataclass(slots=True, kw_only=True)
class Reservation:
    """A call that every gate let through; `core.ports.Admitted`.

    `cached` is an earlier answer: then no call is to be made and nothing is reserved. `worst` is what is held and
    `cost` what was charged, in nano-dollars; `model` is the chosen candidate (empty for a service without models).
    `repeated` counts settlements after the first: they change nothing.
    """

    call: Call
    model: str
    id: str = ""
    worst: Nanos = 0
    cached: bytes | None = None
    cost: Nanos = 0
    end: End = ""
    usage: Usage = field(default_factory=dict)
    answer: bytes = b""
    repeated: int = 0
    key: str = ""
    price: Price | None = None
    route: Route | None = None
    hold: Hold | None = None
    passage: Passage | None = None
    started_ms: int = 0
    started_ns: int = 0

    def settle(self, usage: Usage, *, answer: bytes = b"") -> None:
        """Record the true usage, once; `answer` may then answer later calls with the same `cache_key`.

        Raises `BadInput` for a usage that cannot be true (negative, not whole, absurd): the call then counts at its
        worst case. A meter without a price counts at the worst case too. A second settlement changes nothing.
        """
        if self.end:
            self.repeated += 1
            return
        check_usage(usage)
        if self.price is not None:
            try:
                self.cost = self.price.cost(usage)
            except UnknownPrice:
                self.cost = self.worst
        self.usage, self.answer, self.end = usage, answer, "settled"

    def void(self) -> None:
        """Nothing was charged, for certain: all that was held goes back."""
        if self.end:
            self.repeated += 1
            return
        self.usage, self.cost, self.end = _NOTHING, 0, "void"

    def finish(self, failure: BaseException | None) -> None:
        """The block was left. What was not settled in it counts at the worst case, unless the service says that it
        did not bill.
        """
        if self.end:
            return
        if isinstance(failure, ServiceError) and failure.billed is Billed.NO:
            self.void()
            return
        self.usage, self.cost, self.end = self.call.worst, self.worst, "worst"

    def amounts(self) -> tuple[int, ...]:
        """What this call took of each unit of its route."""
        return self.route.needs(self.cost, self.usage) if self.route is not None else ()


class Admission:
    """The block of one governed call: opened when the gates let it through, closed whatever happens inside.

    A class and not a generator: it is entered for every call, and a generator costs more than all six lines.
    """

    __slots__ = ("_call", "_close", "_open", "_reservation")

    def __init__(
        self,
        open_: Callable[[Call], Awaitable[Reservation]],
        close: Callable[[Reservation, BaseException | None], None],
        call: Call,
    ) -> None:
        self._open, self._close, self._call = open_, close, call

    async def __aenter__(self) -> Reservation:
        self._reservation = await self._open(self._call)
        return self._reservation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(self._reservation, error)
