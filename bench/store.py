"""The store's speed: events taken, incidents committed with eight deliveries each, deliveries drained to no-op services.

Runs on a file in a new folder beside the working directory's temporary ones, with every commit flushed to disk.
"""

import random
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio

from aegis.core.incidents import Event, Incident, LogSource, Observable, Severity, Status
from aegis.core.notifications import Delivery, Fact, Notification, Receipt
from aegis.core.ports import Work
from aegis.incidents.delivery import Lanes
from aegis.incidents.lane import LaneRule
from aegis.stores.database import Database
from aegis.stores.events import SqliteEvents
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.outbox import SqliteOutbox

EVENTS, BATCH = 40_000, 500
INCIDENTS, AT_ONCE = 2_000, 16
WRITERS = 64
SERVICES = ("slack", "teams", "discord", "jira", "datadog", "splunk", "sentry", "pagerduty")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_ms(self, milliseconds: int) -> None:
        await anyio.sleep(milliseconds / 1_000)


class NoOp:
    def __init__(self, name: str) -> None:
        self.name = name

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002
        return Receipt(remote_id="1")


def event(number: int) -> Event:
    """A record of some 600 bytes, as sshd or CloudTrail write them."""
    return Event(
        id=f"evt_{random.Random(number).getrandbits(128):032x}",
        at=NOW + timedelta(milliseconds=number),
        source="bench",
        logsource=LogSource("aws", "", "cloudtrail"),
        fields={
            "eventName": "GetObject",
            "eventSource": "s3.amazonaws.com",
            "awsRegion": "eu-central-1",
            "sourceIPAddress": "203.0.113.9",
            "userAgent": "aws-cli/2.15.0 Python/3.11 Linux/6.1",
            "userIdentity": {"type": "IAMUser", "userName": f"user-{number % 97}", "accountId": "123456789012"},
            "requestParameters": {"bucketName": "reports", "key": f"2026/{number}.csv"},
            "errorCode": None,
        },
    )


def incident(number: int) -> Incident:
    return Incident(
        id=f"inc_{number:026d}",
        title=f"Many failed logins, then a successful one by user-{number}",
        severity=Severity(1 + number % 4),
        status=Status.OPEN,
        opened_at=NOW,
        updated_at=NOW,
        first_seen=NOW,
        last_seen=NOW,
        entity=Observable("ip", "203.0.113.9"),
        rules=("rule",) * 3,
        techniques=("T1110", "T1078"),
    )


def deliveries(opened: Incident) -> list[Delivery]:
    said = Notification(
        incident_id=opened.id,
        dedup_key=opened.id,
        version=1,
        change="opened",
        severity=opened.severity,
        status=opened.status,
        title=opened.title,
        summary=f"{opened.title}. " + "Somebody guessed a password. " * 8 + opened.id,
        at=NOW,
        facts=tuple(Fact(f"label {number}", f"value {number} of {opened.id}") for number in range(8)),
        document={"evidence": ["x" * 200] * 5},
    )
    first = Delivery(
        id="",
        incident_id=opened.id,
        service="",
        notification=said,
        priority=opened.severity,
        due_at=NOW,
        created_at=NOW,
    )
    return [replace(first, id=f"{opened.id}:{service}:1", service=service) for service in SERVICES]


@asynccontextmanager
async def fresh() -> AsyncIterator[Database]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-store-") as folder:
        database = await Database.open(Path(folder) / "aegis.db")
        yield database
        await database.close()


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return time.perf_counter() - wall, time.process_time() - cpu


async def events_taken(database: Database) -> dict[str, int | float]:
    events = SqliteEvents(database, WallClock())
    batches = [[event(start + number) for number in range(BATCH)] for start in range(0, EVENTS, BATCH)]

    async def take() -> None:
        for batch in batches:
            await events.accept(batch)

    wall, cpu = await timed(take)
    return {"events_per_s": round(EVENTS / wall), "events_cpu_us": round(cpu / EVENTS * 1e6, 1)}


async def incidents_committed(database: Database) -> dict[str, int | float]:
    incidents = SqliteIncidents(database)
    works = [Work(incidents=[one], deliveries=deliveries(one)) for one in map(incident, range(INCIDENTS))]
    waiting = iter(works)

    async def committer() -> None:
        for work in waiting:
            await incidents.commit(work)

    async def commit() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(committer)

    wall, cpu = await timed(commit)
    return {
        "incidents_with_8_deliveries_per_s": round(INCIDENTS / wall),
        "incident_cpu_us": round(cpu / INCIDENTS * 1e6),
    }


async def deliveries_drained(database: Database) -> dict[str, int | float]:
    lanes = Lanes(
        outbox=SqliteOutbox(database),
        notifiers=[NoOp(name) for name in SERVICES],
        clock=WallClock(),
        pick=random.Random(1).randint,
        observe=lambda _happened: None,
        rules={name: LaneRule(concurrency=16) for name in SERVICES},
    )
    number = INCIDENTS * len(SERVICES)

    async def drain() -> None:
        assert await lanes.drain(until=datetime.now(UTC)) == 0

    wall, cpu = await timed(drain)
    return {"deliveries_per_s": round(number / wall), "delivery_cpu_us": round(cpu / number * 1e6)}


def insert(name: str, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO settings VALUES (?, 'x')", (name,))


async def writers_share(database: Database) -> dict[str, int | float]:
    """Small durable writes, 64 at once: what a flush shared by all costs each."""
    number, took = 200, list[float]()

    async def writer(name: str) -> None:
        for one in range(number):
            began = time.perf_counter()
            await database.write(partial(insert, f"{name}-{one}"))
            took.append(time.perf_counter() - began)

    async def write() -> None:
        async with anyio.create_task_group() as group:
            for writing in range(WRITERS):
                group.start_soon(writer, str(writing))

    wall, cpu = await timed(write)
    took.sort()
    return {
        "writes_per_s_64_at_once": round(len(took) / wall),
        "write_cpu_us": round(cpu / len(took) * 1e6, 1),
        "write_p50_ms": round(took[len(took) // 2] * 1e3, 2),
        "write_p99_ms": round(took[len(took) * 99 // 100] * 1e3, 2),
    }


async def measured() -> dict[str, int | float]:
    async with fresh() as database:
        figures = await events_taken(database)
    async with fresh() as database:
        figures |= await incidents_committed(database) | await deliveries_drained(database)
    async with fresh() as database:
        return figures | await writers_share(database)


def run() -> dict[str, int | float]:
    """The figures, by name."""
    return anyio.run(measured)
