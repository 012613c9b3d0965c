"""What stop and return ask of the world: things that can be stopped and given back, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from aegis.core.stops import Grade, Scope, Target, TargetState


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
