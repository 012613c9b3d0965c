"""What a running Aegis says of itself: what became of events, and how a service stands."""

from __future__ import annotations

from dataclasses import dataclass

from aegis.core.money import Nanos
from aegis.incidents.formats.records import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of one body or file: new events, events that were known already, lines refused."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How one outside service stands. `state` is `ok`, `idle`, or what is wrong in a few words."""

    name: str
    state: str
    done: int = 0
    waiting: int = 0
    dead: int = 0
    refused: int = 0
    cost: Nanos = 0
