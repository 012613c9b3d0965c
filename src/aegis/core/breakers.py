"""The circuit breaker: closed, open, half-open; it learns from a service's failures and from runaway cost.

Defaults: 5 failures in a row open it, 60 seconds later one probe may pass. A failure *rate* over a minimum volume
opens it too, so a service that fails every other call is not called healthy between two failures. Refusals of our
own and requests the service rightly rejected teach it nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from aegis.core.money import Nanos

SECOND_NS = 1_000_000_000


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """`failures` in a row, or `failure_percent` of at least `volume` ends within `span_ms`, or more than `cost`
    spent within `cost_span_ms`, open the breaker for `recovery_ms`.
    """

    failures: int = 5
    recovery_ms: int = 60_000
    failure_percent: int = 50
    volume: int = 20
    span_ms: int = 60_000
    cost: Nanos | None = None
    cost_span_ms: int = 3_600_000


@dataclass(slots=True, kw_only=True)
class Breaker:
    """The state of one breaker. All times are monotonic nanoseconds, given by the caller."""

    policy: BreakerPolicy
    state: BreakerState = BreakerState.CLOSED
    why: str = ""
    in_a_row: int = 0
    _opened_ns: int = 0
    _probing: bool = False
    _ends: deque[list[int]] = field(default_factory=deque)
    _shared_until_ns: int = 0
    _ended: int = 0
    _failed: int = 0
    _costs: deque[tuple[int, Nanos]] = field(default_factory=deque)
    _spent: Nanos = 0

    def wait(self, now_ns: int) -> int:
        """0 if a call may pass now (a half-open breaker lets one probe pass), else nanoseconds to wait."""
        if self.state is BreakerState.CLOSED:
            return 0
        left = self._opened_ns + self.policy.recovery_ms * 1_000_000 - now_ns
        if self.state is BreakerState.OPEN:
            if left > 0:
                return left
            self.state, self._probing = BreakerState.HALF_OPEN, False
        if self._probing:
            # The probe's end decides; until then ask again in a second.
            return SECOND_NS
        self._probing = True
        return 0

    def unused(self) -> None:
        """A call that was let through was not made after all: give the probe back."""
        self._probing = False

    def succeeded(self, now_ns: int, cost: Nanos = 0) -> None:
        self.in_a_row = 0
        if now_ns < self._shared_until_ns and self._ends:
            self._ended += 1
            self._ends[-1][1] += 1
        else:
            self._end(now_ns, failed=False)
        if self.state is BreakerState.HALF_OPEN:
            self.state, self.why, self._probing = BreakerState.CLOSED, "", False
            self._ends.clear()
            self._failed = self._ended = 0
        if self.policy.cost is not None:
            self._spend(now_ns, cost, self.policy.cost)

    def failed(self, now_ns: int, why: str, cost: Nanos = 0) -> None:
        self._end(now_ns, failed=True)
        self.in_a_row += 1
        if self.policy.cost is not None:
            self._spend(now_ns, cost, self.policy.cost)
        rate = self._ended >= self.policy.volume and self._failed * 100 >= self.policy.failure_percent * self._ended
        if self.state is BreakerState.HALF_OPEN or self.in_a_row >= self.policy.failures or rate:
            self._open(now_ns, why)

    def _open(self, now_ns: int, why: str) -> None:
        self.state, self.why, self._opened_ns, self._probing = BreakerState.OPEN, why, now_ns, False

    def _end(self, now_ns: int, *, failed: bool) -> None:
        """Count an end. Those of one sixteenth of the span share an entry, so any load fits a short list."""
        ends = self._ends
        self._ended += 1
        self._failed += failed
        if ends and now_ns < self._shared_until_ns:
            newest = ends[-1]
            newest[1] += 1
            newest[2] += failed
            return
        span_ns = self.policy.span_ms * 1_000_000
        self._shared_until_ns = now_ns + span_ns // 16
        while ends and ends[0][0] <= now_ns - span_ns:
            _, ended, failures = ends.popleft()
            self._ended -= ended
            self._failed -= failures
        ends.append([now_ns, 1, int(failed)])

    def _spend(self, now_ns: int, cost: Nanos, limit: Nanos) -> None:
        gone = now_ns - self.policy.cost_span_ms * 1_000_000
        while self._costs and self._costs[0][0] <= gone:
            self._spent -= self._costs.popleft()[1]
        if cost and self._costs and now_ns - self._costs[-1][0] < SECOND_NS:
            # Costs of one second share an entry, so an hour needs at most 3,600.
            self._costs[-1] = (self._costs[-1][0], self._costs[-1][1] + cost)
        elif cost:
            self._costs.append((now_ns, cost))
        self._spent += cost
        if self._spent > limit and self.state is BreakerState.CLOSED:
            self._open(now_ns, "spent more than its cost threshold")
