"""The weekly mail of one Aegis: when it is due, what stands in it, and that it leaves once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from aegis.app.costs import costs_of
from aegis.app.finance import forecasts
from aegis.config.settings import WeeklySettings
from aegis.core.budgets import Balance, Budget
from aegis.core.costs import WeekInCosts
from aegis.core.errors import ConfigError
from aegis.core.outlets import Mailbox
from aegis.core.prices import PriceBook
from aegis.finance.weekly import last_due, written
from aegis.stores.database import Database
from aegis.stores.lookups import SqliteLookups
from aegis.stores.spend_hours import SpendHours

if TYPE_CHECKING:
    from aegis.app.running import App

SETTING: Final = "weekly_report"
"""Under this name the store keeps for which moment the last one left."""
LOOK_MS: Final = 60_000
"""How often it is looked whether one is due."""
LATE_MAX: Final = timedelta(days=2)
"""One that could not leave for so long is not sent any more: the next one is near."""


async def week_of(
    database: Database, prices: PriceBook, now: datetime, budgets: Sequence[Budget], balances: Sequence[Balance]
) -> WeekInCosts:
    """The seven whole days before today (UTC). Raises `StoreError`."""
    week = await costs_of(database, prices, now, 7, until_yesterday=True)
    before = await costs_of(database, prices, now - timedelta(days=7), 7, until_yesterday=True, names=())
    found = await forecasts(SpendHours(database), budgets, balances, now)
    return WeekInCosts(week=week, before=before.total.cost, forecasts=tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyMail:
    """Sends the weekly report when its hour has come; what fails is tried again at the next look."""

    settings: WeeklySettings
    mailbox: Mailbox
    lookups: SqliteLookups
    week: Callable[[datetime], Awaitable[WeekInCosts]]

    async def tick(self, now: datetime) -> None:
        """Raises `StoreError`, and `ServiceError` while the mail server does not take it: the loop reports it."""
        wanted = self.settings
        due = last_due(now, weekday=wanted.weekday, minute=wanted.minute, zone=wanted.zone)
        last = await self.lookups.setting(SETTING)
        if last is not None and datetime.fromisoformat(last) >= due:
            return
        if last is not None and now - due <= LATE_MAX:  # the first one is sent a week after it was configured, or less
            await self.mailbox.deliver(written(await self.week(now), f"weekly {due.isoformat()}"), wanted.to)
        await self.lookups.keep_setting(SETTING, due.isoformat())


def weekly_of(app: App, database: Database, prices: PriceBook, connectors: Iterable[object]) -> WeeklyMail | None:
    """The weekly mail, where it is configured. Raises `ConfigError` when there is no way to send mail."""
    if app.config.weekly is None:
        return None
    mailbox = next((one for one in connectors if isinstance(one, Mailbox)), None)
    if mailbox is None:
        raise ConfigError("reports.weekly needs the connector email: add connectors.email to the configuration")

    async def week(now: datetime) -> WeekInCosts:
        return await week_of(database, prices, now, app.governor.budgets, await app.governor.balances())

    return WeeklyMail(settings=app.config.weekly, mailbox=mailbox, lookups=app.lookups, week=week)
