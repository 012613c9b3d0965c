"""Everything that runs again and again in one Aegis: one task group owns every background task.

Policy: a tick that fails is reported, backed off and tried again, and never stops its siblings. `stop` drains: no tick
begins any more, those under way get `drain_ms` to end, then they are cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

import anyio

from aegis.core.ports import Clock

Tick: TypeAlias = Callable[[datetime], Awaitable[object]]
"""Bounded work, given the time it begins at."""
Work: TypeAlias = Callable[[], Awaitable[object]]
"""Work that goes on until it is cancelled."""
Report: TypeAlias = Callable[[str, Exception], None]
"""Told the name of what failed and why; it never raises."""

BACKOFF_MAX_MS = 5 * 60_000
"""A tick that keeps failing is tried at least this often: what it waits for may be back."""
RESTART_MS = 1_000
"""The first pause of work that ended by an error; it doubles as ticks do."""
DOUBLINGS_MAX = 20
DRAIN_MS = 10_000
"""Longer than any single request to a service may take (`HttpRequest.timeout_ms`)."""


@dataclass(slots=True)
class Health:
    """How one loop stands: failures in a row, and what the last one said."""

    failures: int = 0
    error: str = ""
    last_at: datetime | None = None


@dataclass(slots=True)
class _Loop:
    name: str
    period_ms: int
    jitter_percent: int
    tick: Tick | None
    work: Work | None
    health: Health = field(default_factory=Health)
    pause: anyio.CancelScope | None = None
    """The scope of its sleep while it sleeps, so that a stop wakes it."""


class Loops:
    """The background of one process: say what runs with `every` and `keep`, then `run` until `stop`."""

    def __init__(self, *, clock: Clock, chance: Callable[[], float], report: Report, drain_ms: int = DRAIN_MS) -> None:
        """`chance` returns a number from 0 to 1 (`random.random`), for jitter."""
        self._clock, self._chance, self._report, self._drain_ms = clock, chance, report, drain_ms
        self._loops: list[_Loop] = []
        self._stopping = anyio.Event()

    def every(self, milliseconds: int, tick: Tick, *, name: str, jitter: int = 10) -> None:
        """Call `tick` at once and then `milliseconds` after each end, up to `jitter` percent earlier, so that many
        processes do not all knock at the same moment.
        """
        assert milliseconds > 0, "a loop needs a period"
        assert 0 <= jitter <= 100, "jitter is a percentage"
        self._add(_Loop(name, milliseconds, jitter, tick, None))

    def keep(self, work: Work, *, name: str) -> None:
        """Keep `work` going until the stop; if it ends by an error, it begins again after a pause. It is cancelled by
        the stop at once: work that must not be cut short is a tick.
        """
        self._add(_Loop(name, RESTART_MS, 0, None, work))

    def health(self) -> dict[str, Health]:
        """How every loop stands, by name."""
        return {loop.name: loop.health for loop in self._loops}

    def stop(self) -> None:
        """Begin to drain; `run` returns when everything has ended."""
        self._stopping.set()
        for loop in self._loops:
            if loop.pause is not None:
                loop.pause.cancel()

    async def run(self) -> None:
        """Run all loops until `stop`. Cancelling it cancels them at once."""
        async with anyio.create_task_group() as watch:
            async with anyio.create_task_group() as running:
                for loop in self._loops:
                    running.start_soon(self._ticking if loop.tick else self._kept, loop)
                watch.start_soon(self._drain, running.cancel_scope)
            watch.cancel_scope.cancel()

    # --- one loop --------------------------------------------------------------------------------------------

    async def _ticking(self, loop: _Loop) -> None:
        assert loop.tick is not None
        while not self._stopping.is_set():
            now = self._clock.now()
            try:
                await loop.tick(now)
            except Exception as error:  # noqa: BLE001 - the supervisor: a failing tick never kills its siblings
                self._failed(loop, error)
            else:
                loop.health.failures, loop.health.error, loop.health.last_at = 0, "", now
            await self._sleep(loop, self._pause_ms(loop))

    async def _kept(self, loop: _Loop) -> None:
        assert loop.work is not None
        while not self._stopping.is_set():
            began = self._clock.now()
            with anyio.CancelScope() as loop.pause:
                try:
                    await loop.work()
                except Exception as error:  # noqa: BLE001 - the supervisor, as above
                    if self._clock.now() - began > timedelta(milliseconds=BACKOFF_MAX_MS):
                        loop.health.failures = 0  # it went well for long: the next failure is a first one
                    self._failed(loop, error)
                else:
                    return
            loop.pause = None
            await self._sleep(loop, self._pause_ms(loop))

    async def _sleep(self, loop: _Loop, milliseconds: int) -> None:
        if self._stopping.is_set():
            return
        with anyio.CancelScope() as loop.pause:
            await self._clock.sleep_ms(milliseconds)
        loop.pause = None

    async def _drain(self, running: anyio.CancelScope) -> None:
        """After a stop, what is still under way has `drain_ms`."""
        await self._stopping.wait()
        await self._clock.sleep_ms(self._drain_ms)
        running.cancel()

    def _add(self, loop: _Loop) -> None:
        assert all(known.name != loop.name for known in self._loops), f"two loops are called {loop.name}"
        self._loops.append(loop)

    def _failed(self, loop: _Loop, error: Exception) -> None:
        loop.health.failures += 1
        loop.health.error = f"{type(error).__name__}: {error}"
        self._report(loop.name, error)

    def _pause_ms(self, loop: _Loop) -> int:
        """The period, doubled for every failure in a row up to the bound, less some jitter."""
        doubled = loop.period_ms << min(loop.health.failures, DOUBLINGS_MAX)
        pause = loop.period_ms if loop.health.failures == 0 else max(loop.period_ms, min(doubled, BACKOFF_MAX_MS))
        return max(1, pause - int(pause * loop.jitter_percent * self._chance()) // 100)
