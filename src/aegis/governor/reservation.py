"""One admitted call: what it holds, and how it ends. Ending only touches memory, so cancelling cannot tear it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aegis.core.budgets import Line
from aegis.core.calls import Call, Usage
from aegis.core.errors import Billed, ServiceError, UnknownPrice
from aegis.core.money import Nanos
from aegis.core.prices import Price
from aegis.core.usage import check_usage
from aegis.governor.allowances import Hold, Needs
from aegis.governor.gates import Passage
from aegis.governor.records import need_of

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

    def needs(self, lines: tuple[Line, ...]) -> Needs:
        """What this call needs, at worst, of each line."""
        return [(line, need_of(line.unit, self.worst, self.call.worst)) for line in lines]

    def amounts(self, hold: Hold) -> list[int]:
        """What this call took of each line it held."""
        return [need_of(allowance.line.unit, self.cost, self.usage) for allowance, _ in hold.parts]
