"""One lane: how fast a service may be told, when to leave it alone, and when to try again.

Policy: a service that is down is left alone for a while and then asked with one delivery, so that an outage does not
use up attempts; a service that names a pause gets it; waiting between attempts is random (full jitter), so that what
failed together does not come back together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import anyio

from aegis.core.breakers import Breaker, BreakerPolicy, BreakerState
from aegis.core.buckets import TokenBucket
from aegis.core.errors import ServiceError
from aegis.core.ports import Clock, Notifier

BACKOFF_FIRST_MS, BACKOFF_MAX_MS = 1_000, 15 * 60_000
"""The bound of the random wait doubles from a second up to a quarter of an hour: long enough for any outage, and a
page is at most that late once its service is back.
"""
GIVE_UP_AFTER = timedelta(hours=24)
"""A page that is a day late helps nobody; it becomes a dead letter that a person can replay."""
QUICK_MS = 100
"""An attempt that is shorter is no wait for the others of its lane."""
MS = 1_000_000
"""Nanoseconds."""

Pick: TypeAlias = Callable[[int, int], int]
"""A whole number between two, both included, all equally likely (`random.Random().randint`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRule:
    """How one service may be used: sends at once, one every `spacing_ms` after a burst of `burst`, and no new attempt
    of a delivery sooner than `retry_min_ms`. When more than `digest_over` are due (0: never), new messages below
    CRITICAL are told together.
    """

    concurrency: int = 4
    spacing_ms: int = 0
    burst: int = 1
    retry_min_ms: int = 0
    digest_over: int = 0


DIGEST_OVER = 20
"""More new messages in a channel at once are read by nobody, and keep a channel of one a second busy for long."""


RULES: Mapping[str, LaneRule] = {
    # One message a second in a channel, short bursts allowed: api.slack.com/apis/rate-limits. In order, one by one.
    "slack": LaneRule(concurrency=1, spacing_ms=1_000, burst=3, digest_over=DIGEST_OVER),
    # Five requests in two seconds for a webhook: discord.com/developers/docs/topics/rate-limits.
    "discord": LaneRule(concurrency=1, spacing_ms=400, burst=5, digest_over=DIGEST_OVER),
    # Four requests a second for a flow's trigger; beyond it 429.
    "teams": LaneRule(concurrency=2, spacing_ms=250, burst=4, digest_over=DIGEST_OVER),
    # A search is some seconds behind a create: a hasty retry would not find the issue and open a second one.
    "jira": LaneRule(concurrency=2, retry_min_ms=10_000),
    # What comes while a request is under way gathers for the next one: many at once are few requests.
    "splunk": LaneRule(concurrency=100),
    # A mail server takes much, a reader does not.
    "email": LaneRule(concurrency=2, digest_over=DIGEST_OVER),
    # One segment a second from a long number (twilio.com/docs, queueing); each is billed, so few are told one by one.
    "sms": LaneRule(concurrency=1, spacing_ms=1_000, burst=3, digest_over=3),
    # One call a second from an account (twilio.com/docs, Calls resource); nobody answers several at once.
    "phone": LaneRule(concurrency=1, spacing_ms=1_000, digest_over=1),
    "apprise": LaneRule(concurrency=1, spacing_ms=1_000, burst=3, digest_over=DIGEST_OVER),
}
DEFAULT_RULE = LaneRule()

BREAKER = BreakerPolicy(failures=3, recovery_ms=15_000)
"""Three failures in a row are an outage, and a page must not wait much longer than the outage lasts."""


def backoff_ms(attempts: int, pick: Pick, *, least_ms: int = 0) -> int:
    """How long to wait after this many attempts: anything up to a bound that doubles with each."""
    bound = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS << min(max(attempts, 1) - 1, 20))
    return max(least_ms, pick(0, bound))


