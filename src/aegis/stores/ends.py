"""Deliveries that services took, recorded together: who ends while a record is being written goes with the next one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import itemgetter

from aegis.core.errors import StoreError
from aegis.stores.database import Database
from aegis.stores.queries import in_lists, in_parts, listed, repeated


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that a service took, when, and its handle as columns of a row."""

    delivery_id: str
    note: str
    now_us: int
    remote: tuple[str, str, str, int, int] | None


class Ends:
    """Records what services took; returns when it is durable."""

    def __init__(self, database: Database, queries: Mapping[str, str]) -> None:
        self._database, self._queries = database, queries
        self._waiting: list[tuple[Taken, asyncio.Future[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing = 0

    async def record(self, taken: Taken) -> None:
        """Record that a delivery was taken, with others that end meanwhile. Raises `StoreError`. Cancelling the caller
        does not undo it.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((taken, written))
        if not self._writing:
            self._begin()
        try:
            await written
        except asyncio.CancelledError:
            if self._waiting:
                self._begin()  # the store may be closed soon: nothing waits for a turn any more
            raise

    def _begin(self) -> None:
        self._writing += 1
        task = asyncio.get_running_loop().create_task(self._write())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self) -> None:
        try:
            await self._write_all()
        finally:
            self._writing -= 1  # in the same turn as nothing was found waiting: whoever comes next begins again

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error: StoreError | None = StoreError("The store did not record what services took")
            try:
                await self._database.write(partial(self._put, [one for one, _ in batch]))
                error = None
            except StoreError as failed:
                error = failed
            finally:
                for _, written in batch:
                    _answer(written, error)

    def _put(self, batch: Sequence[Taken], connection: sqlite3.Connection) -> None:
        """Equal notes share a statement, and the newest moment is that of all. Of two handles for one incident the newer
        one counts.
        """
        now_us = max(one.now_us for one in batch)
        alike: dict[str, list[str]] = defaultdict(list)
        for one in batch:
            alike[one.note].append(one.delivery_id)
        for note, ids in alike.items():
            for part in in_lists(ids):
                connection.execute(listed(self._queries["done"], len(part)), (now_us, note, *part))
        remotes: dict[tuple[str, str], tuple[str, str, str, int, int]] = {}
        for remote in sorted((one.remote for one in batch if one.remote), key=itemgetter(3)):
            remotes[remote[:2]] = remote
        for rows in in_parts(list(remotes.values())):
            connection.execute(repeated(self._queries["remember_remote"], len(rows)), tuple(chain.from_iterable(rows)))


def _answer(written: asyncio.Future[None], error: StoreError | None) -> None:
    if written.done():  # its waiter was cancelled
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
