"""The sign of life: sent while everything works, and only then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from aegis.app.heartbeat import SETTING, Heartbeat, Vitals
from aegis.core.errors import Billed, ServiceError
from aegis.core.incidents import Event, LogSource
from aegis.core.secret import Secret
from aegis.core.telemetry import LoopFailed
from aegis.loops import Health
from aegis.stores.database import Database
from aegis.stores.lookups import SqliteLookups
from aegis.testing import START, FakeClock, MemoryEvents, Recorder, ScriptedHttp

pytestmark = pytest.mark.anyio

LATE = timedelta(seconds=31)


class Body:
    """One Aegis as the heartbeat sees it."""

    def __init__(self, lookups: SqliteLookups, *answers: int | ServiceError) -> None:
        self.clock, self.events, self.seen = FakeClock(), MemoryEvents(), Recorder()
        self.loops = {name: Health(last_at=START) for name in ("events", "deliveries", "governor")}
        self.worked_at = START
        self.http = ScriptedHttp(
            *(one if isinstance(one, ServiceError) else ScriptedHttp.answer(one) for one in answers)
        )
        self.vitals = Vitals(
            events=self.events,
            lookups=lookups,
            health=lambda: self.loops,
            progress=lambda: self.worked_at,
            grace_ms=30_000,
        )
        self.heartbeat = Heartbeat(
            Secret("https://hc.example/ping/uuid"),
            stuck=self.vitals.stuck,
            http=self.http,
            clock=self.clock,
            observe=self.seen,
        )

    async def beat(self, at: datetime = START) -> bool:
        return await self.heartbeat.beat(at)

    def said(self) -> list[str]:
        return [one.message for one in self.seen.happened if isinstance(one, LoopFailed)]


@asynccontextmanager
async def lookups(folder: Path) -> AsyncIterator[SqliteLookups]:
    database = await Database.open(folder / "aegis.db")
    try:
        yield SqliteLookups(database)
    finally:
        await database.close()


async def test_while_everything_works_it_is_sent_and_the_store_was_written(tmp_path: Path) -> None:
    async with lookups(tmp_path) as store:
        body = Body(store, 200)
        assert await body.beat()
        assert await store.setting(SETTING) == "2026-01-01T00:00:00.000Z"
    (request,) = body.http.requests
    assert (request.method, request.service) == ("POST", "heartbeat")


async def test_a_background_that_turns_no_more_or_fails_sends_nothing(tmp_path: Path) -> None:
    async with lookups(tmp_path) as store:
        body = Body(store)
        assert not await body.beat(START + LATE)
        body.loops["governor"].last_at = START + LATE
        body.loops["deliveries"].failures = 1
        body.loops["deliveries"].error = "ValueError: x"
        assert not await body.beat(START + LATE)
        body.loops.clear()
        assert not await body.beat(START)
    assert body.http.requests == []
    assert body.said()[1] == "not sent: deliveries: ValueError: x"


async def test_events_that_wait_and_are_not_worked_send_nothing(tmp_path: Path) -> None:
    async with lookups(tmp_path) as store:
        body = Body(store, 200)
        body.loops["governor"].last_at = START + LATE
        await body.events.accept([Event(id="e", at=START, source="t", logsource=LogSource(), fields={})])
        assert not await body.beat(START + LATE)
        body.worked_at = START + LATE
        assert await body.beat(START + LATE)


async def test_a_store_that_takes_no_write_sends_nothing(tmp_path: Path) -> None:
    async with lookups(tmp_path) as store:
        body = Body(store)
    assert not await body.beat()
    assert body.http.requests == []
    assert body.said()[0].startswith("not sent: store:")


async def test_a_beat_that_is_not_taken_is_told_once_and_tried_again(tmp_path: Path) -> None:
    down = ServiceError("heartbeat", "connection refused", retryable=True, billed=Billed.NO)
    async with lookups(tmp_path) as store:
        body = Body(store, down, down, 404, 200)
        assert [await body.beat() for _ in range(4)] == [False, False, False, True]
    assert body.said() == ["heartbeat: connection refused", "heartbeat: refused with 404"]
    assert "uuid" not in "".join(body.said())
