"""The nouns of an exported bill: an attempt as the journal ended it, and a charge, which is one meter's part of an hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aegis.core.money import Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAttempt:
    """One line of the journal. `state` is settled, worst, void, refused or cached; `wanted` is the model that was asked for
    first where another one served; `usage` are units by meter, of a refusal the worst case that was asked for; `worst` is what was held.
    """

    attempt: str
    at: datetime
    ended_at: datetime
    state: str
    service: str
    model: str
    operation: str
    priority: str
    cost: Nanos
    worst: Nanos = 0
    scope: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, int] = field(default_factory=dict)
    wanted: str = ""
    tier: str = ""
    gate: str = ""
    message: str = ""

    @property
    def call_id(self) -> str:
        return self.attempt.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeKey:
    """What is added up into one charge: everything but amounts. `hour` is its start in UTC; `meter` is empty where only
    the cost is known.
    """

    hour: datetime
    service: str
    model: str
    wanted: str
    meter: str
    key: str = ""
    team: str = ""
    incident: str = ""
    purpose: str = ""
    priced_since: str = ""
    price_source: str = ""


@dataclass(slots=True, kw_only=True)
class Charge:
    """One meter's part of an hour: units, what they cost, and in how many calls."""

    key: ChargeKey
    units: int = 0
    cost: Nanos = 0
    calls: int = 0
