"""The ledger beside the providers' bills: asks, compares, takes over what is to be taken over, and opens incidents.

Policy: what a provider cannot say is told and changes nothing. Spending that is found outside only ever raises what the
ledger counts, so a running Aegis takes it over by itself; giving money back waits for a person, unless the configuration
says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import anyio
import orjson

from aegis.app.bills import PROVIDERS, bills_of
from aegis.app.reconciled import row_of, stamp, tell
from aegis.config.reconciling import ReconcileSettings
from aegis.core.adjusting import Adjusted, Adjustment
from aegis.core.bills import Bill, BilledDay, is_final
from aegis.core.errors import BadInput, Refused, ServiceError
from aegis.core.ledger import Correction
from aegis.core.money import format_usd
from aegis.core.ports import Http, Ledger
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.finance.reconciling import CAUSES, CENT, Compared, LedgerDay, Limits, compare, shares
from aegis.governor.billing import booking, corrections
from aegis.loops import Tick
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger
from aegis.stores.reconciled import Held, Kept, Reconciled

if TYPE_CHECKING:
    from aegis.app.running import App

Apply: TypeAlias = Literal["nothing", "outside", "all"]
SETTING: Final = "reconcile"
"""Under this name the store keeps when bills were read last, and what could not be read."""
LOOK_MS: Final = 60_000
"""How often it is looked whether it is time."""
AGAIN: Final = timedelta(hours=1)
"""A provider that did not answer is asked again so much later, until the next day's run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run: every day compared as it stands afterwards, what was taken over, and whose figures could not be had."""

    at: datetime
    rows: Sequence[Mapping[str, Any]]
    done: Adjusted
    problems: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Reconciling:
    """Everything about it of one Aegis. Its methods raise `StoreError`."""

    app: App
    bills: Sequence[Bill]
    kept: Reconciled
    ledger: Ledger
    settings: ReconcileSettings
    _alone: anyio.Lock = field(default_factory=anyio.Lock)
    _failed: tuple[str, ...] = ()
    _again_at: datetime | None = None

    async def run(
        self, *, days: int, by: str, providers: Sequence[str] = (), apply: Apply = "nothing", watched: bool = True
    ) -> Ran:
        """Compare the last whole days, and today, which is provisional. `watched` says that a person sees what comes of it: then
        what agrees afterwards is resolved at once, else by the next run. Raises `BadInput` for a provider that is not read.
        """
        asked = [bill for bill in self.bills if not providers or bill.provider in providers]
        if missing := sorted(set(providers) - {bill.provider for bill in asked}):
            raise BadInput(_not_read(missing[0]), code="no_such_bill")
        async with self._alone:
            now = self.app.clock.now()
            last = now.date()
            first = last - timedelta(days=days)
            billed, problems = await _ask(asked, first, last)
            found = await self._compare(asked, billed, first, last, now)
            before = {(one.service, one.day): one for one in await self.kept.kept(first, last)}
            opened = await self._open(found, before)
            done = await self._apply(found, apply, by)
            if done.booked or done.corrected:
                found = await self._compare(asked, billed, first, last, now)
            closed = await self._close(found, opened if watched else before, by)
            rows = [self._keep(one, before, {**opened, **closed}, now) for one in found]
            await self.kept.keep(rows)
            told = {"at": stamp(now), "problems": problems}
            await self.app.lookups.keep_setting(SETTING, orjson.dumps(told).decode())
        return Ran(at=now, rows=[one.row for one in rows], done=done, problems=problems)

    async def known(self, days: int) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]:
        """The comparisons on record of the last days, and when bills were read last. Nobody is asked."""
        last = self.app.clock.now().date()
        kept = await self.kept.kept(last - timedelta(days=days), last)
        read = await self.app.lookups.setting(SETTING)
        return [one.row for one in kept], orjson.loads(read) if read else {"at": None, "problems": {}}

    async def tick(self, now: datetime) -> None:
        """Run when it is time. Who did not answer is asked again, alone."""
        due = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=self.settings.minute)
        due = due if due <= now else due - timedelta(days=1)
        read = await self.app.lookups.setting(f"{SETTING}_due")
        if read is None:  # the first one is at the next such hour: a start asks nobody for a bill
            await self.app.lookups.keep_setting(f"{SETTING}_due", due.isoformat())
            return
        if datetime.fromisoformat(read) >= due:
            if self._again_at is None or now < self._again_at:
                return
        else:
            self._failed = ()
        ran = await self.run(
            days=self.settings.days, by="aegis", providers=self._failed, apply=self.settings.apply, watched=False
        )
        self._failed = tuple(ran.problems)
        self._again_at = now + AGAIN if ran.problems else None
        await self.app.lookups.keep_setting(f"{SETTING}_due", due.isoformat())

    async def _compare(
        self, asked: Sequence[Bill], billed: Mapping[str, Sequence[BilledDay]], first: date, last: date, now: datetime
    ) -> list[Compared]:
        await self.app.governor.balances()  # what ended here is on record before it is compared
        held = await self.kept.held(first, last)
        limits = Limits(percent=self.settings.percent, at_least=self.settings.at_least)
        found = []
        for bill in asked:
            if bill.provider not in billed:
                continue
            for day in _every(bill, billed[bill.provider], held, first, last):
                ours = await self._ours(day, held.get((day.service, day.day), Held()))
                late = not is_final(day.day, now, bill.lag_ms)
                found.append(compare(bill.provider, day, ours, provisional=late, limits=limits))
        return sorted(found, key=lambda one: (one.day, one.provider, one.service))

    async def _ours(self, day: BilledDay, held: Held) -> LedgerDay:
        """The ledger's side. What was used is only added up where it is needed: of a quota, and where figures differ."""
        ours = LedgerDay(cost=held.cost, worst=held.worst, outside=held.outside)
        if not day.meter and abs(day.cost - held.cost) < CENT:
            return ours
        inside, outside = await self.kept.usage(day.service, day.day)
        return replace(ours, usage={**inside, "requests": held.calls}, outside_usage=outside)

    async def _apply(self, found: Sequence[Compared], apply: Apply, by: str) -> Adjusted:
        """Take over what was found, in one transaction."""
        if apply == "nothing":
            return Adjusted()
        book = self.app.governor.book
        bookings = [
            booking(
                book,
                one.service,
                one.day,
                cost=0 if one.meter else one.book,
                usage={one.meter: one.book} if one.meter else {},
                message=f"found on the bill: {CAUSES[one.cause]}",
            )
            for one in found
            if one.booking > 0
        ]
        settled: list[Correction] = []
        for one in found if apply == "all" else ():
            if one.settle is not None:
                unknown = await self.kept.unknown(one.service, one.day)
                counted = [entry.cost for entry in unknown]
                total = one.settle * sum(counted) // max(1, one.unknown)  # where there are more than are read at once
                settled += await corrections(self.ledger, unknown, shares(min(total, sum(counted)), counted))
        if not bookings and not settled:
            return Adjusted()
        done = await self.app.governor.adjust(Adjustment(bookings=bookings, corrections=settled))
        await self._note(done, by)
        return done

    async def _note(self, done: Adjusted, by: str) -> None:
        """Put on record what was taken over, and bring the hours that forecasts read in step."""
        if not (done.booked or done.corrected):
            return
        facts = {f"booked {service} {day}": format_usd(more) for (service, day), more in done.booked.items()}
        facts |= {"refunded_usd": format_usd(done.refunded), "settled": str(done.corrected)}
        await self.app.audit.note(by, "reconcile.apply", facts)
        if self.app.spendwatch is not None:
            await self.app.spendwatch.hours.catch_up(self.app.clock.now(), days=self.settings.days + 1)

    async def _open(
        self, found: Sequence[Compared], before: Mapping[tuple[str, date], Kept]
    ) -> Mapping[tuple[str, date], str]:
        """Open an incident for each day that differs and has none; returns all that have one, by service and day."""
        have = {key: one.incident for key, one in before.items() if one.incident}
        for one in found:
            if one.differs and (one.service, one.day) not in have:
                have[one.service, one.day] = (await tell(self.app.pipeline, one)).id
        return have

    async def _close(
        self, found: Sequence[Compared], have: Mapping[tuple[str, date], str | Kept], by: str
    ) -> Mapping[tuple[str, date], str]:
        """Resolve the incidents of days that agree now; returns those days, without an incident."""
        closed: dict[tuple[str, date], str] = {}
        for one in found:
            had = have.get((one.service, one.day), "")
            incident = had.incident if isinstance(had, Kept) else had
            if incident and not one.differs and not one.provisional:
                text = f"reconciled: the ledger and {one.provider} agree on {one.day.isoformat()}"
                with suppress(BadInput):  # somebody closed it, or it is too old to be kept
                    await self.app.desk.resolve(incident, by=by, text=text)
                closed[one.service, one.day] = ""
        return closed

    def _keep(
        self,
        one: Compared,
        before: Mapping[tuple[str, date], Kept],
        incidents: Mapping[tuple[str, date], str],
        now: datetime,
    ) -> Kept:
        was = before.get((one.service, one.day))
        incident = incidents.get((one.service, one.day), "")
        same = was is not None and was.billed == one.billed
        changed_at = was.changed_at if was is not None and same else now
        restated = was is not None and not same and was.row.get("state") != "provisional"
        return Kept(
            service=one.service,
            day=one.day,
            provider=one.provider,
            billed=one.billed,
            asked_at=now,
            changed_at=changed_at,
            incident=incident,
            row=row_of(one, incident=incident, asked_at=now, changed_at=changed_at, restated=restated),
        )


