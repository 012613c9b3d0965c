"""Answers used again: bounded by size and time, kept across restarts, and asked for once (single flight).

The key is the caller's; it has to hold everything that the answer depends on, since two calls with one key get one
answer. Service and model are part of it here, length-prefixed, so that no two keys run together.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import anyio

from aegis.core.calls import Call
from aegis.core.ports import Answers, Clock

BYTES_MAX: Final = 64 * 1024 * 1024
ANSWER_MAX: Final = 4 * 1024 * 1024
"""One answer; a larger one is not kept."""
UNWRITTEN_MAX: Final = 1_000
"""Answers that wait to be written to the store; more are kept in memory only."""


@dataclass(slots=True)
class _Flight:
    """One call under way that others with the same key wait for."""

    landed: anyio.Event
    answer: bytes | None = None


def answer_key(call: Call, model: str) -> str:
    """The key of an answer, or nothing for a call that must not be answered from the cache."""
    if not call.cache_key:
        return ""
    digest = sha256()
    for part in (call.service, model, call.operation, call.cache_key):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


class AnswerCache:
    """Least recently used answers in memory over a store that survives restarts."""

    def __init__(self, clock: Clock, answers: Answers | None, *, bytes_max: int = BYTES_MAX) -> None:
        self._clock, self._answers, self._bytes_max = clock, answers, bytes_max
        self._kept: OrderedDict[str, tuple[bytes, datetime]] = OrderedDict()
        self._bytes = 0
        self._flights: dict[str, _Flight] = {}
        self._unwritten: dict[str, tuple[bytes, datetime]] = {}
        self.hits = self.misses = 0

    async def find(self, key: str) -> bytes | None:
        """An answer that still holds. None makes the caller the one that asks: it must call `land` in the end."""
        while True:
            answer = self._fresh(key)
            if answer is not None:
                self.hits += 1
                return answer
            flight = self._flights.get(key)
            if flight is None:
                break
            await flight.landed.wait()
            if flight.answer is not None:
                self.hits += 1
                return flight.answer
        self._flights[key] = _Flight(anyio.Event())
        try:
            answer = await self._answers.get(key, self._clock.now()) if self._answers else None
        except BaseException:
            self.land(key, None)
            raise
        if answer is None:
            self.misses += 1
            return None
        self.hits += 1
        self.land(key, answer)
        return answer

    def land(self, key: str, answer: bytes | None, *, keep_ms: int = 0) -> None:
        """The call that asked has ended; without an answer the next one waiting asks."""
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.answer = answer
            flight.landed.set()
        if answer is not None and keep_ms and len(answer) <= ANSWER_MAX:
            self._keep(key, answer, self._clock.now() + timedelta(milliseconds=keep_ms))

    async def write(self) -> None:
        """Write new answers to the store. Raises `StoreError`; they stay in memory either way."""
        unwritten, self._unwritten = self._unwritten, {}
        if self._answers is not None:
            for key, (answer, expires_at) in unwritten.items():
                await self._answers.put(key, answer, expires_at=expires_at, now=self._clock.now())

    async def clear(self) -> int:
        """Forget everything; returns how many answers were forgotten."""
        count = len(self._kept)
        self._kept.clear()
        self._unwritten.clear()
        self._bytes = 0
        return max(count, await self._answers.clear()) if self._answers else count

    def _fresh(self, key: str) -> bytes | None:
        found = self._kept.get(key)
        if found is None:
            return None
        answer, expires_at = found
        if self._clock.now() >= expires_at:
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return answer

    def _keep(self, key: str, answer: bytes, expires_at: datetime) -> None:
        self._forget(key)
        self._kept[key] = (answer, expires_at)
        self._bytes += len(answer)
        while self._bytes > self._bytes_max:
            self._forget(next(iter(self._kept)))
        if len(self._unwritten) < UNWRITTEN_MAX:
            self._unwritten[key] = (answer, expires_at)

    def _forget(self, key: str) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._bytes -= len(found[0])
