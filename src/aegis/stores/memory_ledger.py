"""The allowance ledger in memory, for tests and rehearsals: the same rules over dictionaries.

Each method is one transaction: it works on a copy of the records, which replaces them when nothing was raised. What
the database checks with constraints is asserted here at every commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import orjson

from aegis.core import adjusting, escrow
from aegis.core.adjusting import Adjusted, Adjustment
from aegis.core.budgets import Line
from aegis.core.errors import StoreError
from aegis.core.ledger import Crossing, Entry, Holds, Joined, Row, Switch, Sync, Synced, Total
from aegis.core.ports import Clock
from aegis.core.windows import ClockGuard

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


@dataclass(slots=True)
class MemoryShelf:
    """`core.ledger.Shelf` over dictionaries. Rows are copied out and put back, as a database would."""

    holders: dict[str, tuple[int, int]] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    lent: dict[tuple[str, int], int] = field(default_factory=dict)
    journal: dict[str, tuple[str, Entry]] = field(default_factory=dict)
    rolling: dict[int, dict[int, int]] = field(default_factory=dict)
    crossings: dict[tuple[str, str, str, str], tuple[Crossing, bool]] = field(default_factory=dict)
    turned: dict[tuple[tuple[str, str], ...], Switch] = field(default_factory=dict)

    def fork(self) -> MemoryShelf:
        return MemoryShelf(
            holders=dict(self.holders),
            rows=dict(self.rows),
            lent=dict(self.lent),
            journal=dict(self.journal),
            rolling={row_id: dict(slots) for row_id, slots in self.rolling.items()},
            crossings=dict(self.crossings),
            turned=dict(self.turned),
        )

    def check(self) -> None:
        """What has to hold at every commit."""
        leases: Counter[int] = Counter()
        for (_, row_id), units in self.lent.items():
            assert units > 0, "a lease of nothing was kept"
            leases[row_id] += units
        for row in self.rows.values():
            assert min(row.settled, row.leased, row.overrun) >= 0, "an amount is negative"
            assert row.settled + row.leased <= row.limit + row.overrun, "more is committed than the limit"
            assert row.leased == leases[row.id], "the leases do not sum to what was lent"

    def epoch(self, holder: str) -> int:
        return self.holders.get(holder, (0, 0))[0]

    def set_holder(self, holder: str, epoch: int, expires_ms: int) -> None:
        self.holders[holder] = (epoch, expires_ms)

    def lapsed(self, before_ms: int) -> Sequence[str]:
        return sorted(name for name, (_, expires_ms) in self.holders.items() if 0 < expires_ms < before_ms)

    def row(self, row_id: int) -> Row:
        return _copied(self.rows[row_id])

    def newest(self, key: str) -> Row | None:
        same = [row for row in self.rows.values() if row.key == key]
        return _copied(max(same, key=lambda row: row.starts_ms)) if same else None

    def begun(self, key: str, starts_ms: int) -> Row | None:
        found = next((row for row in self.rows.values() if (row.key, row.starts_ms) == (key, starts_ms)), None)
        return None if found is None else _copied(found)

    def add(self, row: Row) -> Row:
        added = _copied(row)
        added.id = len(self.rows) + 1
        self.rows[added.id] = _copied(added)
        return added

    def put(self, row: Row) -> None:
        self.rows[row.id] = _copied(row)

    def lease(self, holder: str, row_id: int) -> int:
        return self.lent.get((holder, row_id), 0)

    def set_lease(self, holder: str, row_id: int, units: int) -> None:
        if units:
            self.lent[holder, row_id] = units
        else:
            self.lent.pop((holder, row_id), None)

    def leases(self, holder: str) -> Mapping[int, int]:
        return {row_id: units for (name, row_id), units in self.lent.items() if name == holder}

    def recalled(self, holder: str, now_ms: int) -> set[int]:
        return {row_id for row_id in self.leases(holder) if self.rows[row_id].recall_ms > now_ms}

    def write(self, holder: str, epoch: int, entries: Sequence[Entry]) -> None:
        assert not entries or epoch == self.epoch(holder), "only the current epoch writes"
        for entry in entries:
            before = self.journal.get(entry.attempt)
            if before is None or (before[1].state == "sent" and entry.state != "sent"):
                self.journal[entry.attempt] = (before[0] if before else holder, entry)

    def unsettled(self, holder: str) -> Sequence[Entry]:
        return [entry for name, entry in self.journal.values() if name == holder and entry.state == "sent"]

    def entry(self, attempt: str) -> Entry | None:
        found = self.journal.get(attempt)
        return found[1] if found else None

    def resize(self, attempt: str, holds: Holds) -> None:
        found = self.journal.get(attempt)
        if found is not None and found[1].state == "sent":
            self.journal[attempt] = (found[0], found[1]._replace(holds=holds))

    def correct(self, entry: Entry) -> None:
        holder, before = self.journal[entry.attempt]
        if before.state == "worst":
            self.journal[entry.attempt] = (holder, entry)

    def cross(self, crossing: Crossing) -> bool:
        key = _crossing_key(crossing)
        if key in self.crossings:
            return False
        self.crossings[key] = (crossing, False)
        return True

    def told(self, crossings: Sequence[Crossing]) -> None:
        for crossing in crossings:
            self.crossings[_crossing_key(crossing)] = (crossing, True)

    def untold(self) -> Sequence[Crossing]:
        return [crossing for crossing, told in self.crossings.values() if not told]

    def booked(self, call_id: str, service: str, model: str, day: date) -> tuple[int, int, Mapping[str, int]]:
        at_ms = (datetime(day.year, day.month, day.day, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        own = [entry for _, entry in self.journal.values() if (entry.service, entry.model) == (service, model)]
        found = [entry for entry in own if entry.call_id == call_id and 0 <= entry.at_ms - at_ms < 86_400_000]
        usage: Counter[str] = Counter()
        for entry in found:
            usage.update(orjson.loads(entry.body).get("usage", {}))
        return len(found), sum(entry.cost for entry in found), usage

    def slots(self, row_id: int) -> Mapping[int, int]:
        return dict(self.rolling.get(row_id, {}))

    def set_slot(self, row_id: int, slot_ms: int, units: int) -> None:
        slots = self.rolling.setdefault(row_id, {})
        if units:
            slots[slot_ms] = units
        else:
            slots.pop(slot_ms, None)


class MemoryLedger:
    """`core.ports.Ledger` without a file. `broken` makes every method fail as a full disk would."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._guard = clock, ClockGuard()
        self.shelf = MemoryShelf()
        self.broken = False

    async def join(self, holder: str) -> Joined:
        return self._write(lambda shelf, now: Joined(epoch=escrow.join(shelf, holder, now), untold=shelf.untold()))

    async def sync(self, request: Sync) -> Synced:
        return self._write(lambda shelf, now: escrow.sync(shelf, request, now))

    async def leave(self, holder: str, epoch: int) -> None:
        self._write(lambda shelf, now: escrow.leave(shelf, holder, epoch, now))

    async def sweep(self) -> Sequence[str]:
        return self._write(escrow.sweep)

    async def revoke(self, scope: Mapping[str, str]) -> Sequence[str]:
        def recall(shelf: MemoryShelf, now_ms: int) -> list[str]:
            for row in [one for one in shelf.rows.values() if one.leased]:
                changed = _copied(row)
                changed.recall_ms = now_ms + escrow.RECALL_MS
                shelf.put(changed)
            return sorted({holder for holder, _ in shelf.lent})

        return self._write(recall if scope else escrow.revoke)

    async def adjust(self, adjustment: Adjustment) -> Adjusted:
        return self._write(lambda shelf, now: adjusting.adjust(shelf, adjustment, now))

    async def told(self, crossings: Sequence[Crossing]) -> None:
        self._write(lambda shelf, _: shelf.told(crossings))

    async def rows(self, lines: Sequence[Line]) -> Sequence[Row]:
        return self._write(lambda shelf, now: [escrow.peek(shelf, line, now) for line in lines])

    async def numbered(self, rows: Sequence[int]) -> Sequence[Row]:
        return [self.shelf.row(row) for row in rows]

    async def parts(self, budget: str) -> Sequence[str]:
        return sorted({row.part for row in self.shelf.rows.values() if row.budget == budget})

    async def attempts(self, call_id: str) -> Sequence[Entry]:
        return [entry for _, entry in self.shelf.journal.values() if entry.call_id == call_id]

    async def totals(self, since: date) -> Sequence[Total]:
        calls: Counter[tuple[str, str, str]] = Counter()
        costs: Counter[tuple[str, str, str]] = Counter()
        for _, entry in self.shelf.journal.values():
            day = (EPOCH + timedelta(milliseconds=entry.at_ms)).date()
            if entry.state != "sent" and day >= since:
                calls[entry.service, entry.model, entry.state] += 1
                costs[entry.service, entry.model, entry.state] += entry.cost
        return [
            Total(service=service, model=model, state=state, calls=calls[key], cost=costs[key])  # type: ignore[arg-type]
            for key in sorted(calls)
            for service, model, state in [key]
        ]

    async def switches(self) -> Sequence[Switch]:
        return list(self.shelf.turned.values())

    async def turn(self, switch: Switch) -> None:
        def work(shelf: MemoryShelf, _now: int) -> None:
            shelf.turned[tuple(sorted(switch.scope.items()))] = switch

        self._write(work)

    def _write(self, work: Callable[[MemoryShelf, int], T]) -> T:
        if self.broken:
            raise StoreError("The store in memory was told to fail")
        wall = (self._clock.now() - EPOCH) // timedelta(milliseconds=1)
        now = self._guard.reading(wall, self._clock.monotonic_ns() // 1_000_000)
        forked = self.shelf.fork()
        result = work(forked, now)
        forked.check()
        self.shelf = forked
        return result


_ROW_FIELDS = tuple(each.name for each in fields(Row))


def _copied(row: Row) -> Row:
    return Row(**{name: getattr(row, name) for name in _ROW_FIELDS})


def _crossing_key(crossing: Crossing) -> tuple[str, str, str, str]:
    return (crossing.budget, crossing.part, crossing.window, crossing.level)
