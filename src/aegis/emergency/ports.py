"""What stop and return ask of the world: things that can be stopped and given back, and the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias

from aegis.core.ledger import Switch
from aegis.core.ports import Clock
from aegis.core.ramps import Gates, Measured
from aegis.core.stops import Check, Grade, Scope, Stop, Target, TargetState

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Actuator(Protocol):
    """One kind of thing that can be stopped and given back: virtual keys, a provider's credentials, processes, ...

    `kind` is a stable word in plans and configuration (`virtual-keys`, `anthropic-keys`, `processes`, `docker`,
    `kubernetes`); `grade` is the grade of stop that includes it. Every method may be called again after a crash, with
    the same target, from another process: doing a thing twice changes nothing.
    """

    @property
    def kind(self) -> str: ...
    @property
    def grade(self) -> Grade: ...

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """The exact things that a stop of this scope touches, with what a restore needs. Touches nothing. What runs
        no longer is no target; a scope that says nothing about this kind has none. Raises `ServiceError`, `StoreError`.
        """

    async def stop(self, target: Target) -> None:
        """Stop this one. Raises `BadInput` when it is no longer what was planned (another process under the same
        number, a changed count): then nothing was touched. Raises `ServiceError`, `StoreError`.
        """

    async def restore(self, target: Target) -> None:
        """Give it back as `target.saved` says, if it is as `stop` left it; what ended for good is left alone. Raises
        `BadInput` when somebody changed it since; `ServiceError`, `StoreError`.
        """

    async def status(self, target: Target) -> TargetState:
        """How it stands now: `gone` when it cannot come back (a process that ended), `unknown` when nobody can say."""


class Audit(Protocol):
    """The audit log. An entry is durable when `note` returns."""

    async def note(self, who: str, what: str, facts: Mapping[str, str]) -> None:
        """`who` did `what` (a stable word: `stop.applied`, `key.held`, `return.stepped`). Raises `StoreError`."""


class Stops(Protocol):
    """The stops of record. Each raises `StoreError`."""

    async def add(self, stop: Stop) -> None: ...
    async def save(self, stop: Stop) -> bool:
        """Keep a stop whose `version` is one further than what was read; False when somebody was faster."""

    async def get(self, stop_id: str) -> Stop:
        """Raises `BadInput` when there is none such."""

    async def standing(self) -> Sequence[Stop]:
        """Those that were applied and not given back, oldest first."""

    async def lease(self, holder: str, *, now_ms: int, until_ms: int) -> bool:
        """Be the one who takes stops further until then; False while somebody else is."""

    async def let_go(self, holder: str) -> None: ...
    async def measured(self, scope: Scope, *, since_ms: int) -> Measured:
        """What the calls of a scope did since a moment."""

    async def usual(self, scope: Scope, *, at_ms: int, before_ms: int) -> int:
        """What a scope usually costs in an hour at this time of the day, by the week before `before_ms`, in nano-dollars;
        0 where too little is known.
        """

    async def under_way(self, scope: Scope, *, before_ms: int) -> int:
        """How many calls of a scope that were sent before a moment have no end in the ledger yet."""


class Board(Protocol):
    """The switches, and what was lent to processes. Each raises `StoreError`."""

    async def turn(self, switch: Switch) -> None: ...
    async def switches(self) -> Sequence[Switch]: ...
    async def revoke(self, scope: Scope) -> Sequence[str]:
        """Take back what every process was lent; returns who they were. Only for everything (an empty scope) are they
        fenced; for a narrower one they give back at their next turn what no call holds, since a line of the ledger is shared
        by scopes and others' calls go on.
        """


class Chronicle(Protocol):
    """Where people are told and everything is written down: an incident for each stop. Each raises `StoreError`."""

    async def open(self, stop: Stop) -> str:
        """The incident of a stop, opened once; its id."""

    async def left(self, stop: Stop) -> bool:
        """Whether its first message has left, as far as it can."""

    async def note(self, stop: Stop, text: str, *, loud: bool = False) -> None:
        """Write into its timeline; `loud` tells people, too."""

    async def close(self, stop: Stop, text: str) -> None: ...
    async def replay(self, stop: Stop, share: int) -> int:
        """Take up what was left undone while calls were stopped: this share of it (percent), the worst and newest
        first; returns how many.
        """


Checking: TypeAlias = Callable[[Stop], Awaitable[Sequence[Check]]]
"""Looks at the world before a return. Raises `StoreError`."""


async def nothing_to_check(_stop: Stop) -> Sequence[Check]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What stops are planned and done with; `actuators` by their kind."""

    stops: Stops
    board: Board
    actuators: Mapping[str, Actuator]
    audit: Audit
    clock: Clock

    def now_ms(self) -> int:
        return (self.clock.now() - EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a running Aegis adds: who tells people, and how it stands. `before` are checks while everything is stopped
    still, `after` those of what was given back, before the first calls are admitted; `breakers` names services that are
    cut off now.
    """

    chronicle: Chronicle
    gates: Gates = field(default_factory=Gates)
    before: Checking = nothing_to_check
    after: Checking = nothing_to_check
    breakers: Callable[[], Sequence[str]] = tuple