def ran_row(ran: Ran) -> dict[str, Any]:
    """A run as JSON values."""
    return {
        "at": stamp(ran.at),
        "days": list(ran.rows),
        "problems": dict(ran.problems),
        "booked_usd": format_usd(sum(ran.done.booked.values())),
        "refunded_usd": format_usd(ran.done.refunded),
        "settled": ran.done.corrected,
    }


async def _ask(
    bills: Sequence[Bill], first: date, last: date
) -> tuple[Mapping[str, Sequence[BilledDay]], dict[str, str]]:
    """What each provider says, and why some say nothing."""
    billed: dict[str, Sequence[BilledDay]] = {}
    problems: dict[str, str] = {}
    for bill in bills:
        try:
            billed[bill.provider] = await bill.days(first, last)
        except (ServiceError, Refused, BadInput) as error:
            problems[bill.provider] = str(error)
    return billed, problems


def _every(
    bill: Bill, billed: Sequence[BilledDay], held: Mapping[tuple[str, date], Held], first: date, last: date
) -> Sequence[BilledDay]:
    """What the provider says, and a day of nothing wherever it says nothing and the ledger has something."""
    told = {(one.service, one.day): one for one in billed if one.service in bill.services}
    metered = any(one.meter for one in billed)
    silent = [
        BilledDay(service=service, day=day)
        for (service, day), ours in held.items()
        if service in bill.services and ours.cost and (service, day) not in told and first <= day <= last
    ]
    return [*told.values(), *(() if metered else silent)]


def _not_read(provider: str) -> str:
    if provider not in PROVIDERS:
        return f"there is no bill of {provider[:64]}; known are {', '.join(PROVIDERS)}"
    need = "reconcile.providers with aws in it" if provider == "aws" else f"its key: see docs/reconcile.md ({provider})"
    return f"the bill of {provider} is not read: it needs {need}"


def reconciling(
    app: App, database: Database, http: Http, resolve: Callable[[Reference], Secret]
) -> tuple[tuple[str, int, Tick], ...]:
    """Make it for an Aegis; the background task, where there is a bill to read and it is wanted. Raises `ConfigError`."""
    bills = bills_of(app.config, http, clock=app.clock, new_id=app.new_id, resolve=resolve, governor=app.governor)
    ledger = SqliteLedger(database, app.clock)
    settings = app.config.reconcile
    app.reconciling = Reconciling(app=app, bills=bills, kept=Reconciled(database), ledger=ledger, settings=settings)
    return (("reconcile", LOOK_MS, app.reconciling.tick),) if bills and settings.on else ()
