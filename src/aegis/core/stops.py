"""The emergency stop: its grades, what one covers, who stays out of it, and what may be done without a second person.

Policy: a grade contains the ones below it; nothing outside of a plan's exact targets is ever touched; everything that
is stopped can be given back. See docs/emergency.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal, TypeAlias

Scope: TypeAlias = Mapping[str, str]
"""What a stop covers: names and values that a call must all have; empty covers everything."""


class Grade(IntEnum):
    """How far a stop goes."""

    G0 = 0
    """Throttle: the rates of services are lowered."""
    G1 = 1
    """No call of the scope is admitted."""
    G2 = 2
    """What was lent to processes is taken back, and virtual keys are held."""
    G3 = 3
    """Credentials are disabled at their provider, reversibly."""
    G4 = 4
    """Registered workloads are stopped."""


AUTOMATIC_MAX: Final = Grade.G2
"""As far as an automatic trigger goes by itself: nothing beyond it is ours to take back without asking anybody."""

TargetState = Literal["running", "stopped", "gone", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One exact thing that a stop touches. `kind` is its actuator's, `id` names it for ever within the kind (a
    key's id, `pid/start time/boot id`, `namespace/deployment/uid`), `name` is for people.

    `saved` is what a restore needs (`{"replicas": "3"}`), durable before anything is touched. It holds no secret.
    """

    kind: str
    id: str
    name: str
    saved: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The target's one name over all kinds."""
        return f"{self.kind}:{self.id}"
