"""Every error that Aegis raises on purpose.

AegisError
    ConfigError                 a file, flag or reference is wrong            nothing was started
    BadInput                    something from outside was refused by name    nothing was lost
    Refused                     a gate said no                                nothing was spent
        BudgetExceeded  RateLimited  BreakerOpen  Throttled  QueueFull  DeadlinePassed  Stopped  UnknownPrice
        RetriesSpent
    ServiceError                an outside service failed, and whether it billed
    StoreError                  the store could not answer                    money fails closed
        Fenced                  a holder of allowances was replaced           it joins again

Programmer errors are assertions and never stand in this tree. Library exceptions never leave `transport`, `stores`
and `config`: the rest of the code depends on this file only.
"""

from __future__ import annotations

from enum import StrEnum


class AegisError(Exception):
    """The root of the tree. The message is a sentence for people."""


class ConfigError(AegisError):
    """A configuration that cannot be used. `problems` holds one line each, with file:line:column where known."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BadInput(AegisError):
    """A record, file or body from outside that is refused. `code` is stable (`too_large`, `not_json`, `too_deep`)."""

    def __init__(self, message: str, *, code: str = "bad_input") -> None:
        super().__init__(message)
        self.code = code


class Refused(AegisError):
    """A gate refused the call: it was not made and nothing was spent.

    `gate` names the gate, `retry_after_ms` says when asking again can help (None: waiting does not help).
    """

    gate = "governor"

    def __init__(self, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class BudgetExceeded(Refused):
    """`settled + held + need > limit` on one budget line. Amounts are in the line's unit (nano-dollars for money);
    `row` is the ledger's number of the line in its window.
    """

    gate = "budget"

    def __init__(
        self,
        message: str,
        *,
        budget: str,
        line: str,
        limit: int,
        settled: int,
        held: int,
        need: int,
        row: int = 0,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)
        self.budget, self.line, self.row = budget, line, row
        self.limit, self.settled, self.held, self.need = limit, settled, held, need


class RateLimited(Refused):
    """A bucket (sliding window or token bucket) is empty."""

    gate = "bucket"


class BreakerOpen(Refused):
    """The circuit breaker of this service or model is open."""

    gate = "breaker"


class Throttled(Refused):
    """A quota is so nearly used up that this priority has to wait or go without."""

    gate = "throttle"


class QueueFull(Refused):
    """The waiting room is full, and this call has the lowest priority in it."""

    gate = "queue"


class DeadlinePassed(Refused):
    """The call waited until its own deadline."""

    gate = "queue"


class RetriesSpent(Refused):
    """A piece of work, or its service, was tried again often enough: more retries would only add to an outage."""

    gate = "retry"


class Stopped(Refused):
    """The emergency stop covers this call."""

    gate = "stop"


class UnknownPrice(Refused):
    """Nobody knows what the call would cost; unknown never means free."""

    gate = "price"


class Billed(StrEnum):
    """Whether a failed call was charged: `unknown` is settled at the worst case."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class ServiceError(AegisError):
    """An outside service failed or refused.

    `retryable` says whether the same request may succeed later, `billed` what the ledger has to assume,
    `retry_after_ms` what the service asked for, `status` the HTTP status if one came. The message holds no secret
    and no body.
    """

    def __init__(
        self,
        service: str,
        message: str,
        *,
        retryable: bool,
        billed: Billed = Billed.UNKNOWN,
        status: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(f"{service}: {message}")
        self.service = service
        self.retryable, self.billed = retryable, billed
        self.status, self.retry_after_ms = status, retry_after_ms


class StoreError(AegisError):
    """The store is full, read-only, corrupt or away. Money fails closed; the incident path goes on offline."""


class Fenced(StoreError):
    """A holder's allowances are no longer its own: it was silent too long, or another took its name. Nothing of
    what it just reported was recorded.
    """
