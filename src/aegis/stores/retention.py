"""How long each kind of record is kept, and the tick that deletes what is older, a little at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.times import to_us

STEP = 500
"""Rows in one transaction: some ten milliseconds, so that nobody who writes waits noticeably."""
STEPS_MAX = 40
"""Steps of one kind in one tick: 20,000 rows, after which the rest waits for the next tick."""

ARRIVALS_DAYS = 14
"""Names of webhooks that were taken and links that were used: longer than any of them is believed (links: 7 days)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Days after which a record may go."""

    events: int = 7
    """Raw logs live in the team's own log platform; a week covers every correlation and a long weekend."""
    deliveries: int = 30
    """Whether somebody was told is asked within weeks, in the review of an incident."""
    dead_letters: int = 365
    """A person decides about them; as long as the incident they belong to."""
    incidents: int = 365
    """A year since the last change: audits ask for twelve months (PCI DSS 4.0, 10.5.1)."""
    set_aside: int = 30
    """Long enough to notice that a source is malformed and to send its lines again."""


class Retention:
    """Deletes what is older than it has to be. Waiting events and waiting deliveries are never deleted."""

    def __init__(self, database: Database, keep: Keep | None = None) -> None:
        self._database = database
        self._keep = keep or Keep()
        self._queries = read_queries("retention")

    async def tick(self, now: datetime) -> Mapping[str, int]:
        """Delete at most `STEP * STEPS_MAX` rows of each kind; returns how many of each went. Raises `StoreError`."""
        keep = self._keep
        days = {
            "events": keep.events,
            "deliveries": keep.deliveries,
            "dead_letters": keep.dead_letters,
            "notifications": keep.deliveries,
            "incidents": keep.incidents,
            "remotes": keep.incidents,
            "idempotency": 0,
            "set_aside": keep.set_aside,
            "arrivals": ARRIVALS_DAYS,
            "handles": keep.incidents,
            "alerts": keep.incidents,
        }
        return {kind: await self._delete(kind, now - timedelta(days=after)) for kind, after in days.items()}

    async def _delete(self, kind: str, before: datetime) -> int:
        query, row = self._queries[kind], {"before_us": to_us(before), "limit": STEP}
        gone = 0
        for _ in range(STEPS_MAX):
            step = await self._database.write(lambda connection: connection.execute(query, row).rowcount)
            gone += step
            if step < STEP:
                break
        return gone
