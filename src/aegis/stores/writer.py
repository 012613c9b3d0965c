"""The one thread that writes: everything that waits goes into one transaction, so many writers share one flush.

Policy: each work fails alone, since each has a savepoint where several share a transaction; nobody is answered before the commit is on disk; after an
error of the disk the handle is closed and opened anew, never asked again. A work that was handed over is done whether
or not its caller still waits: cancelling a waiter neither loses nor halves it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from aegis.core.errors import StoreError
from aegis.stores.faults import breaks_handle, store_error
from aegis.stores.filewatch import FileWatch

BATCH_MAX = 1_024
"""Works in one transaction: bounds how long the first of them waits for the last, and what one bad commit can fail."""

Work: TypeAlias = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A work and who waits for it."""

    work: Work
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a work ended: its result, or the error to raise where it is waited for."""

    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class Writer:
    """The thread and its connection. `deliver` is called on the loop, once a batch."""

    def __init__(
        self,
        path: str,
        *,
        connect: Callable[[], sqlite3.Connection],
        quiet_readers: Callable[[], AbstractContextManager[None]],
        deliver: Callable[[Sequence[Ended]], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._path, self._connect, self._quiet_readers = path, connect, quiet_readers
        self._deliver, self._loop = deliver, loop
        self._connection: sqlite3.Connection | None = None
        self._watch = FileWatch(path)
        self._handed: SimpleQueue[Sequence[Waiting] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="aegis-store-writer", daemon=True)

    def start(self, connection: sqlite3.Connection) -> None:
        """Take over a connection whose schema is up to date."""
        self._connection = connection
        self._watch.remember()
        self._thread.start()

    def hand_over(self, works: Sequence[Waiting]) -> None:
        """Works that were asked for in one turn of the loop go together: one by one, the thread would begin with the first."""
        for first in range(0, len(works), BATCH_MAX):
            self._handed.put(works[first : first + BATCH_MAX])

    def stop(self) -> None:
        """Write what was handed over, close the connection, end the thread. Blocks; call it off the loop."""
        self._handed.put(None)
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._take()
            if batch:
                ended = self._write(batch)
                try:
                    self._loop.call_soon_threadsafe(self._deliver, ended)
                except RuntimeError:  # the loop is gone, and with it everybody who could have waited
                    last = True
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> tuple[list[Waiting], bool]:
        """Everything that waits now, at most `BATCH_MAX` and what comes with the last of it; blocks for the first."""
        first = self._handed.get()
        if first is None:
            return [], True
        batch = list(first)
        while len(batch) < BATCH_MAX:
            try:
                following = self._handed.get_nowait()
            except Empty:
                break
            if following is None:
                return batch, True
            batch += following
        return batch, False

    def _write(self, batch: Sequence[Waiting]) -> Sequence[Ended]:
        """One transaction over the batch. When it fails as a whole, every work in it failed."""
        try:
            return self._transaction(batch)
        except sqlite3.Error as error:
            self._abandon(error)
            failed = store_error(error, self._path)
        except StoreError as error:
            failed = error
        return [Ended(waiting.future, error=failed) for waiting in batch]

    def _transaction(self, batch: Sequence[Waiting]) -> Sequence[Ended]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect()
            self._watch.remember()
        connection.execute("BEGIN IMMEDIATE")
        if len(batch) == 1:
            ended = [self._alone(connection, batch[0])]
        else:
            ended = [self._work(connection, waiting) for waiting in batch]
        if connection.in_transaction:  # a work alone that failed has undone it
            connection.execute("COMMIT")
        if self._watch.changed():
            self._rescue(connection)
        return ended

    def _alone(self, connection: sqlite3.Connection, waiting: Waiting) -> Ended:
        """The only work of a transaction, which is undone with it: a savepoint would be two statements more, and at each
        the loop's thread takes the interpreter. Raises `sqlite3.Error` when the handle cannot be trusted any more.
        """
        try:
            result = waiting.work(connection)
            _refuse_ended(connection)
        except sqlite3.Error as error:
            if breaks_handle(error) or not connection.in_transaction:
                raise
            connection.execute("ROLLBACK")
            return Ended(waiting.future, error=store_error(error, self._path))
        except Exception as error:  # noqa: BLE001 - the supervisor: whatever a work raises belongs to its caller
            connection.execute("ROLLBACK")
            return Ended(waiting.future, error=error)
        return Ended(waiting.future, result)

    def _work(self, connection: sqlite3.Connection, waiting: Waiting) -> Ended:
        """One work in its savepoint. Raises `sqlite3.Error` when the whole transaction is gone."""
        connection.execute("SAVEPOINT work")
        try:
            result = waiting.work(connection)
            connection.execute("RELEASE work")
        except sqlite3.Error as error:
            if breaks_handle(error) or not connection.in_transaction:
                raise
            _undo(connection)
            return Ended(waiting.future, error=store_error(error, self._path))
        except Exception as error:  # noqa: BLE001 - the supervisor: whatever a work raises belongs to its caller
            _undo(connection)
            return Ended(waiting.future, error=error)
        return Ended(waiting.future, result)

    def _abandon(self, error: sqlite3.Error) -> None:
        """Give up the transaction, and the handle too where it cannot be trusted any more."""
        connection = self._connection
        if connection is None:
            return
        if not breaks_handle(error):
            with _ignored():
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                return
        self._connection = None
        with _ignored():
            connection.close()

    def _rescue(self, connection: sqlite3.Connection) -> None:
        """Somebody removed the write-ahead log of the running store: this handle still sees it. Copy it into the main
        file, flushed, before anybody is answered; then open everything anew.
        """
        self._watch.check_main_file()
        busy, _pages, _copied = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"The store {self._path}: its log was removed while a reader was busy; restart Aegis")
        with self._quiet_readers():
            self._connection = None
            connection.close()
            self._connection = self._connect()
            self._watch.remember()


def _refuse_ended(connection: sqlite3.Connection) -> None:
    """A work must not end the transaction that it is part of; a savepoint's end would say so by itself."""
    if not connection.in_transaction:
        raise sqlite3.OperationalError("the work ended its transaction")


def _undo(connection: sqlite3.Connection) -> None:
    connection.execute("ROLLBACK TO work")
    connection.execute("RELEASE work")


@contextmanager
def _ignored() -> Iterator[None]:
    """For the last rites of a handle: a second error would only hide the first."""
    try:
        yield
    except sqlite3.Error:
        return
