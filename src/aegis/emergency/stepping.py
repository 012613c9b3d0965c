"""Takes stops further: one process at a time, step by step, each kept before the next. A crash costs one step, done again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aegis.core.stops import Stop, heard
from aegis.emergency.ports import Parts, Surroundings
from aegis.emergency.returning import Returning
from aegis.emergency.stopping import AEGIS, Stopping

LEASE_MS: Final = 15_000
"""After a crash another process goes on a quarter of a minute later: steps may be done twice, so this may be short."""


class Stepper:
    """`holder` names this process: two live ones must not share a name."""

    def __init__(self, parts: Parts, around: Surroundings, *, holder: str) -> None:
        self._parts, self._holder = parts, holder
        self._until_ms = 0
        self._paths: Mapping[str, Stopping | Returning] = {
            "stopping": Stopping(parts, around),
            "returning": Returning(parts, around),
        }

    async def turn(self) -> bool:
        """Take every stop as far as it goes now; whether anything moved. Raises `StoreError`; the next turn goes on."""
        standing = await self._parts.stops.standing()
        now_ms = self._parts.now_ms()
        going = [stop for stop in standing if stop.state in self._paths or _is_over(stop, now_ms)]
        if not going:
            await self.leave()
            return False
        moved = False
        for stop in going:
            if _is_over(stop, now_ms):
                await self._parts.audit.note(AEGIS, "return.lapsed", {"stop": stop.id, "why": "its time is over"})
            moved = await self._go(_lapsed(stop, now_ms)) or moved
        return moved

    async def leave(self) -> None:
        """Let another process take stops further."""
        if self._until_ms:
            self._until_ms = 0
            await self._parts.stops.let_go(self._holder)

    async def _go(self, stop: Stop) -> bool:
        moved = False
        while (path := self._paths.get(stop.state)) is not None and await self._leased():
            after = await path.step(stop)
            if after is None:
                break
            after = replace(after, version=stop.version + 1)
            if not await self._parts.stops.save(after):
                break  # somebody was faster
            stop, moved = after, True
        return moved

    async def _leased(self) -> bool:
        """Whether this process is the one; the lease is renewed when a third of it is over."""
        now_ms = self._parts.now_ms()
        if now_ms < self._until_ms - LEASE_MS * 2 // 3:
            return True
        until_ms = now_ms + LEASE_MS
        if not await self._parts.stops.lease(self._holder, now_ms=now_ms, until_ms=until_ms):
            self._until_ms = 0
            return False
        self._until_ms = until_ms
        return True


def _is_over(stop: Stop, now_ms: int) -> bool:
    return stop.state == "stopped" and 0 < stop.plan.expires_ms <= now_ms


def _lapsed(stop: Stop, now_ms: int) -> Stop:
    """A stop whose time is over returns by itself."""
    if not _is_over(stop, now_ms):
        return stop
    after = replace(stop, state="returning", lapsed=True, given=(), failed={}, tries={}, approver="its own end")
    return heard(replace(after, root_cause="it was stopped for a time"), now_ms, "The time it was stopped for is over")
