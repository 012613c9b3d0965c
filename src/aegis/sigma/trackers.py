"""One correlation at work: which group a match belongs to, what it adds there, and the groups themselves."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aegis.sigma.fields import Fields, value_of
from aegis.sigma.measures import Payload, measure_of
from aegis.sigma.rules import Correlation
from aegis.sigma.sources import AS_IS
from aegis.sigma.timelines import Steps, Timeline, Window
from aegis.sigma.values import CONTAINERS, MISSING, number_of, text_of

KEY_CHARS = 256
"""A group is told by so much of each value: names and addresses are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationBounds:
    """How much state is kept. Groups per correlation and entries per group have room for a password spray over a
    large directory; `entries` bounds them all together (an entry takes some 300 bytes).
    """

    lateness_ms: int = 60_000
    groups: int = 10_000
    group_entries: int = 10_000
    entries: int = 200_000


class Tracker:
    """A correlation and its groups, the least recently used first."""

    __slots__ = ("_bounds", "correlation", "digest", "entries", "groups")

    def __init__(self, correlation: Correlation, bounds: CorrelationBounds) -> None:
        self.correlation = correlation
        self._bounds = bounds
        self.groups: OrderedDict[tuple[str, ...], Timeline] = OrderedDict()
        self.entries = 0
        self.digest = _digest(correlation)

    def group(self, key: tuple[str, ...]) -> Timeline:
        """The group of a key, made on first use."""
        timeline = self.groups.get(key)
        if timeline is None:
            timeline = self.groups[key] = self._timeline()
        self.groups.move_to_end(key)
        return timeline

    def _timeline(self) -> Timeline:
        one = self.correlation
        keep = one.timespan_ms + self._bounds.lateness_ms
        if one.type == "temporal_ordered":
            return Steps(one.timespan_ms, keep, len(one.rules))
        return Window(one.timespan_ms, keep, lambda: measure_of(one), one.compare)

    def drop_oldest(self) -> int:
        """Drops the group that was used least recently; returns how many entries went with it."""
        _, timeline = self.groups.popitem(last=False)
        gone = len(timeline.entries())
        self.entries -= gone
        return gone

    def drop_before(self, at: int) -> int:
        """Drops the groups that nothing after `at` (ms) can add to; returns how many entries went."""
        oldest = at - self.correlation.timespan_ms - self._bounds.lateness_ms
        gone = 0
        for key in [key for key, timeline in self.groups.items() if timeline.newest() < oldest]:
            gone += len(self.groups.pop(key).entries())
        self.entries -= gone
        return gone

    def key_of(self, reference: str, fields: Fields) -> tuple[str, ...] | None:
        """The group of a match of one referred rule; None where the event lacks a field to group by."""
        texts = [self._text(reference, name, fields) for name in self.correlation.group_by]
        return None if None in texts else tuple(str(text)[:KEY_CHARS] for text in texts)

    def payloads(self, reference: str, fields: Fields) -> Iterator[Payload]:
        """What a match of one referred rule adds to its group; nothing where the event lacks the field."""
        one = self.correlation
        if one.type == "event_count":
            yield 1
        elif one.type == "temporal":
            yield one.rules.index(reference)
        elif one.type == "temporal_ordered":
            # The later steps first: one event cannot be two steps of the same sequence.
            yield from (step for step in reversed(range(len(one.rules))) if one.rules[step] == reference)
        elif one.type == "value_count":
            texts = [self._text(reference, name, fields) for name in one.fields]
            if None not in texts:
                yield "\x1f".join(str(text)[:KEY_CHARS] for text in texts)
        else:
            number = number_of(self._text(reference, one.fields[0], fields) or "")
            if number is not None:
                yield number

    def _text(self, reference: str, name: str, fields: Fields) -> str | None:
        field = self.correlation.aliases.get(name, {}).get(reference, name)
        value: Any = value_of(fields, field, AS_IS)
        if value is MISSING or value is None or isinstance(value, CONTAINERS):
            return None
        return text_of(value)


def _digest(one: Correlation) -> str:
    """Tells whether two correlations count the same: state is only taken back into the same one."""
    aliases = sorted((alias, sorted(fields.items())) for alias, fields in one.aliases.items())
    said = (one.type, one.rules, one.group_by, one.timespan_ms, one.compare, one.fields, one.percentile, aliases)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]
