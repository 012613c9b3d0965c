"""Lanes over a store in memory, with a clock that stands still: what the tests of deliveries share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import anyio

from aegis.core.errors import Billed, ServiceError
from aegis.core.incidents import Severity, Status
from aegis.core.notifications import Change, Delivery, Notification
from aegis.core.ports import Notifier, Work
from aegis.core.telemetry import DeliveryEnded
from aegis.incidents.delivery import Lanes, WakingIncidents
from aegis.incidents.lane import LaneRule
from aegis.testing import START, FakeClock, FakeNotifier, MemoryStore, Recorder

SECOND, MINUTE = 1_000, 60_000
PLAIN = LaneRule(concurrency=1)


def most(_low: int, high: int) -> int:
    return high


def failing(
    *, status: int = 503, retryable: bool = True, retry_after_ms: int | None = None, service: str = "slack"
) -> ServiceError:
    return ServiceError(
        service,
        f"answered {status}",
        retryable=retryable,
        billed=Billed.NO,
        status=status,
        retry_after_ms=retry_after_ms,
    )


def delivery(
    name: str,
    version: int = 1,
    *,
    service: str = "slack",
    at: datetime = START,
    change: Change = "opened",
    priority: Severity = Severity.HIGH,
) -> Delivery:
    said = Notification(
        incident_id=name,
        dedup_key=name,
        version=version,
        change=change,
        severity=priority,
        status=Status.OPEN,
        title=name,
        summary="",
        at=at,
    )
    return Delivery(
        id=f"{name}:{service}:{version}",
        incident_id=name,
        service=service,
        notification=said,
        priority=priority,
        due_at=at,
        created_at=at,
    )


class House:
    """A store in memory, a clock that stands still, and the lanes of the given notifiers."""

    def __init__(self, *notifiers: Notifier, rules: dict[str, LaneRule] | None = None) -> None:
        self.clock, self.store, self.seen = FakeClock(), MemoryStore(), Recorder()
        self.lanes = Lanes(
            outbox=self.store.outbox,
            notifiers=notifiers,
            clock=self.clock,
            pick=most,
            observe=self.seen,
            rules={"slack": PLAIN, **(rules or {})},
        )
        self.incidents = WakingIncidents(self.store.incidents, self.lanes)

    async def place(self, *deliveries: Delivery) -> None:
        await self.incidents.commit(Work(deliveries=deliveries))

    async def drain(self, milliseconds: int = 0) -> int:
        """Drain up to a deadline, letting the clock run to it."""
        left: list[int] = []

        async def drain() -> None:
            left.append(await self.lanes.drain(until=self.clock.now() + timedelta(milliseconds=milliseconds)))

        async with anyio.create_task_group() as group:
            group.start_soon(drain)
            await self.clock.advance(milliseconds)
        return left[0]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(self.lanes.run)
            await self.clock.advance(0)
            yield
            group.cancel_scope.cancel()

    def ends_seen(self) -> list[DeliveryEnded]:
        return [one for one in self.seen.happened if isinstance(one, DeliveryEnded)]

    def ends(self) -> list[str]:
        return [one.outcome for one in self.ends_seen()]


def titles(notifier: FakeNotifier) -> list[str]:
    return [one.title for one in notifier.told]
