"""A program that was started through Aegis: enough to know it again for certain, and to stop exactly it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A registered program. It is the process `pid` that began `started` clock ticks after the boot `boot`, and the
    process group that it leads: a number alone is used again, the three together never are.

    `id` stands in its environment as well (`AEGIS_RUN`). `command` is its name, without arguments: those may hold
    secrets. `key` is the virtual key it was given; `labels` join its scope.
    """

    id: str
    pid: int
    started: int
    boot: str
    command: str
    key: str
    team: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    registered_at: datetime

    @property
    def target_id(self) -> str:
        """Its name for ever: `pid/start/boot`."""
        return f"{self.pid}/{self.started}/{self.boot}"

    @property
    def scope(self) -> Mapping[str, str]:
        """What a stop's scope may say about it."""
        return {**self.labels, "key": self.key, **({"team": self.team} if self.team else {})}
