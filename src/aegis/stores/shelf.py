"""The records of the allowance ledger in SQLite, inside one transaction: it reads and writes, and decides nothing.

Policy: what many calls need is one statement for all of them. The writer's thread lets go of the interpreter once a
statement and gets it back when the event loop rests, so a statement a call would make each wait for every other.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeVar

import orjson

from aegis.core.budgets import Level
from aegis.core.ledger import Crossing, Entry, Holds, Row
from aegis.stores.queries import listed, read_queries, repeated

Q = read_queries("ledger")
T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 24 * 3_600_000
LEVELS_REMEMBERED: Final = 1_024
"""Different levels of budgets whose text is remembered: every row of a report is written with its own."""
PORTION_MAX: Final = 64
"""Attempts that one statement ends: 12 parameters each, and every SQLite takes 999 of them."""


class SqliteShelf:
    """`core.ledger.Shelf` over one open transaction; `holder` and `epoch` say whose report is applied in it.

    `batch` is the number under which the report's calls about to be sent were written down (0: there were none).
    """

    def __init__(self, connection: sqlite3.Connection, holder: str = "", epoch: int = 0) -> None:
        self._execute = connection.execute
        self._execute_many = connection.executemany
        self._holder, self._epoch = holder, epoch
        self.batch = 0
        self._rows: dict[int, Row] = {}
        self._lent: dict[int, int] = {}
        self._put: dict[int, Row] = {}
        self._lend: dict[int, int] = {}

    def fetch(self, rows: Sequence[int]) -> None:
        """Read these rows, and what the holder was lent of them, together. Until `put_fetched` they are changed here
        only: a report touches many rows, and each would be two statements.
        """
        for some in _portions(rows):
            query = listed(Q["rows"], len(some))
            self._rows.update((row[0], _row(row)) for row in self._execute(query, some))
            lent = self._execute(listed(Q["lent"], len(some)), (self._holder, *some))
            self._lent.update(dict.fromkeys(some, 0) | dict(lent.fetchall()))

    def put_fetched(self) -> None:
        """Write together what became of the rows that were fetched; from here on every change is written at once."""
        if not self._rows:
            return
        changed, lent = [_changing(row) for row in self._put.values()], tuple(self._lend.items())
        for rows in _portions(changed):
            self._execute(repeated(Q["put_rows"], len(rows)), list(chain.from_iterable(rows)))
        for some in _portions([(self._holder, row_id, units) for row_id, units in lent if units]):
            self._execute(repeated(Q["set_lease"], len(some)), list(chain.from_iterable(some)))
        self._execute_many(Q["end_lease"], [(self._holder, row_id) for row_id, units in lent if not units])
        for kept in (self._rows, self._lent, self._put, self._lend):
            kept.clear()

    def epoch(self, holder: str) -> int:
        return self._number("epoch", {"holder": holder})

    def set_holder(self, holder: str, epoch: int, expires_ms: int) -> None:
        values = {"holder": holder, "epoch": epoch, "expires_ms": expires_ms}
        self._execute(Q["set_holder"], values)
        if epoch != self._epoch:
            for query in ("end_sent_epochs", "end_shrunk_epochs"):
                self._execute(Q[query], {"holder": holder, "epoch": epoch})

    def lapsed(self, before_ms: int) -> Sequence[str]:
        return [str(row[0]) for row in self._execute(Q["lapsed"], {"before_ms": before_ms})]

    def row(self, row_id: int) -> Row:
        if (fetched := self._rows.get(row_id)) is not None:
            return fetched
        found = self._execute(Q["row"], {"id": row_id}).fetchone()
        assert found is not None, f"the ledger has no row {row_id}"
        return _row(found)

    def newest(self, key: str) -> Row | None:
        self.put_fetched()
        found = self._execute(Q["newest"], {"line": key}).fetchone()
        return None if found is None else _row(found)

    def begun(self, key: str, starts_ms: int) -> Row | None:
        self.put_fetched()
        found = self._execute(Q["begun"], {"line": key, "starts_ms": starts_ms}).fetchone()
        return None if found is None else _row(found)

    def add(self, row: Row) -> Row:
        added = replace(row, id=self._number("next_row", {}))
        self._execute(Q["add_row"], _row_values(added))
        return added

    def put(self, row: Row) -> None:
        if row.id in self._rows:
            self._put[row.id] = row
        else:
            self._execute(Q["put_rows"], _changing(row))

    def lease(self, holder: str, row_id: int) -> int:
        if holder == self._holder and (fetched := self._lent.get(row_id)) is not None:
            return fetched
        return self._number("lease", {"holder": holder, "row_id": row_id})

    def set_lease(self, holder: str, row_id: int, units: int) -> None:
        if holder == self._holder and row_id in self._lent:
            self._lent[row_id] = self._lend[row_id] = units
        elif units:
            self._execute(Q["set_lease"], (holder, row_id, units))
        else:
            self._execute(Q["end_lease"], (holder, row_id))

    def leases(self, holder: str) -> Mapping[int, int]:
        self.put_fetched()
        return dict(self._execute(Q["leases"], {"holder": holder}).fetchall())

    def recalled(self, holder: str, now_ms: int) -> set[int]:
        self.put_fetched()
        return {row[0] for row in self._execute(Q["recalled"], {"holder": holder, "now_ms": now_ms})}

    def write(self, holder: str, epoch: int, entries: Sequence[Entry]) -> None:
        sent = [entry for entry in entries if entry.state == "sent"]
        if sent:
            values = {"holder": holder, "epoch": epoch, "entries": _entries_text(sent)}
            self.batch = self._number("add_sent", values)
        ended = [entry for entry in entries if entry.state != "sent"]
        if ended:
            self._count(ended if self._end_all(holder, epoch, ended) else self._end_each(holder, epoch, ended))

    def _end_all(self, holder: str, epoch: int, ended: Sequence[Entry]) -> bool:
        """End attempts together, if none of them had ended before and none is told of twice (PostgreSQL refuses to meet
        a record twice in one statement).
        """
        if len({entry.attempt for entry in ended}) < len(ended):
            return False
        self._execute("SAVEPOINT ended")
        changed = sum(self._end(holder, epoch, some) for some in _portions(ended))
        if changed != len(ended):
            self._execute("ROLLBACK TO ended")
        self._execute("RELEASE ended")
        return changed == len(ended)

    def _end_each(self, holder: str, epoch: int, ended: Sequence[Entry]) -> list[Entry]:
        """End attempts one by one: only so the count of changed records tells which of them had not ended before."""
        return [entry for entry in ended if self._end(holder, epoch, (entry,))]

    def _end(self, holder: str, epoch: int, ended: Sequence[Entry]) -> int:
        values: list[object] = []
        for entry in ended:
            values += entry[:8]
            values += (orjson.dumps(entry.holds).decode(), entry.body.decode(), holder, epoch)
        return self._execute(repeated(Q["end_entries"], len(ended)), values).rowcount

    def over(self, batches: Sequence[int], shrunk: Sequence[str]) -> None:
        """All attempts of these batches have ended, and so have these that had shrunk."""
        for batch in batches:
            self._execute(Q["end_sent"], {"holder": self._holder, "epoch": self._epoch, "batch": batch})
        for attempt in shrunk:
            self._execute(Q["end_shrunk"], {"attempt": attempt})

    def unsettled(self, holder: str) -> Sequence[Entry]:
        before = [entry_of(row) for row in self._execute(Q["unsettled_before"], {"holder": holder})]
        sent = [entry for row in self._execute(Q["sent_by"], {"holder": holder}) for entry in entries_of(row[0])]
        shrunk = {row[0]: _holds(row[1]) for row in self._execute(Q["shrunk"], {"holder": holder})}
        open_ = {entry.attempt: entry for entry in sent if self.entry(entry.attempt) is None}
        return [*before, *(e._replace(holds=shrunk.get(e.attempt, e.holds)) for e in open_.values())]

    def entry(self, attempt: str) -> Entry | None:
        found = self._execute(Q["entry"], {"attempt": attempt}).fetchone()
        return None if found is None else entry_of(found)

    def resize(self, attempt: str, holds: Holds) -> None:
        values = {"attempt": attempt, "holder": self._holder, "epoch": self._epoch}
        self._execute(Q["resize_entry"], {**values, "holds": orjson.dumps(holds).decode()})

    def correct(self, entry: Entry) -> None:
        before = self.entry(entry.attempt)
        assert before is not None, "only an attempt on record is corrected"
        if self._execute(Q["correct_entry"], _end_values(entry)).rowcount:
            self._total(before, calls=-1, cost=-before.cost)
            self._total(entry, calls=1, cost=entry.cost)

    def cross(self, crossing: Crossing) -> bool:
        return self._execute(Q["cross"], _crossing_values(crossing)).rowcount == 1

    def told(self, crossings: Sequence[Crossing]) -> None:
        self._execute_many(Q["told"], [_crossing_values(crossing) for crossing in crossings])

    def untold(self) -> Sequence[Crossing]:
        return [
            Crossing(budget=r[0], part=r[1], window=r[2], level=r[3], spent=r[4], limit=r[5], at_ms=r[6])
            for r in self._execute(Q["untold"])
        ]

    def booked(self, call_id: str, service: str, model: str, day: date) -> tuple[int, int, Mapping[str, int]]:
        # The sums outlive the journal: what was booked is not forgotten with its record.
        found = self._execute(Q["booked"], {"day": day.isoformat(), "service": service, "model": model}).fetchone()
        usage: Counter[str] = Counter()
        for (body,) in self._execute(Q["bodies"], {"first": f"{call_id}/", "after": f"{call_id}0"}):
            usage.update(orjson.loads(body).get("usage", {}))
        return (0, 0, usage) if found is None else (int(found[0]), int(found[1]), usage)

    def slots(self, row_id: int) -> Mapping[int, int]:
        return dict(self._execute(Q["slots"], {"row_id": row_id}).fetchall())

    def set_slot(self, row_id: int, slot_ms: int, units: int) -> None:
        values = {"row_id": row_id, "slot_ms": slot_ms, "units": units}
        self._execute(Q["set_slot"] if units else Q["end_slot"], values)

    def _count(self, entries: Sequence[Entry]) -> None:
        groups: dict[tuple[int, str, str, str], list[Entry]] = {}
        for entry in entries:
            groups.setdefault((entry.at_ms // DAY_MS, entry.service, entry.model, entry.state), []).append(entry)
        for same in groups.values():
            self._total(same[0], calls=len(same), cost=sum(entry.cost for entry in same))

    def _total(self, entry: Entry, *, calls: int, cost: int) -> None:
        day = (EPOCH + timedelta(milliseconds=entry.at_ms)).date().isoformat()
        what = {"day": day, "service": entry.service, "model": entry.model, "state": entry.state}
        self._execute(Q["add_total"], {**what, "calls": calls, "cost": cost})

    def _number(self, query: str, values: Mapping[str, object]) -> int:
        found = self._execute(Q[query], values).fetchone()
        return 0 if found is None else int(found[0])


def _changing(row: Row) -> tuple[int | str, ...]:
    """What may change of a row, as `put_rows` takes it."""
    levels = _levels_text(row.levels)
    return row.id, row.limit, levels, row.settled, row.leased, row.overrun, row.refused, row.crossed, row.recall_ms


def _row(r: tuple[Any, ...]) -> Row:
    return Row(
        id=r[0],
        key=r[1],
        budget=r[2],
        part=r[3],
        share=r[4],
        unit=r[5],
        kind=r[6],
        window=r[7],
        starts_ms=r[8],
        ends_ms=r[9],
        span_ms=r[10],
        limit=r[11],
        levels=_levels(r[12]),
        journalled=bool(r[13]),
        settled=r[14],
        leased=r[15],
        overrun=r[16],
        refused=r[17],
        crossed=r[18],
        recall_ms=r[19],
    )


@lru_cache(LEVELS_REMEMBERED)
def _levels(text: str) -> tuple[tuple[Level, int], ...]:
    return tuple((level, amount) for level, amount in orjson.loads(text))


@lru_cache(LEVELS_REMEMBERED)
def _levels_text(levels: tuple[tuple[Level, int], ...]) -> str:
    return orjson.dumps(levels).decode()


def _row_values(row: Row) -> dict[str, object]:
    return {
        "id": row.id,
        "line": row.key,
        "budget": row.budget,
        "part": row.part,
        "share": row.share,
        "unit": row.unit,
        "kind": row.kind,
        "window_key": row.window,
        "starts_ms": row.starts_ms,
        "ends_ms": row.ends_ms,
        "span_ms": row.span_ms,
        "journalled": int(row.journalled),
        "lim": row.limit,
        "levels": _levels_text(row.levels),
        "settled": row.settled,
        "leased": row.leased,
        "overrun": row.overrun,
        "refused": row.refused,
        "crossed": row.crossed,
        "recall_ms": row.recall_ms,
    }


def entry_of(r: tuple[Any, ...]) -> Entry:
    """An attempt as the journal has it, in the order of its columns."""
    return Entry(r[0], r[3], r[4], r[5], r[6], r[7], r[8], r[9], _holds(r[10]), r[11].encode())


def _holds(text: str) -> Holds:
    return tuple((tuple(rows), units) for rows, units in orjson.loads(text))


def _entries_text(sent: Sequence[Entry]) -> str:
    """What is about to be sent as one text: everything that the journal needs, should nobody say how it ended."""
    return orjson.dumps([(*entry[:9], orjson.Fragment(entry.body)) for entry in sent]).decode()


def entries_of(text: str) -> list[Entry]:
    """The attempts that were sent together, as `_entries_text` wrote them."""
    return [
        Entry._make([*sent[:8], tuple((tuple(rows), units) for rows, units in sent[8]), orjson.dumps(sent[9])])
        for sent in orjson.loads(text)
    ]


def _end_values(entry: Entry) -> dict[str, object]:
    return {
        "attempt": entry.attempt,
        "state": entry.state,
        "ended_ms": entry.ended_ms,
        "cost": entry.cost,
        "body": entry.body.decode(),
    }


def _portions(entries: Sequence[T]) -> Iterator[Sequence[T]]:
    """The entries in portions of 64, 32, 16 and so on, so that only a few different statements are ever prepared."""
    start, size = 0, PORTION_MAX
    while start < len(entries):
        while size > len(entries) - start:
            size //= 2
        yield entries[start : start + size]
        start += size


def _crossing_values(crossing: Crossing) -> dict[str, object]:
    return {
        "budget": crossing.budget,
        "part": crossing.part,
        "window_key": crossing.window,
        "level": crossing.level,
        "spent": crossing.spent,
        "lim": crossing.limit,
        "at_ms": crossing.at_ms,
    }
