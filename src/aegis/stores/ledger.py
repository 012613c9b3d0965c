"""The allowance ledger in SQLite: the shelf that `core.escrow` works on, one transaction at a time.

The rules are not here: this file only reads and writes records. The store's clock is the one given, guarded, so that
no leap of it opens a window early.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import orjson

from aegis.core import escrow
from aegis.core.budgets import Line
from aegis.core.ledger import Crossing, Entry, Holds, Joined, Row, Switch, Sync, Synced, Total
from aegis.core.ports import Clock
from aegis.core.windows import ClockGuard
from aegis.stores.database import Database
from aegis.stores.queries import read_queries

Q = read_queries("ledger")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 24 * 3_600_000
T = TypeVar("T")


class SqliteLedger:
    """`core.ports.Ledger` over the store's one writer. Raises `StoreError` and `Fenced`, nothing else."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._guard = ClockGuard()

    async def join(self, holder: str) -> Joined:
        return await self._write(
            lambda shelf, now: Joined(epoch=escrow.join(shelf, holder, now), untold=shelf.untold())
        )

    async def sync(self, request: Sync) -> Synced:
        return await self._write(lambda shelf, now: escrow.sync(shelf, request, now))

    async def leave(self, holder: str, epoch: int) -> None:
        await self._write(lambda shelf, now: escrow.leave(shelf, holder, epoch, now))

    async def sweep(self) -> Sequence[str]:
        before = self._now() - escrow.GRACE_MS
        if not await self._database.read(lambda connection: SqliteShelf(connection).lapsed(before)):
            return []  # the usual case costs no write
        return await self._write(escrow.sweep)

    async def told(self, crossings: Sequence[Crossing]) -> None:
        await self._write(lambda shelf, _: shelf.told(crossings))

    async def rows(self, lines: Sequence[Line]) -> Sequence[Row]:
        now = self._now()

        def work(connection: sqlite3.Connection) -> list[Row]:
            shelf = SqliteShelf(connection)
            return [escrow.peek(shelf, line, now) for line in lines]

        return await self._database.read(work)

    async def numbered(self, rows: Sequence[int]) -> Sequence[Row]:
        return await self._database.read(lambda connection: [SqliteShelf(connection).row(row) for row in rows])

    async def parts(self, budget: str) -> Sequence[str]:
        return await self._read("parts", {"budget": budget}, lambda row: str(row[0]))

    async def attempts(self, call_id: str) -> Sequence[Entry]:
        # "0" is the character after "/": everything that begins with the call's id and a slash.
        found = await self._read("attempts", {"first": f"{call_id}/", "after": f"{call_id}0"}, _entry)
        return [entry for entry in found if entry.call_id == call_id]

    async def totals(self, since: date) -> Sequence[Total]:
        def total(row: tuple[Any, ...]) -> Total:
            return Total(service=row[0], model=row[1], state=row[2], calls=int(row[3]), cost=int(row[4]))

        return await self._read("totals", {"since": since.isoformat()}, total)

    async def switches(self) -> Sequence[Switch]:
        def switch(row: tuple[Any, ...]) -> Switch:
            return Switch(scope=orjson.loads(row[0]), stopped=bool(row[1]), reason=row[2], at_ms=row[3])

        return await self._read("switches", {}, switch)

    async def turn(self, switch: Switch) -> None:
        values = {
            "scope": orjson.dumps(dict(switch.scope), option=orjson.OPT_SORT_KEYS).decode(),
            "stopped": int(switch.stopped),
            "reason": switch.reason,
            "at_ms": switch.at_ms,
        }
        await self._database.write(lambda connection: connection.execute(Q["turn"], values))

    def _now(self) -> int:
        wall = (self._clock.now() - EPOCH) // timedelta(milliseconds=1)
        return self._guard.reading(wall, self._clock.monotonic_ns() // 1_000_000)

    async def _write(self, work: Callable[[SqliteShelf, int], T]) -> T:
        now = self._now()
        return await self._database.write(lambda connection: work(SqliteShelf(connection), now))

    async def _read(
        self, query: str, values: Mapping[str, object], make: Callable[[tuple[Any, ...]], T]
    ) -> Sequence[T]:
        return await self._database.read(lambda connection: [make(r) for r in connection.execute(Q[query], values)])


class SqliteShelf:
    """`core.ledger.Shelf` over one open transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._execute_many = connection.executemany

    def epoch(self, holder: str) -> int:
        return self._number("epoch", {"holder": holder})

    def set_holder(self, holder: str, epoch: int, expires_ms: int) -> None:
        self._execute(Q["set_holder"], {"holder": holder, "epoch": epoch, "expires_ms": expires_ms})

    def lapsed(self, before_ms: int) -> Sequence[str]:
        return [str(row[0]) for row in self._execute(Q["lapsed"], {"before_ms": before_ms})]

    def row(self, row_id: int) -> Row:
        found = self._execute(Q["row"], {"id": row_id}).fetchone()
        assert found is not None, f"the ledger has no row {row_id}"
        return _row(found)

    def newest(self, key: str) -> Row | None:
        found = self._execute(Q["newest"], {"line": key}).fetchone()
        return None if found is None else _row(found)

    def add(self, row: Row) -> Row:
        added = replace(row, id=self._number("next_row", {}))
        self._execute(Q["add_row"], _row_values(added))
        return added

    def put(self, row: Row) -> None:
        self._execute(Q["put_row"], _changing_values(row))

    def lease(self, holder: str, row_id: int) -> int:
        return self._number("lease", {"holder": holder, "row_id": row_id})

    def set_lease(self, holder: str, row_id: int, units: int) -> None:
        values = {"holder": holder, "row_id": row_id, "units": units}
        self._execute(Q["set_lease"] if units else Q["end_lease"], values)

    def leases(self, holder: str) -> Mapping[int, int]:
        return dict(self._execute(Q["leases"], {"holder": holder}).fetchall())

    def recalled(self, holder: str, now_ms: int) -> set[int]:
        return {row[0] for row in self._execute(Q["recalled"], {"holder": holder, "now_ms": now_ms})}

    def write(self, holder: str, epoch: int, entries: Sequence[Entry]) -> None:
        sent = [_entry_values(holder, epoch, entry) for entry in entries if entry.state == "sent"]
        if sent:
            self._execute_many(Q["add_entry"], sent)
        ended = [entry for entry in entries if entry.state != "sent"]
        if ended:
            self._count(ended if self._end_all(holder, epoch, ended) else self._end_each(holder, epoch, ended))

    def _end_all(self, holder: str, epoch: int, ended: Sequence[Entry]) -> bool:
        """End attempts together, if none of them had ended before: what has a worst case was sent, the rest is new."""
        sent = [_end_values(entry) for entry in ended if entry.worst]
        new = [_entry_values(holder, epoch, entry) for entry in ended if not entry.worst]
        self._execute("SAVEPOINT ended")
        changed = sum(
            self._execute_many(Q[query], values).rowcount
            for query, values in (("end_entry", sent), ("add_entry", new))
            if values
        )
        if changed != len(ended):
            self._execute("ROLLBACK TO ended")
        self._execute("RELEASE ended")
        return changed == len(ended)

    def _end_each(self, holder: str, epoch: int, ended: Sequence[Entry]) -> list[Entry]:
        """End attempts one by one: only so the count of changed records tells which of them had not ended before."""
        return [entry for entry in ended if self._end(holder, epoch, entry)]

    def _end(self, holder: str, epoch: int, entry: Entry) -> bool:
        return bool(
            self._execute(Q["end_entry"], _end_values(entry)).rowcount
            or self._execute(Q["add_entry"], _entry_values(holder, epoch, entry)).rowcount
        )

    def unsettled(self, holder: str) -> Sequence[Entry]:
        return [_entry(row) for row in self._execute(Q["unsettled"], {"holder": holder})]

    def entry(self, attempt: str) -> Entry | None:
        found = self._execute(Q["entry"], {"attempt": attempt}).fetchone()
        return None if found is None else _entry(found)

    def resize(self, attempt: str, holds: Holds) -> None:
        self._execute(Q["resize_entry"], {"attempt": attempt, "holds": orjson.dumps(holds).decode()})

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
        levels=tuple((level, amount) for level, amount in orjson.loads(r[12])),
        journalled=bool(r[13]),
        settled=r[14],
        leased=r[15],
        overrun=r[16],
        refused=r[17],
        crossed=r[18],
        recall_ms=r[19],
    )


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
        **_changing_values(row),
    }


def _changing_values(row: Row) -> dict[str, object]:
    return {
        "id": row.id,
        "lim": row.limit,
        "levels": orjson.dumps(row.levels).decode(),
        "settled": row.settled,
        "leased": row.leased,
        "overrun": row.overrun,
        "refused": row.refused,
        "crossed": row.crossed,
        "recall_ms": row.recall_ms,
    }


def _entry(r: tuple[Any, ...]) -> Entry:
    holds = tuple((tuple(rows), units) for rows, units in orjson.loads(r[10]))
    return Entry(r[0], r[3], r[4], r[5], r[6], r[7], r[8], r[9], holds, r[11].encode())


def _entry_values(holder: str, epoch: int, entry: Entry) -> dict[str, object]:
    return {
        "holder": holder,
        "epoch": epoch,
        "service": entry.service,
        "model": entry.model,
        "at_ms": entry.at_ms,
        "worst": entry.worst,
        "holds": orjson.dumps(entry.holds).decode(),
        **_end_values(entry),
    }


def _end_values(entry: Entry) -> dict[str, object]:
    return {
        "attempt": entry.attempt,
        "state": entry.state,
        "ended_ms": entry.ended_ms,
        "cost": entry.cost,
        "body": entry.body.decode(),
    }


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
