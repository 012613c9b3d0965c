"""The entries of one group in order of event time, and the first window among them that breaches.

A window spans the timespan, both ends included, and ends with an entry. An entry that comes late (within the lateness)
is put where it belongs, and the windows that it changes are looked at again. After a breach nothing is reported until
an entry lies more than a timespan after it: no entry is reported twice.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from aegis.sigma.measures import Measure, Payload, compares
from aegis.sigma.rules import Comparison

_TRIM = 64
"""Entries that have left are cut off the list so many at a time."""


class Entry(NamedTuple):
    """One match in a group: event time (ms), order of arrival, the events it stands for, what it adds."""

    at: int
    arrival: int
    event_ids: tuple[str, ...]
    payload: Payload


class Breach(NamedTuple):
    """A window that breached, and its figure."""

    entries: tuple[Entry, ...]
    value: Decimal


class Timeline(Protocol):
    """The state of one group. `add` returns the first breach that the entry makes."""

    fired_at: int | None

    def add(self, entry: Entry) -> Breach | None: ...

    def entries(self) -> Sequence[Entry]: ...

    def newest(self) -> int: ...

    def shrink(self, most: int) -> int:
        """Drops the oldest entries beyond a number; returns how many."""
        ...


class Window:
    """The figure of a moving window, kept up to date for the newest and worked out anew where an entry comes late."""

    __slots__ = ("_entries", "_keep", "_left", "_measure", "_new", "_span", "_wanted", "fired_at")

    def __init__(
        self, span: int, keep: int, new: Callable[[], Measure], wanted: Sequence[tuple[Comparison, Decimal]]
    ) -> None:
        self._span = span
        self._keep = keep
        self._new = new
        self._wanted = wanted
        self._entries: list[Entry] = []
        self._left = 0
        self._measure = new()
        self.fired_at: int | None = None

    def entries(self) -> Sequence[Entry]:
        return self._entries

    def newest(self) -> int:
        return self._entries[-1].at

    def add(self, entry: Entry) -> Breach | None:
        entries = self._entries
        if entries and entry < entries[-1]:
            return self._add_late(entry)
        entries.append(entry)
        self._measure.add(entry.payload)
        while entries[self._left].at < entry.at - self._span:
            self._measure.remove(entries[self._left].payload)
            self._left += 1
        self._trim(entry.at - self._keep)
        return self._breach(self._left, len(entries), self._measure.value())

    def _add_late(self, entry: Entry) -> Breach | None:
        entries = self._entries
        insort(entries, entry)
        if entry.at >= entries[-1].at - self._span:
            self._measure.add(entry.payload)
        else:
            self._left += 1
        last = bisect_left(entries, entry)
        first = bisect_left(entries, (entry.at - self._span,))
        measure = self._new()
        for one in entries[first:last]:
            measure.add(one.payload)
        while last < len(entries) and entries[last].at <= entry.at + self._span:
            measure.add(entries[last].payload)
            while entries[first].at < entries[last].at - self._span:
                measure.remove(entries[first].payload)
                first += 1
            last += 1
            if found := self._breach(first, last, measure.value()):
                return found
        return None

    def _breach(self, first: int, last: int, value: Decimal | None) -> Breach | None:
        at = self._entries[last - 1].at
        if value is None or not _armed(self.fired_at, at, self._span) or not compares(value, self._wanted):
            return None
        self.fired_at = at
        return Breach(tuple(self._entries[first:last]), value)

    def _trim(self, before: int) -> None:
        gone = bisect_left(self._entries, (before,), hi=self._left)
        if gone >= _TRIM:
            del self._entries[:gone]
            self._left -= gone

    def shrink(self, most: int) -> int:
        excess = max(0, len(self._entries) - most)
        for one in self._entries[self._left : excess]:
            self._measure.remove(one.payload)
        del self._entries[:excess]
        self._left = max(0, self._left - excess)
        return excess


class Steps:
    """Steps in order: for each step the chain that reaches it and starts latest, since a later start leaves more time.

    The payload of an entry is the number of its step. Entries at the same time follow in order of arrival.
    """

    __slots__ = ("_chains", "_entries", "_keep", "_span", "_steps", "fired_at")

    def __init__(self, span: int, keep: int, steps: int) -> None:
        self._span = span
        self._keep = keep
        self._steps = steps
        self._entries: list[Entry] = []
        self._chains: list[tuple[Entry, ...] | None] = [None] * steps
        self.fired_at: int | None = None

    def entries(self) -> Sequence[Entry]:
        return self._entries

    def newest(self) -> int:
        return self._entries[-1].at

    def add(self, entry: Entry) -> Breach | None:
        entries = self._entries
        if not entries or entry > entries[-1]:
            entries.append(entry)
            gone = bisect_left(entries, (entry.at - self._keep,))
            if gone >= _TRIM:
                del entries[:gone]
            return self._step(entry)
        insort(entries, entry)
        self._chains = [None] * self._steps
        found = None
        for one in entries:
            breach = self._step(one)
            found = found or breach
        return found

    def _step(self, entry: Entry) -> Breach | None:
        step = int(entry.payload)
        before: tuple[Entry, ...] | None = ()
        if step:
            before = self._chains[step - 1]
            if before is None or entry.at - before[0].at > self._span:
                return None
        chain = (*(before or ()), entry)
        known = self._chains[step]
        if known is None or chain[0].at >= known[0].at:
            self._chains[step] = chain
        if step + 1 < self._steps or not _armed(self.fired_at, entry.at, self._span):
            return None
        self.fired_at = entry.at
        return Breach(chain, Decimal(self._steps))

    def shrink(self, most: int) -> int:
        excess = max(0, len(self._entries) - most)
        del self._entries[:excess]
        return excess


def _armed(fired_at: int | None, at: int, span: int) -> bool:
    return fired_at is None or at > fired_at + span
