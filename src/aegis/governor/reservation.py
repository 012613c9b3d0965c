"""One admitted call: what it holds, and how it ends. Ending only touches memory, so cancelling cannot tear it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal

from aegis.core.calls import Call, Usage
from aegis.core.errors import Billed, ServiceError, UnknownPrice
from aegis.core.money import Nanos
from aegis.core.usage import check_usage
from aegis.governor.allowances import Hold
from aegis.governor.plans import Plan

End = Literal["", "settled", "void", "worst", "cached"]
_NOTHING: Usage = {"requests": 0}


class Reservation:
    """A call that every gate let through; `core.ports.Admitted`.

    `cached` is an earlier answer: then no call is to be made and nothing is reserved. `worst` is what is held and
    `cost` what was charged, in nano-dollars; `model` is the chosen candidate (empty for a service without models).
    `repeated` counts settlements after the first: they change nothing. `plan` and `hold` are None where nothing was
    reserved. One is made for every call: what few calls have (an answer, a key) stands on the class until it is set.
    """

    id: str = ""
    worst: Nanos = 0
    cached: bytes | None = None
    cost: Nanos = 0
    end: End = ""
    usage: Usage = _NOTHING
    answer: bytes = b""
    repeated: int = 0
    key: str = ""
    plan: Plan | None = None
    hold: Hold | None = None
    started_ms: int = 0
    started_ns: int = 0
    interrupted: Callable[[], object] | None = None
    """What ends the call early, where whoever makes it can: a stop that ends calls under way asks for it."""

    def __init__(self, call: Call, model: str) -> None:
        self.call, self.model = call, model

    def settle(self, usage: Usage, *, answer: bytes = b"", tier: str = "", cost: Nanos | None = None) -> None:
        """Record the true usage, once; `answer` may then answer later calls with the same `cache_key`. `tier` is the
        tier of service that answered, where the service says so: it may be another than was asked for. `cost` is the true cost where
        the meters do not say it (a batch).

        Raises `BadInput` for a usage that cannot be true (negative, not whole, absurd): the call then counts at its
        worst case. A meter without a price counts at the worst case too. A second settlement changes nothing.
        """
        if self.end:
            self.repeated += 1
            return
        check_usage(usage)
        if cost is not None:
            self.cost = cost
        elif self.plan is not None:
            try:
                price = self.plan.listed.at(tier) if tier else self.plan.price
                self.cost = price.cost(usage)
            except UnknownPrice:
                self.cost = self.strict()
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
        self.usage, self.cost, self.end = self.call.worst, self.strict(), "worst"

    def interrupt(self) -> None:
        """A stop ends this call: whoever makes it hears of it now, and it settles as any call that was broken off."""
        if self.interrupted is not None:
            self.interrupted()

    def strict(self) -> Nanos:
        """The worst case itself: a fitted hold is less than it."""
        return self.worst if self.plan is None or self.plan.fit is None else self.plan.price.worst(self.call.worst)

    def amounts(self) -> tuple[int, ...]:
        """What this call took of each unit of its route."""
        return self.plan.route.needs(self.cost, self.usage) if self.plan is not None else ()


class Admission:
    """The block of one governed call: opened when the gates let it through, closed whatever happens inside.

    A class and not a generator: it is entered for every call, and a generator costs more than all six lines.
    """

    __slots__ = ("_close", "_open", "call", "reservation")

    def __init__(
        self,
        open_: Callable[[Admission], Coroutine[Any, Any, Reservation]],
        close: Callable[[Reservation, BaseException | None], None],
        call: Call,
    ) -> None:
        self._open, self._close, self.call = open_, close, call
        self.reservation: Reservation | None = None

    def __aenter__(self) -> Coroutine[Any, Any, Reservation]:
        return self._open(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.reservation is not None, "a block is left after it was entered"
        self._close(self.reservation, error)
