"""What time brings: steps of escalations that fall due, silences that begin and end. Looked at about every second.

Policy: each step is one change of its incident, committed with its messages; a crash before the commit fires it again
after the start, a crash after it does not. Silences are read from the store each time, so that one that was added
elsewhere holds within a turn; and what had not left when it began is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from aegis.core.deliveries import is_held_back
from aegis.core.errors import BadInput, StoreError
from aegis.core.incidents import Incident
from aegis.core.notifications import Change, Delivery, DeliveryState
from aegis.core.ports import Clock
from aegis.core.silences import Silence
from aegis.incidents.record import Record
from aegis.incidents.telling import Telling

LOOK_EVERY = timedelta(seconds=1)
"""Deadlines count in minutes; a silence that was added by hand should hold at once."""
TURNS_MAX = 200
"""Incidents that one turn moves; the rest waits for the next, so that a flood does not hold up everything else."""

SETTLES_AFTER = timedelta(seconds=90)
"""How long after a silence began what waits is looked through: what is being sent when it begins comes back within its
lease, a minute, when it fails.
"""
WAITING_MAX = 5_000
"""Incidents looked through in one turn: about a tenth of a second."""


class Silences(Protocol):
    """The silences of record."""

    async def in_force(self, now: datetime) -> Sequence[Silence]: ...


class Unsent(Protocol):
    """What waits in the outbox."""

    async def waiting(self, limit: int) -> Sequence[str]: ...
    async def of_incident(self, incident_id: str) -> Sequence[Delivery]: ...


class Watch:
    """`turn` is called again and again; it does nothing while nothing is due."""

    def __init__(self, *, record: Record, telling: Telling, silences: Silences, unsent: Unsent, clock: Clock) -> None:
        self._record, self._telling, self._silences, self._clock = record, telling, silences, clock
        self._unsent = unsent
        self._looked_at: datetime | None = None

    async def turn(self) -> None:
        """Move what time has moved. Raises `StoreError`: then it is done at the next turn."""
        now = self._clock.now()
        if self._looked_at is not None and timedelta(0) <= now - self._looked_at < LOOK_EVERY:
            return
        silences = await self._silences.in_force(now)
        self._telling.learn(silences)
        if any(self._is_new(one, now) for one in silences):
            await self._take_back(now)
        self._looked_at = now
        for incident_id in self._telling.due(now)[:TURNS_MAX]:
            try:
                await self._record.change(incident_id, self._telling.turned, tell=self._telling.tells)
            except BadInput:  # retention has deleted it
                self._telling.forget(incident_id)
            except StoreError:
                self._looked_at = None
                raise

    def _is_new(self, silence: Silence, now: datetime) -> bool:
        """Whether it has just begun, or may have while nobody looked."""
        span = silence.open_at(now)
        if span is None:
            return False
        return self._looked_at is None or now - max(span.starts_at, silence.created_at) < SETTLES_AFTER

    async def _take_back(self, now: datetime) -> None:
        """Of messages that wait, those that a silence now covers do not leave."""
        taken = 0
        for incident_id in await self._unsent.waiting(WAITING_MAX):
            incident = await self._record.get(incident_id)
            if incident is None or not self._telling.is_silenced(incident, now):
                continue
            placed = await self._unsent.of_incident(incident_id)
            held = [one for one in placed if is_held_back(one.service, one.notification.change)]
            waiting = [one.notification.change for one in held if one.state is DeliveryState.READY]
            told = any(one.state in (DeliveryState.LEASED, DeliveryState.DONE) for one in held)
            if waiting:
                hush = partial(self._hush, waiting=waiting, told=told)
                await self._record.change(incident_id, hush)
                taken += 1
            if taken >= TURNS_MAX:
                return

    def _hush(self, incident: Incident, now: datetime, *, waiting: Sequence[Change], told: bool) -> Incident:
        return self._telling.hushed(incident, waiting, now, told=told)

    @property
    def telling(self) -> Telling:
        return self._telling
