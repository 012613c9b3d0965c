"""The silences of record, and what a commit does for them: counting what they keep back, taking back what waits."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aegis.core.deliveries import is_for_the_unaware, is_held_back
from aegis.core.errors import BadInput
from aegis.core.notifications import Delivery
from aegis.core.silences import SILENCES_MAX, Silence
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.records import dump, load
from aegis.stores.standing import silence_from_json, silence_to_json
from aegis.stores.times import from_us, to_us


class SqliteSilences:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("silences")

    async def add(self, silence: Silence, *, now: datetime) -> None:
        """Put a silence on record. Raises `BadInput` when there are `SILENCES_MAX` in force."""
        row = {"id": silence.id, "over_us": to_us(silence.over_at), "body": dump(silence_to_json(silence))}
        in_force, add = self._queries["in_force"], self._queries["add"]

        def work(connection: sqlite3.Connection) -> bool:
            counted = connection.execute(in_force, {"now_us": to_us(now), "limit": SILENCES_MAX}).fetchall()
            if len(counted) < SILENCES_MAX:
                connection.execute(add, row)
            return len(counted) < SILENCES_MAX

        if not await self._database.write(work):
            raise BadInput(f"There are {SILENCES_MAX} silences already; expire some first", code="too_many")

    async def in_force(self, now: datetime) -> Sequence[Silence]:
        """Those that are not over, also the planned ones."""
        return await self._found("in_force", {"now_us": to_us(now), "limit": SILENCES_MAX})

    async def newest(self, limit: int) -> Sequence[Silence]:
        """All on record, newest first."""
        return await self._found("newest", {"limit": limit})

    async def get(self, silence_id: str) -> Silence | None:
        found = await self._found("get", {"id": silence_id})
        return found[0] if found else None

    async def end(self, silence_id: str, *, now: datetime) -> bool:
        """End it now. False when there is none such, or it is over already."""
        query, row = self._queries["end"], {"id": silence_id, "now_us": to_us(now)}
        return await self._database.write(lambda connection: connection.execute(query, row).rowcount == 1)

    async def _found(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Silence]:
        query = self._queries[name]
        rows = await self._database.read(lambda connection: connection.execute(query, parameters).fetchall())
        return [_silence(*row) for row in rows]


class Holding:
    """What the commit of an incident does for silences, inside its transaction."""

    def __init__(self) -> None:
        self._queries = read_queries("silences")

    def keep(
        self,
        connection: sqlite3.Connection,
        *,
        held: Mapping[str, int],
        withdrawn: Sequence[str],
        hushed: Sequence[str],
        now_us: int,
    ) -> None:
        """Count what silences (by id) kept back, and take back what waits: for single people about incidents that are
        `withdrawn`, for all but records about those `hushed`.
        """
        for silence_id, more in held.items():
            connection.execute(self._queries["count"], {"id": silence_id, "more": more})
        for incident_id in withdrawn:
            connection.execute(self._queries["withdraw"], {"incident_id": incident_id, "now_us": now_us})
        for incident_id in hushed:
            waiting = connection.execute(self._queries["waiting_of"], {"incident_id": incident_id}).fetchall()
            for delivery_id, service, change in waiting:
                if is_held_back(service, change):
                    connection.execute(self._queries["take_back"], {"id": delivery_id, "now_us": now_us})

    def is_for_the_unaware(self, connection: sqlite3.Connection, delivery: Delivery) -> bool:
        """Whether it tells one person the end of what they never heard of. Only such a delivery is looked up."""
        if not is_for_the_unaware(delivery, ()):
            return False
        found = connection.execute(self._queries["reached"], {"incident_id": delivery.incident_id}).fetchall()
        return is_for_the_unaware(delivery, [row[0] for row in found])


def _silence(silence_id: str, body: str, ended_us: int, held: int) -> Silence:
    return silence_from_json(silence_id, load(body), ended_at=from_us(ended_us) if ended_us else None, held=held)
