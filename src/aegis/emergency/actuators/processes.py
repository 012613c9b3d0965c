"""Programs started with `aegis run`: ended with their whole process group, or paused until the return.

Policy: TERM, a time of grace, KILL. Only what is registered and still the same process (pid, start time, boot) is
touched; once the leader is gone, only those of its group that carry its mark. See docs/actuators.md.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final, Literal, Protocol

from aegis.core.errors import BadInput, ServiceError
from aegis.core.ports import Clock
from aegis.core.stops import Grade, Scope, Target, TargetState
from aegis.core.workloads import Workload
from aegis.emergency.actuators.linux import ENDED, HALTED, Linux, Machine, Proc
from aegis.emergency.actuators.scopes import within

MARK: Final = "AEGIS_RUN"
"""The variable that says in a program's environment which registration is its own."""
LOOK_MS: Final = 20
"""Between two looks whether a group has ended."""
ROUNDS_MAX: Final = 100
"""Looks after KILL (or STOP): two seconds, which only a group that forks faster than it dies outlives."""

How = Literal["end", "pause"]


class Registered(Protocol):
    """The registered programs that have not been reported as ended. Raises `StoreError`."""

    async def running(self) -> Sequence[Workload]: ...


class Processes:
    """The actuator. `how` holds for what is planned from now on; a planned target keeps its own."""

    kind: Final = "processes"
    grade: Final = Grade.G4

    def __init__(
        self, registered: Registered, *, clock: Clock, how: How, grace_ms: int, machine: Machine | None = None
    ) -> None:
        self._registered, self._clock = registered, clock
        self._how, self._grace_ms, self._machine = how, grace_ms, machine or Linux()

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """The registered programs of the scope that run on this machine. Raises `StoreError`."""
        targets = [target_of(one, self._how) for one in await self._registered.running() if within(scope, one.scope)]
        return [target for target in targets if self._state(target) == "running"]

    async def stop(self, target: Target) -> None:
        """End or pause the whole group. Raises `BadInput` when the number is another process's by now, and
        `ServiceError` when it may not be signalled or does not end.
        """
        if target.saved.get("how") == "pause":
            await self._all(target, signal.SIGSTOP, until=HALTED)
            return
        for member in self._members(target):
            self._machine.send(member, signal.SIGTERM)
            self._machine.send(member, signal.SIGCONT)  # what was halted hears TERM only when it goes on
        left = self._grace_ms
        while left > 0 and self._members(target):
            await self._clock.sleep_ms(min(LOOK_MS, left))
            left -= LOOK_MS
        await self._all(target, signal.SIGKILL, until=ENDED)

    async def restore(self, target: Target) -> None:
        """Let a paused group go on; one that was ended stays so. Raises `BadInput` and `ServiceError` as `stop`."""
        if target.saved.get("how") == "pause":
            for member in self._members(target):
                self._machine.send(member, signal.SIGCONT)

    async def status(self, target: Target) -> TargetState:
        return self._state(target)

    def _state(self, target: Target) -> TargetState:
        try:
            members = self._members(target)
        except BadInput:
            return "gone"
        if not members:
            return "gone"
        return "stopped" if all(one.state in HALTED for one in members) else "running"

    def _members(self, target: Target) -> list[Proc]:
        """Who is left of a target's group. Raises `BadInput` for a number that another process has by now."""
        pid, started, boot = _identity(target)
        if boot != self._machine.boot():
            return []
        leader = self._machine.look(pid)
        if leader is not None and leader.started != started:
            raise BadInput(f"process {pid} is another one by now and was left alone", code="not_as_planned")
        members = self._machine.group(pid)
        if leader is not None:  # a zombie too: its number is not given away, nor its group's
            return members
        # The number is free for others as soon as the group is empty: what is found then must carry our mark.
        mark = f"{MARK}={target.saved.get('run', '')}"
        return [one for one in members if self._machine.marked(one, mark)]

    async def _all(self, target: Target, number: signal.Signals, *, until: frozenset[str]) -> None:
        """Send a signal to all of a group until each is in one of these states: it may fork while it is told."""
        for _ in range(ROUNDS_MAX):
            left = [one for one in self._members(target) if one.state not in until]
            if not left:
                return
            for member in left:
                self._machine.send(member, number)
            await self._clock.sleep_ms(LOOK_MS)
        raise ServiceError(self.kind, f"{target.name} ({target.id}) does not obey {number.name}", retryable=True)


def target_of(workload: Workload, how: How) -> Target:
    """A registered program as a stop's target."""
    saved = {"how": how, "run": workload.id}
    return Target(kind=Processes.kind, id=workload.target_id, name=workload.command, saved=saved)


def _identity(target: Target) -> tuple[int, int, str]:
    pid, _, rest = target.id.partition("/")
    started, _, boot = rest.partition("/")
    if not (pid.isdecimal() and int(pid) > 1 and started.isdecimal() and boot):
        raise BadInput(f"{target.id[:64]} names no process", code="bad_target")
    return int(pid), int(started), boot
