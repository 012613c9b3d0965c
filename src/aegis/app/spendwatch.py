"""The watch over spending in a running Aegis: rolls the journal up, looks, and opens incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aegis.core.anomalies import Alarm, Driver, Episode
from aegis.core.incidents import Observable, Severity
from aegis.core.money import format_usd, show_usd
from aegis.core.wording import rfc3339, when
from aegis.finance.watching import SpendWatch
from aegis.stores.anomalies import SqliteAnomalies
from aegis.stores.database import Database
from aegis.stores.spend_hours import COLUMNS, SpendHours

if TYPE_CHECKING:
    from aegis.app.running import App

TIDY_TURNS = 1_440
"""Old hours are deleted once in so many turns: once a day at a turn a minute."""
FIRST_DAYS = 91
"""The first turn compares every day that is kept with the ledger's totals, later ones two."""


@dataclass(slots=True)
class Watching:
    """What a running Aegis has of it. `hours` and `anomalies` are read by the API."""

    app: App
    hours: SpendHours
    anomalies: SqliteAnomalies
    turns: int = 0

    async def turn(self, now: datetime) -> None:
        """Read what was spent since the last turn, then look. Raises `StoreError`."""
        caught_up = await self.hours.catch_up(now, days=2 if self.turns else FIRST_DAYS)
        policy = self.app.config.anomalies
        if policy.on and caught_up:  # while much is still unread, the last hours would look empty
            watch = SpendWatch(
                policy=policy,
                hours=self.hours,
                episodes=self.anomalies,
                tell=self._tell,
                new_id=self.app.new_id,
                names=frozenset(COLUMNS),
            )
            await watch.turn(now, self.app.governor.budgets)
        if self.turns % TIDY_TURNS == 0:
            await self.hours.forget(now)
        self.turns += 1

    async def _tell(self, episode: Episode) -> str:
        incident = await self.app.pipeline.open_own(
            f"anomaly:{episode.id}",
            title=title(episode),
            severity=Severity.HIGH if episode.pages else Severity.MEDIUM,
            entity=entity(episode),
            facts=facts(episode),
        )
        return incident.id


def watching(app: App, database: Database) -> Watching:
    return Watching(app, SpendHours(database), SqliteAnomalies(database))


def title(episode: Episode) -> str:
    """What happened and who did it, on one line."""
    driver = newest(episode).drivers
    by = f", mostly {driver[0].name} {driver[0].value}" if driver else ""
    return f"Unusual spending{by}"


def entity(episode: Episode) -> Observable:
    """What the incident is about: the main driver, else the budget."""
    alarm = newest(episode)
    return Observable("budget", f"{alarm.drivers[0].name} {alarm.drivers[0].value}" if alarm.drivers else alarm.about)


def facts(episode: Episode) -> Mapping[str, str]:
    """What people need to know of it."""
    alarm = newest(episode)
    found = {
        "anomaly": episode.id,
        "detector": ", ".join(sorted(episode.detectors)),
        "about": alarm.about,
        "reason": alarm.reason,
        "spent": show_usd(alarm.cost, decimals=4),
        "usual": show_usd(alarm.usual, decimals=4),
        "since": when(alarm.since),
    }
    for number, driver in enumerate(alarm.drivers, start=1):
        found[f"driver_{number}"] = driven(driver)
    return found


def driven(driver: Driver) -> str:
    spent, usual = show_usd(driver.cost, decimals=4), show_usd(driver.usual, decimals=4)
    return f"{driver.name} {driver.value}: {spent} instead of {usual} ({driver.share} % of the rise)"


def newest(episode: Episode) -> Alarm:
    """The alarm that tells most: that of a page, else the newest."""
    return next((one for one in reversed(episode.alarms) if one.detector != "cusum"), episode.alarms[-1])


def episode_row(episode: Episode) -> dict[str, Any]:
    """An episode as JSON values."""
    return {
        "id": episode.id,
        "state": "closed" if episode.closed_at else "open",
        "incident": episode.incident or None,
        "driver": episode.driver,
        "detectors": sorted(episode.detectors),
        "opened_at": rfc3339(episode.opened_at, whole=True),
        "seen_at": rfc3339(episode.seen_at, whole=True),
        "closed_at": rfc3339(episode.closed_at, whole=True) if episode.closed_at else None,
        "alarms": [_alarm_row(alarm) for alarm in episode.alarms],
    }


def _alarm_row(alarm: Alarm) -> dict[str, Any]:
    return {
        "detector": alarm.detector,
        "about": alarm.about,
        "since": rfc3339(alarm.since, whole=True),
        "until": rfc3339(alarm.until, whole=True),
        "spent_usd": format_usd(alarm.cost),
        "usual_usd": format_usd(alarm.usual),
        "reason": alarm.reason,
        "drivers": [
            {
                "name": driver.name,
                "value": driver.value,
                "spent_usd": format_usd(driver.cost),
                "usual_usd": format_usd(driver.usual),
                "share_percent": driver.share,
            }
            for driver in alarm.drivers
        ],
    }
