"""What stands on an incident about who is told: that it is held back, and how far its escalation got.

Both are part of the incident, so that they are committed with it and survive a restart; the rules that move them stand
in `core.silences` and `core.escalations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aegis.core.notifications import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """That an incident is held back: by which silence or incident, why in words, since when, what people are to hear
    when it ends (the loudest change that was held back), and how many messages that were.
    """

    kind: Literal["silence", "inhibition"]
    by: str
    why: str
    since: datetime
    change: Change
    messages: int = 0

    @property
    def unheard(self) -> bool:
        """Whether people do not know of the incident at all."""
        return self.change in ("opened", "reopened")


@dataclass(frozen=True, slots=True, order=True)
class Told:
    """One person, and the channel by which a step tells them."""

    contact: str
    channel: str

    @property
    def recipient(self) -> str:
        """How a delivery names it: `sms:anna`."""
        return f"{self.channel}:{self.contact}"


Halt = Literal["acknowledged", "resolved", "held", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """How far an escalation got: `step` was fired last (from 1, counting repeated rounds on), at the incident's version
    `version`, and told `told`; the next one is due at `next_at` unless somebody acts. `halted` says why there is none.
    `heard` are all whom it has told so far: `ending` are those who hear how it ended, with the incident's version `ended`
    (0: nobody has acted yet).
    """

    chain: str
    step: int
    version: int
    fired_at: datetime
    told: tuple[Told, ...] = ()
    bridge: bool = False
    next_at: datetime | None = None
    halted: Halt | Literal[""] = ""
    heard: tuple[Told, ...] = ()
    ended: int = 0
    ending: tuple[Told, ...] = ()

    @property
    def running(self) -> bool:
        """Whether another step will follow."""
        return not self.halted and self.next_at is not None
