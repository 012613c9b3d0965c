"""What came in from other services: deliveries that were taken, names of incidents elsewhere, alerts and their state."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from aegis.core.inbound import Alert, UnsettledAlert
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.times import to_us


class SqliteArrivals:
    """The port `Arrivals`. Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("arrivals")

    # --- deliveries ------------------------------------------------------------------------------------------

    async def known(self, ids: Sequence[str]) -> bool:
        """Whether one of these deliveries was taken before."""
        query = self._queries["seen"]
        return await self._database.read(
            lambda connection: any(connection.execute(query, {"id": one}).fetchone() for one in ids)
        )

    async def arrive(self, ids: Sequence[str], *, now: datetime) -> bool:
        """Keep the names of a delivery. False when one of them was there already: somebody was faster."""
        query, now_us = self._queries["arrive"], to_us(now)

        def arrive(connection: sqlite3.Connection) -> bool:
            new = [connection.execute(query, {"id": one, "now_us": now_us}).rowcount for one in ids]
            return all(count == 1 for count in new)

        return await self._database.write(arrive)

    # --- names of incidents elsewhere ------------------------------------------------------------------------

    async def remember(self, service: str, handles: Mapping[str, str], *, now: datetime) -> None:
        """What the service calls incidents of ours: handle to incident id."""
        query, now_us = self._queries["remember_handle"], to_us(now)
        rows = [
            {"service": service, "handle": handle, "incident_id": incident_id, "now_us": now_us}
            for handle, incident_id in handles.items()
        ]
        if rows:
            await self._database.write(lambda connection: connection.executemany(query, rows).rowcount)

    async def incident_of(self, service: str, handle: str) -> str:
        """The id of the incident that the service calls so; empty when nobody knows."""
        row = {"service": service, "handle": handle}

        def found(connection: sqlite3.Connection) -> str:
            for name in ("by_handle", "by_remote"):
                if known := connection.execute(self._queries[name], row).fetchone():
                    return str(known[0])
            return ""

        return await self._database.read(found) if handle else ""

    # --- alerts ----------------------------------------------------------------------------------------------

    async def tell(self, alerts: Iterable[Alert], *, now: datetime) -> Sequence[bool]:
        """Keep each alert's state; for each whether it is news (False: something newer is known already)."""
        query, now_us = self._queries["tell_alert"], to_us(now)
        rows = [
            {
                "digest": alert.digest,
                "named": alert.named,
                "firing": int(alert.firing),
                "changed_us": to_us(alert.at),
                "now_us": now_us,
            }
            for alert in alerts
        ]
        if not rows:
            return ()
        return await self._database.write(
            lambda connection: [connection.execute(query, row).rowcount == 1 for row in rows]
        )

    async def unsettled(self, limit: int) -> Sequence[UnsettledAlert]:
        """Alerts that are over, whose incident has not been told, oldest first."""
        query = self._queries["unsettled"]
        rows = await self._database.read(lambda connection: connection.execute(query, {"limit": limit}).fetchall())
        return [UnsettledAlert(digest=digest, named=named) for digest, named in rows]

    async def settle(self, digest: str) -> None:
        """The alert's incident knows that it is over."""
        query, row = self._queries["settle"], {"digest": digest}
        await self._database.write(lambda connection: connection.execute(query, row).rowcount)

    async def firing(self, digests: Sequence[str]) -> bool:
        """Whether one of these alerts fires, or is not known."""
        query = self._queries["firing"]

        def found(connection: sqlite3.Connection) -> bool:
            rows = [connection.execute(query, {"digest": digest}).fetchone() for digest in digests]
            return any(row is None or row[0] == 1 for row in rows)

        return await self._database.read(found)
