"""The noun of the governed path: a call, before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

Usage: TypeAlias = Mapping[str, int]
"""Units per meter (`{"input_tokens": 812, "output_tokens": 140}`): whole, not negative."""


class Priority(IntEnum):
    """Who goes first when calls have to wait. Incident work takes its incident's severity, by the same number."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


_NO_SCOPE: Final[Mapping[str, str]] = {}


class Call(NamedTuple):
    """One request to a metered service, as asked of the governor.

    `models` are the candidates in order of preference (empty for a service without models). `worst` is an upper
    bound of what the call may use, per meter: the reservation is priced from it. `scope` says who or what it is for
    (`purpose`, `team`, `key`, `source`, `severity`, `incident`): budgets choose by it. `wait_ms` is how long the call
    may wait in the queue (0: refuse at once). A call with an empty `cache_key` is never answered from the cache.
    `weight` is how many bytes wait with it (a gateway's body): the queue is bounded by them, too.
    `attempt` counts the tries of one piece of work: each is a call of its own, and retries have a budget of their own.
    `tier` is the tier of service asked for (`batch`, `flex`, `priority`; empty: the list price's).
    `alarm` is a message to a person: only budgets and switches that name its service cover it, so that people still
    hear of an emergency when everything else is spent or stopped. Aegis' own code sets it, never a caller.
    `cost` is what it costs at most, in nano-dollars, where its meters do not say it: a batch is priced request by request.

    A tuple with names: a frozen dataclass of so many fields takes six times as long to make, and one is made for every
    call. Name each field all the same.
    """

    id: str
    service: str
    operation: str
    worst: Usage
    models: tuple[str, ...] = ()
    scope: Mapping[str, str] = _NO_SCOPE
    priority: Priority = Priority.MEDIUM
    wait_ms: int = 0
    cache_key: str = ""
    alarm: bool = False
    weight: int = 0
    attempt: int = 1
    tier: str = ""
    cost: int | None = None
