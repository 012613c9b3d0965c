"""Breaker, throttle and bucket of every service: each can refuse, none of them spends, and what they took comes back.

Breakers stand per service and per model, so that one broken model does not close its siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aegis.core.breakers import Breaker, BreakerState
from aegis.core.buckets import Bucket, Rate, bucket_for
from aegis.core.budgets import Line, Route
from aegis.core.calls import Call, Priority
from aegis.core.errors import BreakerOpen, RateLimited, RetriesSpent, ServiceError, Throttled
from aegis.core.money import Nanos
from aegis.core.ports import Clock
from aegis.core.retries import RetryBudget
from aegis.core.throttles import ThrottleStep, felt
from aegis.governor.allowances import Allowance
from aegis.governor.policies import DEFAULT, ServicePolicy

MILLISECOND_NS = 1_000_000
MODELS_MAX = 1_000
"""Models with a breaker of their own: names come from callers, so the memory is bounded."""
OWN_FAULTS = frozenset({400, 401, 403, 404, 405, 409, 410, 411, 413, 414, 415, 422})
"""HTTP answers that blame the request or its key (RFC 9110 15.5): they say nothing about the service's health."""

Known = Callable[[Line], Allowance | None]
"""What is known in memory about a line, for the throttle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """How the gates of one service stand: for the dashboard and `aegis breaker|throttle`."""

    service: str
    breaker: BreakerState
    why: str
    room: int | None
    rate: int | None
    throttle: ThrottleStep
    waiting: int = 0
    depths: Mapping[Priority, int] = field(default_factory=dict)
    """How many of those that wait have which priority."""


class Passage:
    """The way to one model of a service: the breakers and buckets that every call to it passes, looked up once."""

    __slots__ = ("breakers", "buckets", "model", "service")

    def __init__(self, service: str, model: str, breakers: Sequence[Breaker], buckets: Sequence[Bucket]) -> None:
        self.service, self.model = service, model
        self.breakers, self.buckets = tuple(breakers), tuple(buckets)

    def enter(self, now_ns: int) -> None:
        """Take from every gate, or raise `BreakerOpen` or `RateLimited`: then no gate keeps anything of it."""
        for breaker in self.breakers:
            if breaker.state is not BreakerState.CLOSED:
                self._probe(now_ns)
                break
        for number, bucket in enumerate(self.buckets):
            if wait_ns := bucket.take(now_ns):
                self._unused(number)
                raise RateLimited(f"{self.service}: its rate is used up", retry_after_ms=_ms(wait_ns))

    def give_back(self) -> None:
        """A later gate refused: the call was not made."""
        self._unused(len(self.buckets))

    def learn(self, failure: BaseException | None, cost: Nanos, now_ns: int) -> None:
        """The call was made and ended. Only the service's own failures count against it: not an answer that blames
        our request, not a caller that went away.
        """
        for breaker in self.breakers:
            if failure is None:
                breaker.succeeded(now_ns, cost)
            elif isinstance(failure, ServiceError) and failure.status not in OWN_FAULTS:
                breaker.failed(now_ns, str(failure), cost)
            else:
                breaker.unused()

    def _probe(self, now_ns: int) -> None:
        for number, breaker in enumerate(self.breakers):
            if wait_ns := breaker.wait(now_ns):
                for earlier in self.breakers[:number]:
                    earlier.unused()
                what = f"{self.service} {self.model}".rstrip()
                raise BreakerOpen(f"{what}: the breaker is open ({breaker.why})", retry_after_ms=_ms(wait_ns))

    def _unused(self, buckets: int) -> None:
        for breaker in self.breakers:
            breaker.unused()
        for bucket in self.buckets[:buckets]:
            bucket.give_back()


class Gates:
    """The gates of all services."""

    def __init__(self, policies: Mapping[str, ServicePolicy], clock: Clock, known: Known) -> None:
        self._policies, self._clock, self._known = policies, clock, known
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._passages: dict[tuple[str, str], Passage] = {}
        self._buckets: dict[str, list[Bucket]] = {}
        self._steps: dict[str, ThrottleStep] = {}
        self._last_ns: dict[str, int] = {}
        self._retries: dict[str, RetryBudget] = {}

    def count(self, call: Call, now_ns: int) -> None:
        """Count a first try, or let a retry begin. Raises `RetriesSpent`."""
        retries = self._retries.get(call.service)
        if retries is None:
            retries = self._retries[call.service] = RetryBudget(policy=self.policy(call.service).retries)
        if call.attempt <= 1:
            retries.first(now_ns)
        elif why := retries.again(now_ns, call.attempt):
            raise RetriesSpent(f"{call.service}: no further try; {why}")

    def policy(self, service: str) -> ServicePolicy:
        return self._policies.get(service, DEFAULT)

    def passage(self, service: str, model: str) -> Passage:
        """The way to a model: the service's breaker and buckets, then the model's own breaker."""
        found = self._passages.get((service, model))
        if found is None:
            policy = self.policy(service)
            found = Passage(
                service, model, self._breakers_of(service, model, policy), self._buckets_of(service, policy)
            )
            if len(self._passages) >= MODELS_MAX:
                self._passages.clear()
            self._passages[service, model] = found
        return found

    def admit(self, call: Call, passage: Passage, route: Route, now_ns: int) -> None:
        """Let a call through every gate, or raise `BreakerOpen`, `Throttled` or `RateLimited`: then no gate keeps
        anything of it.
        """
        if route.throttled:
            self._throttle(call, route.throttled, now_ns)
        passage.enter(now_ns)
        self._last_ns[call.service] = now_ns

    def slow(self, service: str, percent: int) -> None:
        """Scale a service's rate to `percent` of what is configured (100: back to normal)."""
        now_ns = self._clock.monotonic_ns()
        for bucket, rate in self._counted(service, self.policy(service)):
            bucket.scale(rate, percent, now_ns)

    def status(self, service: str) -> ServiceStatus:
        policy = self.policy(service)
        now_ns = self._clock.monotonic_ns()
        rooms = [(bucket.room(now_ns), rate.count) for bucket, rate in self._counted(service, policy)]
        room, rate = min(rooms, default=(None, None))
        breakers = [b for (name, _), b in self._breakers.items() if name == service]
        worst = max(breakers, key=lambda b: _BADNESS[b.state], default=None)
        return ServiceStatus(
            service=service,
            breaker=worst.state if worst else BreakerState.CLOSED,
            why=worst.why if worst else "",
            room=room,
            rate=rate,
            throttle=self._steps.get(service, ThrottleStep.NONE),
        )

    def services(self) -> set[str]:
        """Services that are configured or were called."""
        return {*self._policies, *(service for service, _ in self._breakers), *self._last_ns}

    def _breakers_of(self, service: str, model: str, policy: ServicePolicy) -> Sequence[Breaker]:
        if policy.breaker is None:
            return ()
        names = ("", model) if model and len(self._breakers) < MODELS_MAX else ("",)
        return [self._breakers.setdefault((service, name), Breaker(policy=policy.breaker)) for name in names]

    def _throttle(self, call: Call, lines: tuple[Line, ...], now_ns: int) -> None:
        hardest = ThrottleStep.NONE
        for line in lines:
            if line.throttle is None or (allowance := self._known(line)) is None:
                continue
            step = line.throttle.step(allowance.used, line.limit)
            hardest = max(hardest, step)
            mine = felt(step, call.priority)
            space_ms = line.throttle.space_ms(mine)
            if space_ms == 0:
                continue
            self._steps[call.service] = step
            if space_ms is None:
                raise Throttled(f"{line.name} is {line.throttle.block} % used: {call.priority.name} calls are blocked")
            wait_ns = self._last_ns.get(call.service, now_ns - space_ms * MILLISECOND_NS) - now_ns
            wait_ns += space_ms * MILLISECOND_NS
            if wait_ns > 0:
                raise Throttled(
                    f"{line.name} is nearly used up ({mine.name.lower()} throttle)", retry_after_ms=_ms(wait_ns)
                )
        self._steps[call.service] = hardest

    def _buckets_of(self, service: str, policy: ServicePolicy) -> Sequence[Bucket]:
        buckets = self._buckets.get(service)
        if buckets is None:
            buckets = self._buckets[service] = [bucket_for(rate) for rate in policy.rates]
        return buckets

    def _counted(self, service: str, policy: ServicePolicy) -> Iterator[tuple[Bucket, Rate]]:
        return zip(self._buckets_of(service, policy), policy.rates, strict=True)


_BADNESS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


def _ms(nanoseconds: int) -> int:
    return -(-nanoseconds // MILLISECOND_NS)
