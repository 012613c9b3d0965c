"""Stop and return in a story: a person's plan, applied, and the way back, taken on the story's clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aegis.app import App
from aegis.core.stops import Grade, Scope, Stop
from aegis.emergency.planning import Order
from aegis.rehearsal.clock import StoryClock
from aegis.rehearsal.programs import Asked
from aegis.rehearsal.stage import Director

SECOND: Final = timedelta(seconds=1)
STOPPED_BY: Final = timedelta(seconds=30)
"""How long a stop of our own parts may take in a story: six times what its message may."""
LOOK: Final = timedelta(seconds=30)
"""How far apart the calls of a return come: each step of five minutes sees ten such moments."""
PACE: Final = 4
"""How much faster than the rest of a story a return is watched: little happens in its five minutes."""
RETURNED_BY: Final = timedelta(minutes=75)
"""A return that needs longer than an hour and a quarter has broken off or never comes."""
CALLS_A_LOOK: Final[Mapping[int, int]] = {10: 12, 50: 4, 100: 2}
"""How many calls programs try at each moment, by the share that is admitted: so that every step sees enough of them."""
Spend = Callable[[], Awaitable[Asked]]
"""One call of a program whose calls are stopped."""


@dataclass(slots=True)
class Climb:
    """How a return went: when it was asked for and over, what was tried and made at each share."""

    stop: Stop
    asked_at: datetime
    over_at: datetime | None = None
    tried: dict[int, int] = field(default_factory=dict)
    made: dict[int, int] = field(default_factory=dict)


class Ramp:
    """The emergency desk of a story. `say` hears every new line of a stop's history."""

    def __init__(
        self,
        app: App,
        clock: StoryClock,
        director: Director,
        say: Callable[[datetime, str], None] = lambda *_: None,
        *,
        known: Stop | None = None,
    ) -> None:
        """`known` is a stop whose history was told already."""
        assert app.emergency is not None, "an opened Aegis can stop"
        self._emergency, self._clock, self._director, self._say = app.emergency, clock, director, say
        self._said = {known.id: len(known.said)} if known else {}

    async def stop(self, scope: Scope, *, reason: str, by: str, grade: Grade = Grade.G2) -> Stop:
        """Plan, keep and apply a stop; returns when it stands, or after `STOPPED_BY`."""
        orders = self._emergency.orders
        planned = await orders.plan(Order(grade=grade, scope=scope, reason=reason, by=by))
        await orders.keep(planned)
        await orders.apply(planned.id, by=by)

        async def stands() -> bool:
            return (await self._heard(planned.id)).state == "stopped"

        await self._director.until(stands, by=self._clock.now() + STOPPED_BY)
        return await self._heard(planned.id)

    async def back(
        self,
        stop: Stop,
        spend: Spend,
        *,
        by: str,
        approver: str,
        root_cause: str,
        pause: Callable[[timedelta], Awaitable[None]],
    ) -> Climb:
        """Ask for the return and take it through the ramp while a program calls; until it is over or broken off."""
        asked = await self._emergency.orders.recover(stop.id, by=by, approver=approver, root_cause=root_cause)
        climb = Climb(asked, self._clock.now())
        until = self._clock.now() + RETURNED_BY
        while climb.stop.state == "returning" and self._clock.now() < until:
            await pause(LOOK / PACE)
            await self._director.reach(self._clock.now() + LOOK - SECOND)
            await self._director.reach(self._clock.now() + SECOND)  # a switch that was turned is read at the next turn
            await self._director.calm()
            before, climb.stop = climb.stop.ramp, await self._heard(stop.id)
            if climb.stop.ramp != before:  # turned just now: whoever admits calls reads it within a second
                await self._director.reach(self._clock.now() + SECOND)
            if climb.stop.ramp is not None and climb.stop.state == "returning":
                await self._calls(climb, climb.stop.ramp.share, spend)
        if climb.stop.state == "returned":
            climb.over_at = self._clock.now()
        return climb

    async def _calls(self, climb: Climb, share: int, spend: Spend) -> None:
        for _ in range(CALLS_A_LOOK[share]):
            asked = await spend()
            climb.tried[share] = climb.tried.get(share, 0) + 1
            climb.made[share] = climb.made.get(share, 0) + asked.made
        await self._director.calm()

    async def _heard(self, stop_id: str) -> Stop:
        """The stop as it stands; what is new in its history is told."""
        stop = await self._emergency.parts.stops.get(stop_id)
        told = self._said.get(stop_id, 0)
        for at_ms, words in stop.said[told:]:
            self._say(datetime.fromtimestamp(at_ms / 1_000, self._clock.now().tzinfo), words)
        self._said[stop_id] = len(stop.said)
        return stop
