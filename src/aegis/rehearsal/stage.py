"""A stage for stories: one Aegis on a story's clock, wired to a sandbox, and a director who lets time pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from itertools import count

import anyio
import anyio.lowlevel

from aegis.app import App
from aegis.core.ports import Http, HttpAnswer, HttpRequest
from aegis.rehearsal.clock import StoryClock

CALM_ROUNDS = 3
"""How often in a row nothing may be under way before time moves on."""
TURNS = 10
"""Turns of the loop in a round: callbacks of callbacks get to run."""


FINE = 400
"""Wakings that are looked at one by one: some of them are a quarter of a second apart, so a hundred seconds."""
STRIDE = timedelta(seconds=5)
"""How time moves while a service stays away for long: its next try is seconds or minutes off."""


class WatchedHttp:
    """The outbound client, with a count of the requests under way. A service in `thinks` takes so many milliseconds of the
    story's time before it is asked: what else is to be done in that moment is done first, on every machine.
    """

    def __init__(self, http: Http, clock: StoryClock | None = None, thinks: Mapping[str, int] | None = None) -> None:
        self._http, self._clock, self._thinks = http, clock, thinks or {}
        self.under_way = 0

    async def send(self, request: HttpRequest) -> HttpAnswer:
        if self._clock is not None and request.service in self._thinks:
            await self._clock.sleep_ms(self._thinks[request.service])
        self.under_way += 1
        try:
            return await self._http.send(request)
        finally:
            self.under_way -= 1


class Director:
    """Moves the story's time, but only while nothing is under way: so a story ends the same on any machine."""

    def __init__(self, app: App, clock: StoryClock, http: WatchedHttp, *, fine: int = FINE) -> None:
        """After `fine` wakings of one stretch in which something waits still, time moves by `STRIDE`."""
        self._app, self._clock, self._http, self._fine = app, clock, http, fine

    async def reach(self, at: datetime) -> None:
        """Let time pass until `at`, waking whoever has something to do on the way."""
        for number in count():
            await self.calm()
            wakes = self._clock.next_waking()
            if wakes is None or wakes > at or not await self._something_waits():
                break
            self._clock.move_to(wakes if number < self._fine else min(at, self._clock.now() + STRIDE))
        self._clock.move_to(at)

    async def until(self, true: Callable[[], Awaitable[bool]], *, by: datetime) -> bool:
        """Let time pass, from one waking to the next, until something is so; False when it is not by then."""
        while True:
            await self.calm()
            if await true():
                return True
            wakes = self._clock.next_waking()
            if wakes is None or wakes > by:
                self._clock.move_to(by)
                return False
            self._clock.move_to(wakes)

    async def finish(self, *, by: datetime) -> None:
        """Let time pass until nothing waits any more, or until `by`."""
        while await self._something_waits():
            wakes = self._clock.next_waking()
            if wakes is None or wakes > by:
                break
            self._clock.move_to(wakes)
            await self.calm()

    async def calm(self) -> None:
        """Return when no request is under way, the store has answered everybody, and every task waits."""
        rounds = 0
        while rounds < CALM_ROUNDS:
            for _ in range(TURNS):
                await anyio.lowlevel.checkpoint()
            sending = any(lane.sending for lane in self._app.lanes.states())  # mail is no HTTP
            busy = self._http.under_way or sending or self._app.store_under_way() or self._app.turn.locked()
            rounds = 0 if busy else rounds + 1
            if busy:
                await anyio.sleep(0.0005)

    async def _something_waits(self) -> bool:
        return bool(self._app.pipeline.unfinished or self._app.crossings or await self._app.outbox.undelivered())
