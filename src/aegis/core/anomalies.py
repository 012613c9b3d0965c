"""Spending that is not as usual: what a detector says, what explains it, and the episode that people are told of once.

Policy: one episode for what one driver does, however many detectors see it. While it is open nothing new is opened; it
closes after `quiet_ms` without an alarm, and only then the next alarm opens another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from aegis.core.money import USD, Nanos

Detector = Literal["mad", "cusum", "burn"]
DETECTORS: tuple[Detector, ...] = ("mad", "cusum", "burn")
PAGES: frozenset[Detector] = frozenset({"mad", "burn"})
"""Detectors that wake somebody; the others open a ticket."""
DRIVERS_MAX = 3
DRIVER_NAMES = ("key", "model", "service", "source")
"""What a rise is explained by, the most telling first: of equal shares the earlier one is the main driver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyPolicy:
    """When people are told. `least` is nano-dollars an hour below which nothing is an anomaly; an episode closes after
    `quiet_ms`; `every_ms` is how often it is looked.
    """

    on: bool = True
    detectors: frozenset[Detector] = frozenset(DETECTORS)
    least: Nanos = USD // 2
    every_ms: int = 60_000
    quiet_ms: int = 6 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A part of the rise: the value of a name (`key` `red`), what it came to and what it usually does. `share` is its
    percent of the whole rise.
    """

    name: str
    value: str
    cost: Nanos
    usual: Nanos
    share: int

    @property
    def key(self) -> str:
        return f"{self.name}:{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What one detector found, over the hours from `since` to `until`; `about` is `all calls` or the name of a budget's
    line.
    """

    detector: Detector
    about: str
    since: datetime
    until: datetime
    cost: Nanos
    usual: Nanos
    reason: str
    drivers: tuple[Driver, ...] = ()

    @property
    def driver(self) -> str:
        """What makes two alarms the same trouble: the main driver, else what it is about."""
        return self.drivers[0].key if self.drivers else f"about:{self.about}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One anomaly from its first alarm to its end. `told` are the detectors that people were told of; an empty
    `incident` has not been opened yet.
    """

    id: str
    driver: str
    alarms: tuple[Alarm, ...]
    opened_at: datetime
    seen_at: datetime
    closed_at: datetime | None = None
    incident: str = ""
    told: frozenset[Detector] = frozenset()

    @property
    def detectors(self) -> frozenset[Detector]:
        return frozenset(alarm.detector for alarm in self.alarms)

    @property
    def pages(self) -> bool:
        return bool(self.detectors & PAGES)

    @property
    def due(self) -> bool:
        """Whether people have to be told: of the episode, or that it is a page now and was a ticket."""
        return not self.incident or (self.pages and not self.told & PAGES)

    def seen(self, alarm: Alarm, now: datetime) -> Episode:
        """With one more alarm: the newest of each detector is kept."""
        kept = tuple(one for one in self.alarms if (one.detector, one.about) != (alarm.detector, alarm.about))
        return replace(self, alarms=(*kept, alarm), seen_at=now)

    def over(self, now: datetime, quiet_ms: int) -> bool:
        """Whether nothing was seen for so long."""
        return now - self.seen_at >= timedelta(milliseconds=quiet_ms)


def drivers_of(cost: Mapping[str, Mapping[str, Nanos]], usual: Mapping[str, Mapping[str, Nanos]]) -> tuple[Driver, ...]:
    """What explains a rise, the largest parts first: cost and what is usual by name and value. Of each name only the
    value that rose most; values that nobody gave are passed over.
    """
    rises = {
        name: {value: spent - usual.get(name, {}).get(value, 0) for value, spent in values.items()}
        for name, values in cost.items()
    }
    found = []
    for name in DRIVER_NAMES:
        rise = sum(max(0, one) for one in rises.get(name, {}).values())
        named = {value: one for value, one in rises.get(name, {}).items() if value and one > 0}
        if not named:
            continue
        value = max(named, key=lambda one: (named[one], one))
        share = 100 * named[value] // rise
        before = usual.get(name, {}).get(value, 0)
        found.append(Driver(name=name, value=value, cost=cost[name][value], usual=before, share=share))
    found.sort(key=lambda driver: (-driver.share, DRIVER_NAMES.index(driver.name)))
    return tuple(found[:DRIVERS_MAX])


def joined(open_: Sequence[Episode], alarm: Alarm) -> Episode | None:
    """The open episode that an alarm belongs to: that of its main driver, else one that this very detector opened about
    the same and that shares a driver with it.
    """
    names = {driver.key for driver in alarm.drivers}
    for episode in open_:
        if episode.driver == alarm.driver:
            return episode
    for episode in open_:
        for one in episode.alarms:
            same = (one.detector, one.about) == (alarm.detector, alarm.about)
            if same and (not names or names & {driver.key for driver in one.drivers}):
                return episode
    return None
