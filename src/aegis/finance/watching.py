"""The watch over spending: one turn reads the hours, asks the detectors, names the drivers, and opens one incident for
each episode.

Policy: what is decided is on record before anybody is told, so that a crash between the two tells once more and never
twice: the incident of an episode has the episode's own name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from aegis.core.anomalies import DRIVER_NAMES, Alarm, AnomalyPolicy, Detector, Episode, drivers_of, joined
from aegis.core.budgets import MONEY, Amounts, Budget
from aegis.core.money import USD, Nanos
from aegis.core.ports import NewId
from aegis.core.windows import window_at
from aegis.finance.detectors import WEEK_HOURS, WEEKS, Found, Hours, burning, drifted, jumped, usual_of

LOOK_BACK: Final = timedelta(hours=WEEK_HOURS * WEEKS + 80)
"""Four weeks, and the three days that a creep is followed over."""
FLOOR: Final[Nanos] = USD // 100
"""A cent an hour is as good as nothing."""
BURNS_MAX: Final = 1_000
"""Lines of budgets that are looked at in a turn; keys beyond that are covered by the watch over all calls."""
OPEN_MAX: Final = 20
"""Episodes open at once: a flood of them is one trouble, told twenty times over."""
ALL: Final = "all calls"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class HourlySpend(Protocol):
    """Cost by the hour (milliseconds of its start): of a budget's scope by its parts, or of every value of a name."""

    async def by_hour(
        self, since: datetime, scope: Mapping[str, str]
    ) -> Mapping[tuple[str, ...], Mapping[int, int]]: ...
    async def by_name(self, name: str, since: datetime, until: datetime) -> Mapping[str, Mapping[int, int]]: ...


class Episodes(Protocol):
    """The episodes on record."""

    async def put(self, episode: Episode) -> bool: ...
    async def open(self) -> Sequence[Episode]: ...


class Tells(Protocol):
    """Opens the incident of an episode, or adds to it; returns its id."""

    async def __call__(self, episode: Episode) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendWatch:
    """Looks at all spending, and at the pace of every money budget that the hours are kept by (`names`)."""

    policy: AnomalyPolicy
    hours: HourlySpend
    episodes: Episodes
    tell: Tells
    new_id: NewId
    names: frozenset[str]

    async def turn(self, now: datetime, budgets: Sequence[Budget]) -> None:
        """One look. Raises `StoreError`; the next turn does what this one could not."""
        alarms = await self.alarms(now, budgets)
        open_ = list(await self.episodes.open())
        for alarm in alarms:
            if (found := joined(open_, alarm)) is not None:
                open_[open_.index(found)] = seen = found.seen(alarm, now)
                await self.episodes.put(seen)
            elif len(open_) < OPEN_MAX:
                new = Episode(id=self.new_id("ano"), driver=alarm.driver, alarms=(alarm,), opened_at=now, seen_at=now)
                if await self.episodes.put(new):
                    open_.append(new)
        for episode in open_:
            if episode.due:
                incident = await self.tell(episode)
                await self.episodes.put(replace(episode, incident=incident, told=episode.detectors))
            elif episode.over(now, self.policy.quiet_ms):
                await self.episodes.put(replace(episode, closed_at=now))

    async def alarms(self, now: datetime, budgets: Sequence[Budget]) -> Sequence[Alarm]:
        """What the detectors find now, with what explains it. Raises `StoreError`."""
        hour, since = (now - EPOCH) // HOUR, now - LOOK_BACK
        total = _numbered((await self.hours.by_hour(since, {})).get((), {}))
        hours, on, least = Hours(total, FLOOR), self.policy.detectors, self.policy.least
        found: list[tuple[Detector, str, Found]] = []
        if "mad" in on and (jump := jumped(hours, hour, least)):
            found.append(("mad", ALL, jump))
        if "cusum" in on and (drift := drifted(hours, hour, least)):
            found.append(("cusum", ALL, drift))
        if "burn" in on:
            found += [("burn", about, burn) for about, burn in await self._burning(now, hour, budgets)]
        return [await self._explained(detector, about, one) for detector, about, one in found]

    async def _burning(self, now: datetime, hour: int, budgets: Sequence[Budget]) -> Sequence[tuple[str, Found]]:
        found, looked = [], 0
        for budget in budgets:
            if budget.unit != MONEY or not self.names.issuperset(budget.scope):
                continue
            for values, part in (await self.hours.by_hour(now - 8 * HOUR, budget.scope)).items():
                hours = Hours(_numbered(part), FLOOR)
                for amounts in budget.windows:
                    looked += 1
                    burn = burning(hours, hour, _pace(amounts, now), self.policy.least)
                    if burn and looked <= BURNS_MAX:
                        named = f" [{'/'.join(values)}]" if values else ""
                        found.append((f"{budget.name}{named} ({amounts.window.kind})", burn))
        return found

    async def _explained(self, detector: Detector, about: str, found: Found) -> Alarm:
        """The alarm with its drivers: by name, what rose most beside the same hours of the four weeks before."""
        run = range(found.first, found.last + 1)
        cost: dict[str, dict[str, Nanos]] = {}
        usual: dict[str, dict[str, Nanos]] = {}
        for name in DRIVER_NAMES:
            since = EPOCH + (found.first - WEEKS * WEEK_HOURS) * HOUR
            values = await self.hours.by_name(name, since, EPOCH + (found.last + 1) * HOUR)
            by_number = {value: _numbered(hours) for value, hours in values.items()}
            cost[name] = {value: sum(hours.get(hour, 0) for hour in run) for value, hours in by_number.items()}
            usual[name] = {value: usual_of(hours, run) for value, hours in by_number.items()}
        return Alarm(
            detector=detector,
            about=about,
            since=EPOCH + found.first * HOUR,
            until=EPOCH + (found.last + 1) * HOUR,
            cost=found.cost,
            usual=found.usual,
            reason=found.reason,
            drivers=drivers_of(cost, usual),
        )


def _pace(amounts: Amounts, now: datetime) -> float:
    """What an hour may cost so that the window's limit is just reached, in nano-dollars."""
    if amounts.window.kind == "rolling":
        return amounts.emergency * 3_600_000 / max(1, amounts.window.span_ms)
    window = window_at(amounts.window, now)
    return amounts.emergency / max(1.0, (window.ends_at - window.starts_at) / HOUR)


def _numbered(hours: Mapping[int, Nanos]) -> Mapping[int, Nanos]:
    """Hours by their number since the epoch instead of milliseconds."""
    return {milliseconds // 3_600_000: cost for milliseconds, cost in hours.items()}
