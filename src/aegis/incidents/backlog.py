"""What waits for enrichment and analysis: incident ids, the worst first, then the oldest; bounded.

Policy: an id waits at most once and is worked by one worker at a time. When too many wait, the mildest are let go: the
store still knows them, and `overflowed` says that it has to be asked once the rest is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heapify, heappop, heappush, nsmallest

import anyio

from aegis.core.incidents import Incident

WAITING_MAX = 20_000
"""Two minutes of the worst burst that Aegis is built for (10,000 incidents a minute)."""


class Backlog:
    """A priority queue of incident ids for any number of workers on one event loop."""

    def __init__(self, *, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._heap: list[tuple[int, int, str]] = []
        self._waiting: dict[str, int] = {}
        self._busy: set[str] = set()
        self._again: dict[str, int] = {}
        self._turn = 0
        self._arrived, self._finished = anyio.Event(), anyio.Event()
        self.overflowed = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def unfinished(self) -> int:
        """How many wait or are being worked."""
        return len(self._waiting) + len(self._busy)

    def push(self, incident: Incident) -> None:
        """Let the incident wait. One that waits already moves up if it has become worse."""
        rank = -incident.severity
        if incident.id in self._busy:
            self._again[incident.id] = rank
        elif self._waiting.get(incident.id, 0) > rank:
            self._wait(incident.id, rank)

    def _wait(self, incident_id: str, rank: int) -> None:
        self._turn += 1
        self._waiting[incident_id] = rank
        heappush(self._heap, (rank, self._turn, incident_id))
        if len(self._heap) > 2 * self._waiting_max or len(self._waiting) > self._waiting_max:
            self._trim()
        self._arrived.set()

    def _trim(self) -> None:
        """Drop entries that were moved up, then the mildest beyond the bound."""
        valid = (entry for entry in self._heap if self._waiting.get(entry[2]) == entry[0])
        kept = nsmallest(self._waiting_max, valid)
        self.overflowed = self.overflowed or len(kept) < len(self._waiting)
        self._heap = kept
        heapify(self._heap)
        self._waiting = {incident_id: rank for rank, _, incident_id in kept}

    @contextmanager
    def take(self) -> Iterator[str]:
        """The next id to work, "" when none waits; what comes for it meanwhile waits until the block ends."""
        incident_id = self._next()
        try:
            yield incident_id
        finally:
            self._busy.discard(incident_id)
            if (rank := self._again.pop(incident_id, None)) is not None:
                self._wait(incident_id, rank)
            if not self._busy:
                self._finished.set()

    def _next(self) -> str:
        while self._heap:
            rank, _, incident_id = heappop(self._heap)
            if self._waiting.get(incident_id) == rank:
                del self._waiting[incident_id]
                self._busy.add(incident_id)
                return incident_id
        return ""

    async def arrival(self) -> None:
        """Return when something waits here, or in the store."""
        if not self._waiting and not self.overflowed:
            if self._arrived.is_set():
                self._arrived = anyio.Event()
            await self._arrived.wait()

    async def finished(self) -> None:
        """Return when nothing is being worked."""
        if self._busy:
            if self._finished.is_set():
                self._finished = anyio.Event()
            await self._finished.wait()
