"""How each service is governed: what the configuration says, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field

from aegis.core.breakers import BreakerPolicy
from aegis.core.buckets import Rate
from aegis.core.retries import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePolicy:
    """The gates of one service.

    `rates` are its buckets: a call needs room in all of them. `breaker` opens on failures; None switches it off. `cache_ms` is
    how long an answer may be used again (0: never); five minutes is what the incident analysis asks for.
    `waiting_max` and `waiting_bytes_max` bound the queue, `age_ms` is how long a call waits to gain one priority.
    `retries` bounds how much of the work may be tried again. `fitted` holds what calls usually use instead of their worst
    case: see `governor.fitting`.
    """

    rates: tuple[Rate, ...] = ()
    breaker: BreakerPolicy | None = field(default_factory=BreakerPolicy)
    cache_ms: int = 300_000
    waiting_max: int = 1_000
    waiting_bytes_max: int = 64 * 1024 * 1024
    age_ms: int = 30_000
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    fitted: bool = False


DEFAULT = ServicePolicy()
"""For a service that the configuration does not name: a breaker, no rate of its own."""