class Bell:
    """Wakes whoever waits for news, once for all that rang meanwhile."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self, clock: Clock, milliseconds: int) -> None:
        """Return when it rings or has rung since the last wait, or when the time is over."""
        event = self._event
        if not event.is_set():
            alarm = asyncio.get_running_loop().create_task(self._alarm(clock, milliseconds))
            try:
                await event.wait()
            finally:
                alarm.cancel()
        if self._event is event:
            self._event = anyio.Event()

    async def _alarm(self, clock: Clock, milliseconds: int) -> None:
        await clock.sleep_ms(milliseconds)
        self.ring()


@dataclass(slots=True, eq=False)
class Attempt:
    """One message on its way: the task that sends it, until when it may, and whether it was cut then."""

    until_ns: int
    task: asyncio.Task[Any] | None = None
    cut: bool = False


class Lane:
    """The state of one service's lane. `sending` counts what is under way."""

    def __init__(self, notifier: Notifier, rule: LaneRule) -> None:
        self.notifier, self.rule = notifier, rule
        self.breaker = Breaker(policy=BREAKER)
        self.bell = Bell()
        self.turn = anyio.Lock(fast_acquire=True)
        """Held from asking for room until what was claimed is counted: `run` and a `drain` beside it share the room."""
        self.sending = 0
        self.under_way: set[Attempt] = set()
        """What is being sent and has to be cut when its time is over."""
        self._bucket = TokenBucket(size=rule.burst, gap_ns=rule.spacing_ms * MS) if rule.spacing_ms else None
        self._asked_until_ns = 0
        self._open_until_ns = 0

    @property
    def service(self) -> str:
        return self.notifier.name

    def room(self, now_ns: int) -> tuple[int, int]:
        """How many may be sent now, and if none, after how many milliseconds to look again (0: when one ends)."""
        free = self.rule.concurrency - self.sending
        if free <= 0:
            return 0, 0
        pause_ns = self._asked_until_ns - now_ns
        if pause_ns <= 0:
            pause_ns = self.breaker.wait(now_ns)
        if pause_ns > 0:
            return 0, _to_ms(pause_ns)
        if self.breaker.state is BreakerState.HALF_OPEN:
            free = 1
        if self._bucket is None:
            return free, 0
        if (room := self._bucket.room(now_ns)) > 0:
            return min(free, room), 0
        self.breaker.unused()
        return 0, _to_ms(self._bucket.take(now_ns))

    def sends(self, claimed: int, now_ns: int) -> None:
        """That many were claimed and are sent now; none gives a probe back."""
        self.sending += claimed
        if not claimed:
            self.breaker.unused()
        if self._bucket is not None:
            for _ in range(claimed):
                self._bucket.take(now_ns)

    def ended(self, took_ms: int) -> None:
        """An attempt ended. While a busy lane's service is quick, it is looked at again when half of it is free: so many
        deliveries are claimed together. What is new is looked at when it comes.
        """
        self.sending -= 1
        if took_ms >= QUICK_MS or 2 * self.sending <= self.rule.concurrency:
            self.bell.ring()

    def learn(self, error: ServiceError | None, now_ns: int) -> None:
        """What the end of an attempt says about the service (None: it took it). A rightly refused delivery says
        nothing; a pause that the service asked for is kept for the whole lane.
        """
        if error is None:
            self.breaker.succeeded(now_ns)
        elif not error.retryable:
            self.breaker.unused()
        elif error.retry_after_ms:
            self._asked_until_ns = max(self._asked_until_ns, now_ns + error.retry_after_ms * MS)
            self.breaker.unused()
        else:
            self.breaker.failed(now_ns, str(error))
            if self.breaker.state is BreakerState.OPEN:
                self._open_until_ns = now_ns + self.breaker.policy.recovery_ms * MS

    def cut(self, now_ns: int) -> None:
        """Cut the attempts whose time is over."""
        for attempt in self.under_way:
            if attempt.until_ns <= now_ns and not attempt.cut and attempt.task is not None:
                attempt.cut = True
                attempt.task.cancel()

    def paused_ms(self, now_ns: int) -> int:
        """How long the lane still leaves its service alone, for those who look."""
        opened_ns = self._open_until_ns if self.breaker.state is BreakerState.OPEN else 0
        return _to_ms(max(0, opened_ns - now_ns, self._asked_until_ns - now_ns))


def _to_ms(nanoseconds: int) -> int:
    return -(-nanoseconds // MS)
