"""The incidents of record, and the one transaction that ties events, incidents and deliveries together."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from aegis.core.errors import StoreError
from aegis.core.incidents import Incident
from aegis.core.ports import Work
from aegis.stores import incident_list
from aegis.stores.database import Database
from aegis.stores.placing import Placing
from aegis.stores.queries import read_queries
from aegis.stores.records import incident_from_text, incident_to_text
from aegis.stores.silences import Holding
from aegis.stores.times import to_us


class SqliteIncidents:
    """The port `Incidents`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("incidents")
        self._placing = Placing()
        self._holding = Holding()

    async def commit(self, work: Work) -> None:
        """Events done, incidents and deliveries, whole or not at all; durable when this returns. What is withdrawn is
        taken back first.

        Deliveries already known are left alone; one that waits unsent gives its place to a newer one of the same
        incident and service. Raises `StoreError` when an incident's version does not grow (somebody else changed it)
        or the store failed: then nothing of the work is known to be stored.
        """
        rows = [_row(incident) for incident in work.incidents]
        placed = self._placing.prepared(work.deliveries)
        now_us = max((row["updated_us"] for row in rows), default=0)

        def commit(connection: sqlite3.Connection) -> None:
            connection.executemany(self._queries["mark_done"], ({"id": event_id} for event_id in work.events_done))
            for row in rows:
                if connection.execute(self._queries["keep"], row).rowcount != 1:
                    raise StoreError(f"Incident {row['id']} was changed elsewhere: read it again, then change it")
            incident_list.keep(connection, work.incidents)
            self._holding.keep(connection, held=work.held, withdrawn=work.withdrawn, hushed=work.hushed, now_us=now_us)
            unaware = self._holding.is_for_the_unaware
            self._placing.place(connection, [one for one in placed if not unaware(connection, one.delivery)])

        await self._database.write(commit)

    async def unresolved(self) -> Sequence[Incident]:
        """Every incident that is not over, oldest first. Raises `StoreError`."""
        return await self._incidents("unresolved", {})

    async def get(self, incident_id: str) -> Incident | None:
        """One incident, or None when there is none such. Raises `StoreError`."""
        found = await self._incidents("get", {"id": incident_id})
        return found[0] if found else None

    async def recent(self, limit: int) -> Sequence[Incident]:
        """The newest incidents, newest first. Raises `StoreError`."""
        return await self._incidents("recent", {"limit": limit})

    async def by_status(self) -> Mapping[str, int]:
        """How many incidents are open, acknowledged, resolved. Raises `StoreError`."""
        query = self._queries["by_status"]
        return await self._database.read(lambda connection: dict(connection.execute(query).fetchall()))

    async def _incidents(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Incident]:
        query = self._queries[name]
        return await self._database.read(
            lambda connection: [incident_from_text(row[0]) for row in connection.execute(query, parameters)]
        )


def _row(incident: Incident) -> Mapping[str, Any]:
    return {
        "id": incident.id,
        "version": incident.version,
        "status": incident.status.value,
        "opened_us": to_us(incident.opened_at),
        "updated_us": to_us(incident.updated_at),
        "body": incident_to_text(incident),
    }
