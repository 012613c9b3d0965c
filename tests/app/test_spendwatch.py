"""Claims about the watch over spending in a running Aegis: one incident for a runaway key, which it names."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.app.hourly import HOUR, journal, usual_weeks

from aegis.app import App, open_app
from aegis.config.load import load
from aegis.core.incidents import Incident, Severity
from aegis.core.money import USD
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.stores.database import Database

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 18, 14, 50, tzinfo=UTC)


def _no_secret(reference: Reference) -> Secret:
    raise AssertionError(f"{reference} was asked for")


@asynccontextmanager
async def offline(home: Path) -> AsyncIterator[App]:
    """An Aegis without budgets, which would burn at two dollars an hour."""
    home.mkdir(mode=0o700, exist_ok=True)
    async with open_app(replace(load((), {}), budgets=()), home=home, resolve=_no_secret) as opened:
        yield opened


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with offline(tmp_path) as opened:
        yield opened


def _database(app: App) -> Database:
    assert app.spendwatch is not None
    return app.spendwatch.hours.database


async def _turn(app: App, now: datetime) -> list[Incident]:
    assert app.spendwatch is not None
    await app.spendwatch.turn(now)
    return list(await app.incidents.recent(50))


async def test_a_runaway_key_opens_one_incident_that_names_the_key(app: App) -> None:
    runaway = [(NOW - back * HOUR, "red", 40 * USD) for back in (1, 0)]
    await journal(_database(app), [*usual_weeks(NOW), *runaway])

    found = await _turn(app, NOW)
    for minutes in range(1, 6):
        found = await _turn(app, NOW + timedelta(minutes=minutes))

    [incident] = found
    assert "key red" in incident.title
    assert incident.severity is Severity.HIGH
    evidence = incident.detections[0].evidence
    assert evidence["driver_1"].startswith("key red: $80.00")
    assert app.spendwatch is not None
    [episode] = await app.spendwatch.anomalies.newest(10)
    assert (episode.driver, episode.incident) == ("key:red", incident.id)
    assert {"mad", "cusum"} >= set(episode.detectors)


async def test_usual_spending_opens_nothing(app: App) -> None:
    usual = usual_weeks(NOW)
    last = [(NOW - back * HOUR, key, 2 * USD) for back in (1, 0) for key in ("red", "blue")]
    await journal(_database(app), [*usual, *last])

    assert await _turn(app, NOW) == []


async def test_a_restart_tells_nobody_twice_and_a_new_episode_is_told_after_quiet(tmp_path: Path) -> None:
    later = NOW + 20 * HOUR
    async with offline(tmp_path) as app:
        runaway = [(NOW - back * HOUR, "red", 40 * USD) for back in (1, 0)]
        await journal(_database(app), [*usual_weeks(NOW), *runaway])
        [first] = await _turn(app, NOW)
    async with offline(tmp_path) as app:
        assert [one.id for one in await _turn(app, NOW + timedelta(minutes=2))] == [first.id]
        assert app.spendwatch is not None
        await _turn(app, later)
        [closed] = await app.spendwatch.anomalies.newest(10)
        assert closed.closed_at == later
        await journal(_database(app), [(later - back * HOUR, "red", 60 * USD) for back in (1, 0)])
        await _turn(app, later + timedelta(minutes=1))
        assert len(await app.spendwatch.anomalies.newest(10)) == 2


async def test_a_corrected_call_changes_its_hour(app: App) -> None:
    database = _database(app)
    await journal(database, [(NOW, "red", 5 * USD)])
    assert app.spendwatch is not None
    await app.spendwatch.hours.catch_up(NOW)

    def correct(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE ledger_journal SET cost = ?", (2 * USD,))
        connection.execute("UPDATE ledger_totals SET cost = ?", (2 * USD,))

    await database.write(correct)
    await app.spendwatch.hours.catch_up(NOW)

    found = await app.spendwatch.hours.by_hour(NOW - HOUR, {"key": "*"})
    assert found == {("red",): {round(NOW.replace(minute=0).timestamp() * 1_000): 2 * USD}}
