"""A process to be killed: it opens incidents in a store and delivers them to the service that plays on a port.

Run as `delivery_worker.py STORE PORT INCIDENTS CYCLE`. Its clock runs twenty times faster than the wall's and begins later in
every cycle, so that leases and pauses of a minute end within a test and no delivery grows a day old in it.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta

import anyio

from aegis.core.errors import Billed, ServiceError
from aegis.core.incidents import Event, Incident, LogSource, Observable, Severity, Status
from aegis.core.notifications import Delivery, Notification, Receipt
from aegis.core.ports import Work
from aegis.incidents.delivery import Lanes, WakingIncidents
from aegis.incidents.lane import RULES
from aegis.stores.database import Database
from aegis.stores.events import SqliteEvents
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.outbox import SqliteOutbox
from aegis.testing import START

SERVICES = ("slack", "jira", "splunk")
FASTER = 20
ONE_BY_ONE = {"slack": replace(RULES["slack"], digest_over=0), "splunk": replace(RULES["splunk"], concurrency=4)}
"""Told one by one, so that each can be counted; Splunk's hundred at once are one request, and here they would be many."""
AT_ONCE = 1 + RULES["jira"].concurrency + 4
"""What is under way at most when the process dies."""


class FastClock:
    def __init__(self, starts: datetime) -> None:
        self._starts, self._began_ns = starts, time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return (time.monotonic_ns() - self._began_ns) * FASTER

    def now(self) -> datetime:
        return self._starts + timedelta(microseconds=self.monotonic_ns() // 1_000)

    async def sleep_ms(self, milliseconds: int) -> None:
        await anyio.sleep(milliseconds / 1_000 / FASTER)


class Wire:
    """Tells the service on the port, over a connection of its own each time."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self._port = name, port

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        said: dict[str, object] = {
            "service": self.name,
            "incident": notification.incident_id,
            "key": notification.dedup_key,
        }
        said["again"] = notification.again
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(json.dumps(said).encode() + b"\n")
            answer = await reader.readline()
            writer.close()
        except OSError as error:
            raise ServiceError(self.name, "is away", retryable=True, billed=Billed.NO) from error
        if answer != b"taken\n":
            raise ServiceError(self.name, "refused", retryable=True, billed=Billed.UNKNOWN)
        return Receipt(remote_id=f"message-of-{notification.incident_id}")


def incident(name: str, now: datetime) -> Incident:
    return Incident(
        id=name,
        title=name,
        severity=Severity.HIGH,
        status=Status.OPEN,
        opened_at=now,
        updated_at=now,
        first_seen=now,
        last_seen=now,
        entity=Observable("ip", "203.0.113.9"),
    )


def delivery(name: str, service: str, now: datetime) -> Delivery:
    said = Notification(
        incident_id=name,
        dedup_key=f"key-of-{name}",
        version=1,
        change="opened",
        severity=Severity.HIGH,
        status=Status.OPEN,
        title=name,
        summary="",
        at=now,
    )
    return Delivery(
        id=f"{name}:{service}:1",
        incident_id=name,
        service=service,
        notification=said,
        priority=Severity.HIGH,
        due_at=now,
        created_at=now,
    )


async def main(path: str, port: int, number: int, cycle: int) -> None:
    clock = FastClock(START + timedelta(minutes=2 * cycle))
    database = await Database.open(path)
    events, outbox = SqliteEvents(database, clock), SqliteOutbox(database)
    notifiers = [Wire(name, port) for name in SERVICES]
    lanes = Lanes(
        outbox=outbox,
        notifiers=notifiers,
        clock=clock,
        pick=random.Random(cycle).randint,
        observe=lambda _happened: None,
        rules=ONE_BY_ONE,
    )
    incidents = WakingIncidents(SqliteIncidents(database), lanes)
    names = [f"inc-{one:05d}" for one in range(number)]
    await events.accept([Event(id=name, at=START, source="test", logsource=LogSource(), fields={}) for name in names])
    async with anyio.create_task_group() as group:
        group.start_soon(lanes.run)
        while pending := await events.pending(5):
            now = clock.now()
            work = Work(
                events_done=[one.id for one in pending],
                incidents=[incident(one.id, now) for one in pending],
                deliveries=[delivery(one.id, service, now) for one in pending for service in SERVICES],
            )
            await incidents.commit(work)
        while await lanes.drain(until=clock.now() + timedelta(minutes=10)):
            pass
        group.cancel_scope.cancel()
    await database.close()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
