"""What time brings: steps of escalations that fall due, silences that begin and end. Looked at about every second.

Policy: each step is one change of its incident, committed with its messages; a crash before the commit fires it again
after the start, a crash after it does not. Silences are read from the store each time, so that one that was added
elsewhere holds within a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from aegis.core.errors import BadInput, StoreError
from aegis.core.ports import Clock
from aegis.core.silences import Silence
from aegis.incidents.record import Record
from aegis.incidents.telling import Telling

LOOK_EVERY = timedelta(seconds=1)
"""Deadlines count in minutes; a silence that was added by hand should hold at once."""
TURNS_MAX = 200
"""Incidents that one turn moves; the rest waits for the next, so that a flood does not hold up everything else."""


class Silences(Protocol):
    """The silences of record."""

    async def in_force(self, now: datetime) -> Sequence[Silence]: ...


class Watch:
    """`turn` is called again and again; it does nothing while nothing is due."""

    def __init__(self, *, record: Record, telling: Telling, silences: Silences, clock: Clock) -> None:
        self._record, self._telling, self._silences, self._clock = record, telling, silences, clock
        self._looked_at: datetime | None = None

    async def turn(self) -> None:
        """Move what time has moved. Raises `StoreError`: then it is done at the next turn."""
        now = self._clock.now()
        if self._looked_at is not None and timedelta(0) <= now - self._looked_at < LOOK_EVERY:
            return
        self._telling.learn(await self._silences.in_force(now))
        self._looked_at = now
        for incident_id in self._telling.due(now)[:TURNS_MAX]:
            try:
                await self._record.change(incident_id, self._telling.turned, tell=self._telling.tells)
            except BadInput:  # retention has deleted it
                self._telling.forget(incident_id)
            except StoreError:
                self._looked_at = None
                raise

    @property
    def telling(self) -> Telling:
        return self._telling
