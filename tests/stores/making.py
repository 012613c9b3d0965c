"""Builders in the words of the domain, and the stores that the same claims are proven for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from aegis.core.incidents import Event, Incident, LogSource, Observable, Severity, Status
from aegis.core.notifications import Change, Delivery, Notification
from aegis.core.ports import Events, Incidents, Outbox, Work
from aegis.stores.database import Database
from aegis.stores.events import SqliteEvents
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.outbox import SqliteOutbox
from aegis.testing import START, FakeClock, MemoryStore

KINDS = ("memory", "sqlite file", "sqlite memory")
LEASE_MS = 60_000


@dataclass(frozen=True)
class Stores:
    events: Events
    incidents: Incidents
    outbox: Outbox

    async def place(self, *deliveries: Delivery) -> None:
        await self.incidents.commit(Work(deliveries=deliveries))

    async def claim(self, service: str = "slack", *, limit: int = 10, at: int = 0) -> list[Delivery]:
        return list(await self.outbox.claim(service, limit=limit, now=after(at), lease_ms=LEASE_MS))


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[Stores]:
    """The stores of one kind, empty."""
    if kind == "memory":
        memory = MemoryStore()
        yield Stores(memory.events, memory.incidents, memory.outbox)
        return
    database = await Database.open(":memory:" if kind == "sqlite memory" else folder / "aegis.db")
    yield Stores(SqliteEvents(database, FakeClock()), SqliteIncidents(database), SqliteOutbox(database))
    await database.close()


def after(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def event(name: str, *, at: int = 0, **fields: object) -> Event:
    return Event(id=name, at=after(at), source="test", logsource=LogSource("linux", "", "sshd"), fields=fields)


def incident(name: str, *, version: int = 1, status: Status = Status.OPEN, at: int = 0, title: str = "") -> Incident:
    return Incident(
        id=name,
        title=title or f"Incident {name}",
        severity=Severity.HIGH,
        status=status,
        opened_at=after(at),
        updated_at=after(at),
        first_seen=after(at),
        last_seen=after(at),
        entity=Observable("ip", "203.0.113.9"),
        version=version,
    )


def delivery(
    name: str = "inc",
    version: int = 1,
    *,
    service: str = "slack",
    priority: Severity = Severity.MEDIUM,
    at: int = 0,
    change: Change = "opened",
) -> Delivery:
    said = Notification(
        incident_id=name,
        dedup_key=name,
        version=version,
        change=change,
        severity=priority,
        status=Status.OPEN,
        title=f"{name} at version {version}",
        summary="",
        at=after(at),
    )
    return Delivery(
        id=f"{name}:{service}:{version}",
        incident_id=name,
        service=service,
        notification=said,
        priority=priority,
        due_at=after(at),
        created_at=after(at),
    )


def ids(deliveries: list[Delivery]) -> list[str]:
    return [one.id for one in deliveries]
