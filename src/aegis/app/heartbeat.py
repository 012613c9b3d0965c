"""The sign of life that Aegis sends out, so that somebody notices when it has fallen silent.

Policy: it is sent only while everything really works: the background turns, events that wait are being worked, and the
store takes a write. Nothing else speaks for it: while a part is stuck nothing is sent, and whoever waits for it raises
the alarm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import anyio
import orjson

from aegis import __version__
from aegis.core.errors import ServiceError, StoreError
from aegis.core.ports import Clock, Events, Http, HttpRequest
from aegis.core.secret import Secret
from aegis.core.telemetry import LoopFailed, Observer
from aegis.core.wording import rfc3339
from aegis.loops import Health
from aegis.stores.lookups import SqliteLookups

NAME = "heartbeat"
SETTING = "heartbeat_at"
"""The setting that is written before each beat: a store that takes no write sends no sign of life."""
NEEDED = ("events", "deliveries", "governor")
"""Loops without which nothing is detected, told or held to its budget."""
TURNING = "governor"
"""The loop that turns four times a second whatever happens."""

Stuck: TypeAlias = Callable[[datetime], Awaitable[Mapping[str, str]]]
"""What keeps Aegis from working now, by part; empty when it works."""


class Heartbeat:
    """`beat` is called every so often."""

    def __init__(self, url: Secret, *, stuck: Stuck, http: Http, clock: Clock, observe: Observer) -> None:
        self._url, self._stuck, self._http, self._clock, self._observe = url, stuck, http, clock, observe
        self._said = ""

    async def beat(self, now: datetime) -> bool:
        """Send one sign of life, if there is life; whether it was taken. Never raises: the next beat tries again."""
        if stuck := await self._stuck(now):
            self._tell(now, "not sent: " + "; ".join(f"{part}: {why}" for part, why in stuck.items()))
            return False
        body = orjson.dumps({"schema": "aegis.heartbeat/1", "at": rfc3339(now), "version": __version__})
        headers = {"content-type": "application/json"}
        request = HttpRequest(service=NAME, method="POST", url=self._url.reveal(), headers=headers, body=body)
        try:
            answer = await self._http.send(request)
        except ServiceError as error:
            self._tell(now, str(error))
            return False
        if not 200 <= answer.status < 300:
            self._tell(now, f"{NAME}: refused with {answer.status}")
            return False
        self._said = ""
        return True

    def _tell(self, now: datetime, message: str) -> None:
        """Each trouble is told once, not at every beat."""
        if message != self._said:
            self._said = message
            self._observe(LoopFailed(at=now, loop=NAME, message=message))


class Vitals:
    """Looks whether one Aegis really works. `progress` is when it last worked events off, `health` how its loops stand."""

    def __init__(
        self,
        *,
        events: Events,
        lookups: SqliteLookups,
        health: Callable[[], Mapping[str, Health]],
        progress: Callable[[], datetime],
        grace_ms: int,
    ) -> None:
        self._events, self._lookups = events, lookups
        self._health, self._progress = health, progress
        self._grace = timedelta(milliseconds=grace_ms)

    async def stuck(self, now: datetime) -> Mapping[str, str]:
        """What keeps it from working, by part."""
        return {**self._loops(now), **await self._store(now)}

    def _loops(self, now: datetime) -> dict[str, str]:
        health = self._health()
        found = {name: health[name].error for name in NEEDED if name in health and health[name].failures}
        turned = health[TURNING].last_at if TURNING in health else None
        if TURNING not in found and (turned is None or now - turned > self._grace):
            found[TURNING] = "has not turned for too long"
        return found

    async def _store(self, now: datetime) -> dict[str, str]:
        try:
            with anyio.fail_after(self._grace.total_seconds()):
                await self._lookups.keep_setting(SETTING, rfc3339(now))
                waiting = await self._events.pending(1)
        except StoreError as error:
            return {"store": str(error)}
        except TimeoutError:
            return {"store": "takes too long to write"}
        if waiting and now - self._progress() > self._grace:
            return {"events": "wait and are not worked"}
        return {}
