"""What happened, as frozen records: metrics, the dashboard's live feed and the demo's terminal all read these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from aegis.core.calls import Usage
from aegis.core.incidents import Detection, Incident
from aegis.core.money import Nanos
from aegis.core.notifications import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsTaken:
    """Events that intake stored (`duplicates` were already known, `rejected` kept aside)."""

    at: datetime
    source: str
    taken: int
    duplicates: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionMade:
    """A rule matched."""

    at: datetime
    detection: Detection


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChanged:
    """An incident opened, was raised, analysed, updated or closed."""

    at: datetime
    incident: Incident
    change: Change


_NONE: Final[Mapping[str, Any]] = {}


class CallEnded(NamedTuple):
    """A governed call ended. `refused` names the gate that said no; `cached` cost nothing.

    A tuple with names, as `Call` is: one is made for every call. Name each field all the same.
    """

    at: datetime
    call_id: str
    service: str
    model: str
    outcome: Literal["settled", "void", "cached", "refused", "failed"]
    cost: Nanos = 0
    refused: str = ""
    message: str = ""
    took_ms: int = 0
    operation: str = ""
    wanted: str = ""
    """The model that was asked for first; empty for a service without models."""
    usage: Usage = _NONE
    """Units by meter; of a call that was not made, none."""
    scope: Mapping[str, str] = _NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCrossed:
    """A budget crossed a level (once per budget, window and level)."""

    at: datetime
    budget: str
    window: str
    level: Literal["warning", "critical", "emergency"]
    spent: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowReset:
    """A budget's next window opened: what was refused may be asked again."""

    at: datetime
    budget: str
    window: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEnded:
    """An attempt to deliver ended."""

    at: datetime
    service: str
    incident_id: str
    outcome: Literal["done", "retry", "dead"]
    message: str = ""
    took_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """A message about an incident was held back: `by` is the silence, or the incident that it depends on."""

    at: datetime
    incident_id: str
    kind: Literal["silence", "inhibition"]
    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAnswered:
    """One HTTP exchange with an outside service (status 0: no answer came)."""

    at: datetime
    service: str
    status: int
    took_ms: int
    left: int | None = None
    """How many requests the service says are left to us for now, where it says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsLeft:
    """How many requests a service says are left to us, where it says so only when it is asked."""

    at: datetime
    service: str
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStands:
    """How an outside service stands, told every quarter of a minute: whether it is used, tried or left alone, and for
    how long still.
    """

    at: datetime
    service: str
    breaker: Literal["closed", "half_open", "open"]
    paused_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFailed:
    """A background loop ended by an error that nobody expected; it is left alone for a moment and begun again."""

    at: datetime
    loop: str
    message: str
    trace: str = ""
    """For the log only: it may quote what was being worked."""


BREAKER_VALUES: Mapping[str, int] = {"closed": 0, "half_open": 1, "open": 2}
"""How a breaker is written as a number."""

Happened: TypeAlias = (
    EventsTaken
    | DetectionMade
    | IncidentChanged
    | CallEnded
    | LevelCrossed
    | WindowReset
    | DeliveryEnded
    | HeldBack
    | ServiceAnswered
    | RequestsLeft
    | ServiceStands
    | LoopFailed
)
Observer: TypeAlias = Callable[[Happened], None]
"""Called at once, in line: an observer only counts or queues, it never waits and never raises."""
