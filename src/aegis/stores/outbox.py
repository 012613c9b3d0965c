"""The outbox: deliveries in lanes by service, leased to whoever sends them.

Policy: a lease that runs out gives the delivery back, so a crash loses nothing; only the holder of the newest attempt
may put a delivery back or give it up; but that the service took it is true whoever says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from aegis.core.deliveries import rank, stand_in_mark
from aegis.core.incidents import Severity
from aegis.core.notifications import Delivery, DeliveryState, Notification, Receipt
from aegis.stores.database import Database
from aegis.stores.ends import Ends, Taken
from aegis.stores.placing import Placing
from aegis.stores.queries import in_lists, listed, read_queries
from aegis.stores.records import storable
from aegis.stores.texts import Texts
from aegis.stores.times import from_us, to_us

ERROR_CHARS_MAX = 500
"""An error is a sentence; a service must not fill the store with its answers."""

_COLUMNS = (
    *("id", "incident_id", "service", "recipient", "version"),
    *("change", "priority", "attempts", "created_us", "due_us", "last_error", "doubtful"),
)
"""What the queries `lapsed` and `place` give."""


class SqliteOutbox:
    """The port `Outbox`. Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("outbox")
        self._claimable = _of_each_priority(self._queries["claimable"])
        self._placing = Placing()
        self._texts, self._ends = Texts(), Ends(database, self._queries)

    async def claim(
        self, service: str, *, limit: int, now: datetime, lease_ms: int, fresh: bool = False
    ) -> Sequence[Delivery]:
        """Lease at most `limit` due deliveries of a lane, highest effective priority first, then oldest."""
        now_us = to_us(now)
        lease_us = to_us(now + timedelta(milliseconds=lease_ms))

        def claim(connection: sqlite3.Connection) -> list[Delivery]:
            self._take_back(connection, service, now_us)
            chosen = self._chosen(connection, service, limit, now_us, fresh=fresh)
            for part in in_lists(chosen):
                connection.execute(listed(self._queries["lease"], len(part)), (lease_us, *part))
            return self._whole(connection, chosen)

        return await self._database.write(claim)

    def _take_back(self, connection: sqlite3.Connection, service: str, now_us: int) -> None:
        lapsed = connection.execute(self._queries["lapsed"], {"service": service, "now_us": now_us}).fetchall()
        for found in lapsed:
            row = _named(found) | {"doubtful": 1}
            connection.execute(self._queries["release"], {"id": row["id"]})
            self._placing.give_way(connection, row, now_us=now_us)

    def _chosen(
        self, connection: sqlite3.Connection, service: str, limit: int, now_us: int, *, fresh: bool
    ) -> list[str]:
        """Within one priority the order of places is the order of ranks, so the best of each suffice."""
        parameters = {"service": service, "now_us": now_us, "limit": limit, "fresh": int(fresh)}
        candidates = [
            (-rank(Severity(priority), timedelta(microseconds=now_us - created_us)), created_us, delivery_id)
            for delivery_id, created_us, priority in connection.execute(self._claimable, parameters)
        ]
        return [delivery_id for _, _, delivery_id in sorted(candidates)[:limit]]

    def _whole(self, connection: sqlite3.Connection, ids: Sequence[str]) -> list[Delivery]:
        rows: dict[str, Sequence[Any]] = {}
        for part in in_lists(ids):
            found = connection.execute(listed(self._queries["whole"], len(part)), tuple(part)).fetchall()
            rows.update((row[0], row) for row in found)
        texts = self._texts.read(connection, {row[3] for row in rows.values()})
        in_order = (rows[one] for one in ids if one in rows)
        return [_delivery(row, texts[row[3]]) for row in in_order if row[3] in texts]

    async def due(self, service: str, *, now: datetime, most: int) -> int:
        """How many of a lane are due, counted up to `most`."""
        query, parameters = self._queries["due"], {"service": service, "now_us": to_us(now), "most": most}
        return await self._database.read(lambda connection: int(connection.execute(query, parameters).fetchone()[0]))

    async def unheard(self, service: str, *, to: str, before: datetime, limit: int) -> Sequence[Delivery]:
        """First pages that a service has not taken, but for those of which `to` was told in its place."""
        row = {"service": service, "before_us": to_us(before), "mark": stand_in_mark(to), "limit": limit}

        def unheard(connection: sqlite3.Connection) -> list[Delivery]:
            return self._whole(connection, [found[0] for found in connection.execute(self._queries["unheard"], row)])

        return await self._database.read(unheard)

    async def place(self, deliveries: Sequence[Delivery]) -> None:
        """Put deliveries into their lanes; those that are known are left alone."""
        placed = self._placing.prepared(deliveries)
        await self._database.write(lambda connection: self._placing.place(connection, placed))

    async def next_due(self, service: str) -> datetime | None:
        """When the lane has to be looked at again; None when nothing waits in it."""
        query, parameters = self._queries["next_due"], {"service": service}
        found = await self._database.read(lambda connection: connection.execute(query, parameters).fetchone()[0])
        return None if found is None else from_us(found)

    async def done(self, delivery: Delivery, receipt: Receipt, *, now: datetime) -> None:
        """The service took it; its handle is kept for the incident's next message."""
        now_us, said = to_us(now), delivery.notification
        keep = receipt.remote_id and not said.recipient
        remote = (delivery.incident_id, delivery.service, receipt.remote_id, said.version, now_us) if keep else None
        note = storable(receipt.note, ERROR_CHARS_MAX)
        await self._ends.record(Taken(delivery.id, note, now_us, remote))

    async def retry(self, delivery: Delivery, *, due_at: datetime, error: str, doubtful: bool = False) -> None:
        """Try again at `due_at`, unless a newer message of the incident waits: then that one goes in its place."""
        row = _ended(delivery, error) | {"due_us": to_us(due_at), "doubtful": int(doubtful)}

        def retry(connection: sqlite3.Connection) -> None:
            if connection.execute(self._queries["retry"], row).rowcount:
                found = connection.execute(self._queries["place"], {"id": delivery.id, "state": "ready"}).fetchone()
                self._placing.give_way(connection, _named(found), now_us=row["due_us"])

        await self._database.write(retry)

    async def bury(self, delivery: Delivery, *, error: str, now: datetime, doubtful: bool = False) -> None:
        """Give up: a dead letter, kept until a person replays or drops it."""
        row = _ended(delivery, error) | {"now_us": to_us(now), "doubtful": int(doubtful)}
        await self._database.write(lambda connection: connection.execute(self._queries["bury"], row).rowcount)

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Per service and state, how many."""
        query = self._queries["counts"]
        rows = await self._database.read(lambda connection: connection.execute(query).fetchall())
        counted: dict[str, dict[str, int]] = {}
        for service, state, number in rows:
            counted.setdefault(service, {})[state] = number
        return counted

    async def waiting(self, limit: int) -> Sequence[str]:
        """Incidents about which something waits unsent, oldest first."""
        query, row = self._queries["waiting"], {"limit": limit}
        found = await self._database.read(lambda connection: connection.execute(query, row).fetchall())
        return [one for (one,) in found]

    async def undelivered(self) -> int:
        """How many are still to be sent."""
        query = self._queries["undelivered"]
        return await self._database.read(lambda connection: int(connection.execute(query).fetchone()[0]))

    async def dead(self, limit: int) -> Sequence[Delivery]:
        """The newest dead letters, newest first."""

        def dead(connection: sqlite3.Connection) -> list[Delivery]:
            ids = [row[0] for row in connection.execute(self._queries["dead"], {"limit": limit})]
            return self._whole(connection, ids)

        return await self._database.read(dead)

    async def of_incident(self, incident_id: str) -> Sequence[Delivery]:
        """Every delivery of an incident, oldest first: for its report and its page."""

        def found(connection: sqlite3.Connection) -> list[Delivery]:
            rows = connection.execute(self._queries["of_incident"], {"incident_id": incident_id})
            return self._whole(connection, [row[0] for row in rows])

        return await self._database.read(found)

    async def replay(self, delivery_id: str, *, now: datetime) -> bool:
        """Send a dead letter again, as new. False when it is none, or a newer message of its incident has reached the
        service or is on its way: an old message must not overwrite a newer one.
        """
        now_us = to_us(now)

        def replay(connection: sqlite3.Connection) -> bool:
            found = connection.execute(self._queries["place"], {"id": delivery_id, "state": "dead"}).fetchone()
            if found is None:
                return False
            row = _named(found) | {"now_us": now_us}
            if connection.execute(self._queries["later"], row).fetchone():
                connection.execute(self._queries["obsolete"], row)
                return False
            connection.execute(self._queries["revive"], row)
            return True

        return await self._database.write(replay)

    async def drop(self, delivery_id: str) -> bool:
        """Forget a dead letter. False when it is none."""
        query, row = self._queries["drop"], {"id": delivery_id}
        return await self._database.write(lambda connection: connection.execute(query, row).rowcount == 1)


def _of_each_priority(query: str) -> str:
    """One statement that asks for the best of each priority: four of them would be four turns of the one writer."""
    each = (query.rstrip(";").replace(":priority", str(int(priority))) for priority in Severity)
    return " UNION ALL ".join(f"SELECT * FROM ({one}) AS of_{number}" for number, one in enumerate(each))  # noqa: S608 - our own query


def _named(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_COLUMNS, row, strict=True))


def _ended(delivery: Delivery, error: str) -> dict[str, Any]:
    return {"id": delivery.id, "attempts": delivery.attempts, "error": storable(error, ERROR_CHARS_MAX)}


def _delivery(row: Sequence[Any], said: Notification) -> Delivery:
    """A delivery from the columns of the query `whole` and what it says."""
    delivery_id, incident_id, service, _, remote_id, state, change, priority, attempts, created_us, due_us, *rest = row
    return Delivery(
        id=delivery_id,
        incident_id=incident_id,
        service=service,
        notification=said if said.change == change else replace(said, change=change),
        priority=Severity(priority),
        due_at=from_us(due_us),
        created_at=from_us(created_us),
        state=DeliveryState(state),
        attempts=attempts,
        last_error=rest[0],
        remote_id=remote_id,
        doubtful=bool(rest[1]),
    )
