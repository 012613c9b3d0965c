"""Correlations: matches go in one by one, and what they add up to within a time comes out.

Time is event time. Within a group an entry may be late by `lateness_ms`; a later one is dropped and counted. A group's
time is its own, so one event with a wrong date disturbs no other group. Groups and entries are bounded; what had to go
is counted in `evicted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aegis.sigma.correlation_checks import problems_of
from aegis.sigma.fields import Fields, flat_view
from aegis.sigma.rules import Correlation, Match, Rule
from aegis.sigma.snapshots import restore_into, snapshot_of
from aegis.sigma.timelines import Breach, Entry
from aegis.sigma.trackers import CorrelationBounds, Tracker

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVENT_IDS_MAX = 1_000
"""A correlation names at most so many of its events, the newest."""


@dataclass(frozen=True, slots=True)
class CorrelationMatch:
    """A correlation that matched: its window (`first` to `at`), its group, the events in it, how many matches they
    were, and the figure that breached as decimal text.
    """

    rule: Correlation
    at: datetime
    first: datetime
    group: Mapping[str, str]
    event_ids: tuple[str, ...]
    count: int
    value: str


class Correlator:
    """Feeds matches to correlations.

    With `rules` (those whose matches will be fed) references to rules that are not there are found. Correlations that
    cannot work are in `problems` and left out. `late` and `ungrouped` count matches that were not used, `evicted`
    entries that had to go for want of room.
    """

    def __init__(
        self,
        correlations: Iterable[Correlation],
        rules: Iterable[Rule] | None = None,
        *,
        bounds: CorrelationBounds = CorrelationBounds(),  # noqa: B008  # frozen
    ) -> None:
        self.bounds = bounds
        listed = list(correlations)
        known = None
        if rules is not None:
            known = {name for one in rules for name in _names(one)} | {name for one in listed for name in _names(one)}
        broken = dict(problems_of(listed, known, bounds))
        self.problems = tuple(broken.values())
        self.trackers = [Tracker(one, bounds) for index, one in enumerate(listed) if index not in broken]
        self._by_rule: dict[str, list[tuple[Tracker, str]]] = {}
        loud: dict[str, bool] = {}
        for tracker in self.trackers:
            for reference in dict.fromkeys(tracker.correlation.rules):
                self._by_rule.setdefault(reference, []).append((tracker, reference))
                loud[reference] = loud.get(reference, False) or tracker.correlation.generate
        self._quiet = frozenset(reference for reference, generate in loud.items() if not generate)
        self._arrivals = 0
        self.late = self.ungrouped = self.evicted = 0

    @property
    def entries(self) -> int:
        """How many entries are kept in all groups."""
        return sum(tracker.entries for tracker in self.trackers)

    def quiet(self, rule: Rule | Correlation) -> bool:
        """Whether a rule only serves correlations (none of them has `generate: true`) and reports nothing itself."""
        return rule.id in self._quiet or rule.name in self._quiet

    def feed(
        self, match: Match | str, at: datetime, event_id: str, fields: Mapping[str, Any]
    ) -> tuple[CorrelationMatch, ...]:
        """Takes in a match, or the id of a rule that matched: when it happened (aware), in which event, its fields.

        Returns the correlations that this completes, the outermost last; those that only serve others are left out.
        """
        names = (match,) if isinstance(match, str) else _names(match.rule)
        found: list[CorrelationMatch] = []
        self._feed(names, at, (event_id,), flat_view(fields), found)
        return tuple(one for one in found if not self.quiet(one.rule))

    def expire(self, now: datetime) -> int:
        """Drops groups that can no longer breach, by a clock that the caller trusts; returns the entries dropped."""
        return sum(tracker.drop_before(_ms(now)) for tracker in self.trackers)

    def snapshot(self) -> dict[str, Any]:
        """All state as plain data that JSON can hold."""
        return snapshot_of(self.trackers)

    def restore(self, data: Mapping[str, Any]) -> int:
        """Takes back what `snapshot` gave, replacing what is there; returns how many groups. Correlations that have
        changed since start anew. Raises `BadInput` for data that is no snapshot.
        """
        groups, self._arrivals = restore_into(self.trackers, data, self.bounds)
        return groups

    def _feed(
        self, names: Iterable[str], at: datetime, ids: tuple[str, ...], fields: Fields, found: list[CorrelationMatch]
    ) -> None:
        for name in names:
            for tracker, reference in self._by_rule.get(name, ()):
                for result in list(self._track(tracker, reference, _ms(at), ids, fields)):
                    found.append(result)
                    self._feed(_names(result.rule), result.at, result.event_ids, {**fields, **result.group}, found)

    def _track(
        self, tracker: Tracker, reference: str, at: int, ids: tuple[str, ...], fields: Fields
    ) -> Iterator[CorrelationMatch]:
        key = tracker.key_of(reference, fields)
        payloads = list(tracker.payloads(reference, fields))
        if key is None or not payloads:
            self.ungrouped += 1
            return
        timeline = tracker.group(key)
        before = len(timeline.entries())
        if before and at < timeline.newest() - self.bounds.lateness_ms:
            self.late += 1
            return
        for payload in payloads:
            self._arrivals += 1
            breach = timeline.add(Entry(at, self._arrivals, ids, payload))
            if breach is not None:
                yield _match(tracker.correlation, key, breach)
        self.evicted += timeline.shrink(self.bounds.group_entries)
        tracker.entries += len(timeline.entries()) - before
        self._make_room(tracker)

    def _make_room(self, tracker: Tracker) -> None:
        while len(tracker.groups) > self.bounds.groups:
            self.evicted += tracker.drop_oldest()
        while self.entries > self.bounds.entries:
            self.evicted += max(self.trackers, key=lambda one: one.entries).drop_oldest()


def _names(rule: Rule | Correlation) -> tuple[str, ...]:
    return (rule.id, rule.name) if rule.name and rule.name != rule.id else (rule.id,)


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def _match(correlation: Correlation, key: tuple[str, ...], breach: Breach) -> CorrelationMatch:
    ids = dict.fromkeys(one for entry in breach.entries for one in entry.event_ids)
    return CorrelationMatch(
        rule=correlation,
        at=EPOCH + timedelta(milliseconds=breach.entries[-1].at),
        first=EPOCH + timedelta(milliseconds=breach.entries[0].at),
        group=dict(zip(correlation.group_by, key, strict=True)),
        event_ids=tuple(ids)[-EVENT_IDS_MAX:],
        count=len(breach.entries),
        value=f"{breach.value.normalize():f}",
    )
