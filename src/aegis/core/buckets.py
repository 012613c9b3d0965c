"""Rates: how many calls may start in a span of time. Whole nanoseconds, no clock of their own, and refundable."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, Protocol

SECOND_NS = 1_000_000_000
COUNT_MAX = 100_000
"""The largest count of a sliding window: it remembers that many times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`count` calls per `per_ms`. A `sliding` window counts the calls of the last span exactly (10 a minute);
    a `token` bucket holds `count` and gains `refill` of them every `per_ms` (a burst of 100, then 10 a minute).
    """

    count: int
    per_ms: int
    kind: Literal["sliding", "token"] = "sliding"
    refill: int = 0


class Bucket(Protocol):
    """One rate, counted. `take` answers 0 when the call may start, else the nanoseconds until it may. `scale` changes
    the rate to `percent` of what it is for, and forgets no start: slowing down never lets more through.
    """

    def take(self, now_ns: int) -> int: ...
    def give_back(self) -> None: ...
    def room(self, now_ns: int) -> int: ...
    def scale(self, rate: Rate, percent: int, now_ns: int) -> None: ...


def bucket_for(rate: Rate) -> Bucket:
    """A fresh bucket for a rate."""
    if rate.kind == "token":
        return TokenBucket(size=rate.count, gap_ns=_gap_ns(rate, 100))
    return SlidingWindow(count=rate.count, span_ns=rate.per_ms * 1_000_000)


def _gap_ns(rate: Rate, percent: int) -> int:
    refill = max(1, (rate.refill or rate.count) * percent // 100)
    return rate.per_ms * 1_000_000 // refill


@dataclass(slots=True, kw_only=True)
class SlidingWindow:
    """At most `count` starts within any span of `span_ns`."""

    count: int
    span_ns: int
    _starts: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        assert 0 < self.count <= COUNT_MAX, "a sliding window counts 1 to 100,000 calls"

    def take(self, now_ns: int) -> int:
        starts = self._starts
        self._forget(now_ns)
        if len(starts) < self.count:
            starts.append(now_ns)
            return 0
        # After scaling down there may be more starts than places: as many have to leave first.
        return starts[len(starts) - self.count] + self.span_ns - now_ns

    def give_back(self) -> None:
        """The newest start did not happen: nothing was sent."""
        if self._starts:
            self._starts.pop()

    def room(self, now_ns: int) -> int:
        self._forget(now_ns)
        return max(0, self.count - len(self._starts))

    def scale(self, rate: Rate, percent: int, now_ns: int) -> None:
        """At least one start stays; those of the last span still count."""
        self._forget(now_ns)
        self.count = max(1, rate.count * percent // 100)

    def _forget(self, now_ns: int) -> None:
        gone = now_ns - self.span_ns
        starts = self._starts
        while starts and starts[0] <= gone:
            starts.popleft()


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """Holds up to `size` starts and gains one every `gap_ns`. Kept as one number: the time at which it is full
    again (the generic cell rate algorithm, ITU-T I.371).
    """

    size: int
    gap_ns: int
    _full_at_ns: int | None = None

    def take(self, now_ns: int) -> int:
        full_at = now_ns if self._full_at_ns is None else max(self._full_at_ns, now_ns)
        wait = full_at + self.gap_ns - now_ns - self.size * self.gap_ns
        if wait > 0:
            return wait
        self._full_at_ns = full_at + self.gap_ns
        return 0

    def give_back(self) -> None:
        if self._full_at_ns is not None:
            self._full_at_ns -= self.gap_ns

    def room(self, now_ns: int) -> int:
        if self._full_at_ns is None or self._full_at_ns <= now_ns:
            return self.size
        missing = -(-(self._full_at_ns - now_ns) // self.gap_ns)
        return self.size - missing

    def scale(self, rate: Rate, percent: int, now_ns: int) -> None:
        """It holds the same share of its new size as of the old one, rounded down (at least one place)."""
        room, size = self.room(now_ns), self.size
        self.size, self.gap_ns = max(1, rate.count * percent // 100), _gap_ns(rate, percent)
        self._full_at_ns = now_ns + (self.size - self.size * room // size) * self.gap_ns
