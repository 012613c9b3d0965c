"""What the dashboard reads beside the parts of a running Aegis: lists, the calls behind a number, sums, forecasts.

Policy: pages read short rows and sums, never whole records; what takes long to work out is remembered for a moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from aegis.app.finance import forecasts
from aegis.app.keydesk import KeyDesk
from aegis.app.keyring import pepper
from aegis.core.budgets import Balance
from aegis.core.forecasts import Forecast
from aegis.core.ledger import Switch
from aegis.core.virtualkeys import VirtualKey
from aegis.stores.calls import CallLine, CallsFound, CallsWanted, calls, calls_of_incident
from aegis.stores.database import Database
from aegis.stores.incident_list import SqliteIncidentList
from aegis.stores.ledger import SqliteLedger
from aegis.stores.lookups import SqliteLookups
from aegis.stores.spend_sums import Sums, sums
from aegis.stores.stops import SqliteStops

if TYPE_CHECKING:
    from aegis.app.running import App

ByHour: TypeAlias = Mapping[tuple[str, ...], Mapping[int, int]]
"""Cost by the hour (milliseconds of its start), for each combination of the values of a scope."""

KEPT: Final = timedelta(seconds=30)
"""How long forecasts and sums of hours are shown before they are made again: they take some ten milliseconds each, and move
by the hour.
"""
HOURS_KEPT: Final = 100
"""Scopes whose hours are remembered: people look at a few budgets."""
TURNS_SHOWN: Final = 50


@dataclass(slots=True)
class Shown:
    """What pages read of one store."""

    app: App
    database: Database
    _listing: SqliteIncidentList
    stops: SqliteStops
    ledger: SqliteLedger
    lookups: SqliteLookups
    _filled: bool = False
    _sums: dict[tuple[int, int], tuple[datetime, Sums]] = field(default_factory=dict)
    _hours: dict[tuple[tuple[tuple[str, str], ...], datetime], tuple[datetime, ByHour]] = field(default_factory=dict)
    _forecasts: tuple[datetime, Sequence[Forecast]] | None = field(default=None)

    async def lists(self) -> SqliteIncidentList:
        """The lists of incidents; those of an older store are made at the first look. Raises `StoreError`."""
        if not self._filled:
            await self._listing.fill_in()
            self._filled = True
        return self._listing

    async def forecasts(self, balances: Sequence[Balance]) -> Sequence[Forecast]:
        """A forecast for every budget line, at most half a minute old. Raises `StoreError`."""
        now = self.app.clock.now()
        if self._forecasts is None or not timedelta(0) <= now - self._forecasts[0] < KEPT:
            assert self.app.spendwatch is not None, "an opened Aegis has its watch over spending"
            made = await forecasts(self.app.spendwatch.hours, self.app.governor.budgets, balances, now)
            self._forecasts = now, made
        return self._forecasts[1]

    async def hours(self, scope: Mapping[str, str], since: datetime) -> ByHour:
        """Cost by the hour of a scope, at most half a minute old. Raises `StoreError`."""
        assert self.app.spendwatch is not None, "an opened Aegis has its watch over spending"
        now, since = self.app.clock.now(), since.replace(minute=0, second=0, microsecond=0)
        key = (tuple(sorted(scope.items())), since)
        kept = self._hours.get(key)
        if kept is None or not timedelta(0) <= now - kept[0] < KEPT:
            if len(self._hours) >= HOURS_KEPT:
                self._hours.clear()
            kept = self._hours[key] = now, await self.app.spendwatch.hours.by_hour(since, scope)
        return kept[1]

    async def sums(self, span: timedelta, *, before: int = 0) -> Sums:
        """What the last stretch of hours came to, or the one so many stretches before it; at most half a minute old. Raises
        `StoreError`.
        """
        now, key = self.app.clock.now(), (int(span.total_seconds()), before)
        kept = self._sums.get(key)
        if kept is None or not timedelta(0) <= now - kept[0] < KEPT:
            assert self.app.spendwatch is not None, "an opened Aegis has its watch over spending"
            await self.app.spendwatch.hours.catch_up(now)  # what ended a moment ago is in the figure too
            until = now - span * before
            kept = self._sums[key] = now, await sums(self.database, until - span, until)
        return kept[1]

    async def calls(self, wanted: CallsWanted, limit: int) -> CallsFound:
        """The calls behind a number. Raises `StoreError`."""
        return await calls(self.database, wanted, limit)

    async def calls_of_incident(self, incident_id: str, since: datetime, limit: int) -> Sequence[CallLine]:
        return await calls_of_incident(self.database, incident_id, since, limit)

    async def turns(self) -> Sequence[Switch]:
        """The newest turns of all switches, newest first. Raises `StoreError`."""
        return await self.ledger.turns(TURNS_SHOWN)

    async def keys(self) -> Sequence[VirtualKey]:
        """Every virtual key of record, newest first. Raises `StoreError`."""
        return list(reversed(await self.app.keys.store.all()))

    def keydesk(self, who: str, routes: Sequence[str]) -> KeyDesk:
        """Where `who` makes and ends keys; `routes` are those that a key may be held to."""
        return KeyDesk(
            self.app.keys.store,
            clock=self.app.clock,
            pepper=pepper(self.app.home),
            randbits=secrets.randbits,
            routes=routes,
            noted=self.app.audit.note,
            who=who,
        )


def shown_of(app: App, database: Database) -> Shown:
    """What pages read of the store of a running Aegis."""
    return Shown(
        app,
        database,
        SqliteIncidentList(database),
        SqliteStops(database),
        SqliteLedger(database, app.clock),
        SqliteLookups(database),
    )
