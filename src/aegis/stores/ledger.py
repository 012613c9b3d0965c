"""The allowance ledger in SQLite or PostgreSQL: the rules of `core.escrow`, each in one transaction over `stores.shelf`.

The store's clock is the one given, guarded, so that no leap of it opens a window early.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, TypeVar

import orjson

from aegis.core import adjusting, escrow
from aegis.core.adjusting import Adjusted, Adjustment
from aegis.core.budgets import Line
from aegis.core.ledger import Crossing, Entry, Joined, Row, Switch, Sync, Synced, Total
from aegis.core.ports import Clock
from aegis.core.windows import ClockGuard
from aegis.stores.places import Transactions
from aegis.stores.queries import read_queries
from aegis.stores.shelf import EPOCH, Q, SqliteShelf, entries_of, entry_of

T = TypeVar("T")
STOPS: Final = read_queries("stops")
DETAILS: Final = ("grade", "percent", "expires_ms", "pool", "cancel", "by", "stop")
"""What a switch says besides its scope, as the fields of `Switch` are called."""
TURNS_MAX: Final = 10_000
"""Turns of switches that are kept: people and budgets turn them, not calls."""


@dataclass(slots=True)
class _Batch:
    """Attempts that were sent together: how many have not ended, and which of them hold less than when they were sent."""

    number: int
    left: int
    shrunk: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Underway:
    """What a holder has under way, so that the record of a batch goes when the last of it ended. Only a saving: what is
    forgotten here stays on record until the holder's epoch is over.
    """

    epoch: int
    batches: dict[str, _Batch] = field(default_factory=dict)

    def ending(self, request: Sync) -> tuple[list[int], list[str]]:
        """The batches that have ended with this report, and those of their attempts that had shrunk."""
        over: list[_Batch] = []
        for attempt in request.shrunk:
            if (batch := self.batches.get(attempt)) is not None:
                batch.shrunk.append(attempt)
        for entry in request.ended:
            if (batch := self.batches.pop(entry.attempt, None)) is not None:
                batch.left -= 1
                if not batch.left:
                    over.append(batch)
        return [batch.number for batch in over], [attempt for batch in over for attempt in batch.shrunk]

    def sent(self, entries: Sequence[Entry], number: int) -> None:
        """These were sent together."""
        batch = _Batch(number, len(entries))
        self.batches.update(dict.fromkeys([entry.attempt for entry in entries], batch))


class SqliteLedger:
    """`core.ports.Ledger` over a store whose works that write run one after the other. Raises `StoreError` and `Fenced`, nothing else."""

    def __init__(self, database: Transactions, clock: Clock, *, turns_max: int = TURNS_MAX) -> None:
        self._database, self._clock, self._turns_max = database, clock, turns_max
        self._guard = ClockGuard()
        self._underway: dict[str, _Underway] = {}

    async def join(self, holder: str) -> Joined:
        return await self._write(
            lambda shelf, now: Joined(epoch=escrow.join(shelf, holder, now), untold=shelf.untold())
        )

    async def sync(self, request: Sync) -> Synced:
        holder, epoch, now = request.holder, request.epoch, self._now()
        # Taken out until this report is known to be applied: who cannot say what is under way forgets it.
        underway = self._underway.pop(holder, None)
        if underway is None or underway.epoch != epoch:
            underway = _Underway(epoch)
        batches, shrunk = underway.ending(request)

        def work(connection: sqlite3.Connection) -> tuple[Synced, int]:
            shelf = SqliteShelf(connection, holder, epoch)
            shelf.fetch([report.row for report in request.spent])
            answer = escrow.sync(shelf, request, now)
            shelf.put_fetched()
            shelf.over(batches, shrunk)
            return answer, shelf.batch

        answer, batch = await self._database.write(work)
        underway.sent(request.sent, batch)
        self._underway[holder] = underway
        return answer

    async def leave(self, holder: str, epoch: int) -> None:
        await self._write(lambda shelf, now: escrow.leave(shelf, holder, epoch, now))

    async def sweep(self) -> Sequence[str]:
        before = self._now() - escrow.GRACE_MS
        if not await self._database.read(lambda connection: SqliteShelf(connection).lapsed(before)):
            return []  # the usual case costs no write
        return await self._write(escrow.sweep)

    async def adjust(self, adjustment: Adjustment) -> Adjusted:
        return await self._write(lambda shelf, now: adjusting.adjust(shelf, adjustment, now))

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
        ended = await self._read("attempts", {"first": f"{call_id}/", "after": f"{call_id}0"}, entry_of)
        found = {entry.attempt: entry for entry in [*await self._sent(call_id), *ended] if entry.call_id == call_id}
        return sorted(found.values(), key=lambda entry: (entry.at_ms, entry.attempt))

    async def _sent(self, call_id: str) -> Sequence[Entry]:
        """Attempts that are on record as sent together with one of this call; some may have ended since."""
        begins = orjson.dumps(f"{call_id}/").decode()[:-1]
        texts = await self._read("sent_at_all", {}, lambda row: str(row[0]))
        return [entry for text in texts if begins in text for entry in entries_of(text)]

    async def totals(self, since: date) -> Sequence[Total]:
        def total(row: tuple[Any, ...]) -> Total:
            return Total(service=row[0], model=row[1], state=row[2], calls=int(row[3]), cost=int(row[4]))

        return await self._read("totals", {"since": since.isoformat()}, total)

    async def switches(self) -> Sequence[Switch]:
        return await self._read("switches", {}, _switch)

    async def turns(self, limit: int) -> Sequence[Switch]:
        """The newest turns of all switches, newest first."""
        return await self._read("turns", {"limit": limit}, _switch)

    async def turn(self, switch: Switch) -> None:
        values = {
            "scope": orjson.dumps(dict(switch.scope), option=orjson.OPT_SORT_KEYS).decode(),
            "stopped": int(switch.stopped),
            "reason": switch.reason,
            "at_ms": switch.at_ms,
            "details": orjson.dumps({name: getattr(switch, name) for name in DETAILS}).decode(),
        }

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(Q["turn"], values)
            connection.execute(Q["turned"], values)
            connection.execute(Q["forget_turns"], {"most": self._turns_max})

        await self._database.write(work)

    async def revoke(self, scope: Mapping[str, str]) -> Sequence[str]:
        """Take back what every holder was lent; returns who they were. For everything they are fenced and join again by
        themselves; what they have under way counts at its worst case until they say what it came to. For a narrower scope
        they are asked to give back what no call holds.
        """
        if not scope:
            return await self._write(escrow.revoke)

        def work(connection: sqlite3.Connection) -> list[str]:
            connection.execute(STOPS["recall_all"], {"until_ms": now + escrow.RECALL_MS})
            return [str(row[0]) for row in connection.execute(STOPS["who_is_lent"])]

        now = self._now()
        return await self._database.write(work)

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


def _switch(row: tuple[Any, ...]) -> Switch:
    scope, stopped, reason, at_ms, details = row
    return Switch(scope=orjson.loads(scope), stopped=bool(stopped), reason=reason, at_ms=at_ms, **orjson.loads(details))
