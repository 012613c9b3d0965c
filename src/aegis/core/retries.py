"""The retry budget: how much of the work may be tried again, so that retries never multiply an outage.

A tenth of the calls and three tries each are the figures of Google's SRE book, "Handling Overload": with retries at
one layer only, the load of a failing service grows by a tenth and not by a factor.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """At most `attempts` tries of one piece of work; in a span of `span_ms` at most `percent` retries for a hundred
    first tries, but `least` in any case, so that a quiet service can be tried again.
    """

    attempts: int = 3
    percent: int = 10
    least: int = 3
    span_ms: int = 60_000


@dataclass(slots=True, kw_only=True)
class RetryBudget:
    """First tries and retries of the last span, counted by the second."""

    policy: RetryPolicy
    _seconds: deque[list[int]] = field(default_factory=deque)
    _firsts: int = 0
    _again: int = 0

    def first(self, now_ns: int) -> None:
        """A first try begins. What is old is forgotten once a second, and before any retry."""
        seconds = self._seconds
        second = seconds[-1] if seconds and now_ns - seconds[-1][0] < SECOND_NS else self._count(now_ns)
        second[1] += 1
        self._firsts += 1

    def again(self, now_ns: int, attempt: int) -> str:
        """Why a retry may not begin; nothing when it may, and then it counts."""
        second = self._count(now_ns)
        if attempt > self.policy.attempts:
            return f"it was tried {self.policy.attempts} times already"
        if self._again >= max(self.policy.least, self._firsts * self.policy.percent // 100):
            return f"{self._again} of {self._firsts} calls of the last {self.policy.span_ms // 1_000} s were retries"
        second[2] += 1
        self._again += 1
        return ""

    def _count(self, now_ns: int) -> list[int]:
        """The counters of this second, once the old ones are forgotten."""
        gone = now_ns - self.policy.span_ms * 1_000_000
        while self._seconds and self._seconds[0][0] <= gone:
            _, firsts, again = self._seconds.popleft()
            self._firsts -= firsts
            self._again -= again
        if not self._seconds or now_ns - self._seconds[-1][0] >= SECOND_NS:
            self._seconds.append([now_ns, 0, 0])
        return self._seconds[-1]
