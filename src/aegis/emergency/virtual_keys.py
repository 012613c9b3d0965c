"""Virtual keys, held at once and given back: programs that use them are refused and their streams end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from aegis.core.errors import BadInput
from aegis.core.ports import Clock, NewId
from aegis.core.stops import Grade, Scope, Target, TargetState
from aegis.core.virtualkeys import VirtualKey

ABOUT: Final = frozenset({"key", "team"})
"""The scopes that say something about keys; a stop of everything is about all of them."""


class Keys(Protocol):
    """The keys of record. Each raises `StoreError`."""

    async def all(self) -> Sequence[VirtualKey]: ...
    async def hold(self, key_id: str, *, by: str) -> bool: ...
    async def give_back(self, key_id: str, *, by: str) -> bool: ...


class VirtualKeys:
    """`emergency.ports.Actuator` for our own keys."""

    kind: Final = "virtual-keys"
    grade: Final = Grade.G2

    def __init__(self, keys: Keys, *, clock: Clock, new_id: NewId) -> None:
        self._keys, self._clock, self._new_id = keys, clock, new_id

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        if scope.keys() - ABOUT:
            return ()
        now = self._clock.now()
        return [
            Target(kind=self.kind, id=key.id, name=key.name, saved={"hold": self._new_id("hld")})
            for key in await self._keys.all()
            if key.live(now) and scope.get("key") in (None, key.name) and scope.get("team") in (None, key.team)
        ]

    async def stop(self, target: Target) -> None:
        hold = target.saved["hold"]
        if not await self._keys.hold(target.id, by=hold):
            key = await self._key(target)
            if key is None or not key.standing(self._clock.now()):
                raise BadInput(f"the key {target.name} ended since", code="gone")
            if key.held != hold:
                raise BadInput(f"the key {target.name} is held by another stop already", code="held")

    async def restore(self, target: Target) -> None:
        await self._keys.give_back(target.id, by=target.saved["hold"])

    async def status(self, target: Target) -> TargetState:
        key = await self._key(target)
        if key is None or not key.standing(self._clock.now()):
            return "gone"
        return "stopped" if key.held else "running"

    async def _key(self, target: Target) -> VirtualKey | None:
        return next((key for key in await self._keys.all() if key.id == target.id), None)
