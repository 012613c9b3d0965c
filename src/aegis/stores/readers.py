"""The connections that only read: a few threads, each with a handle of its own, beside the writer."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import TypeVar

from aegis.stores.faults import breaks_handle, store_error

T = TypeVar("T")

READERS = 2
"""One slow report must not stop the dashboard; more would only fight for the interpreter."""


class _Slot:
    """A handle and the lock that says who uses it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Readers:
    """Runs reading works on threads. Each work sees one unchanging snapshot."""

    def __init__(self, path: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self._path, self._connect = path, connect
        self._slots = [_Slot() for _ in range(READERS)]
        self._free: SimpleQueue[_Slot] = SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="aegis-store-reader")

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work`. Raises `StoreError` for what the database says, else what `work` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        slot = self._free.get()
        try:
            with slot.lock:
                return self._in_snapshot(slot, work)
        except sqlite3.Error as error:
            raise store_error(error, self._path) from error
        finally:
            self._free.put(slot)

    def _in_snapshot(self, slot: _Slot, work: Callable[[sqlite3.Connection], T]) -> T:
        if slot.connection is None:
            slot.connection = self._connect()
        connection = slot.connection
        try:
            connection.execute("BEGIN")
            return work(connection)
        except sqlite3.Error as error:
            if breaks_handle(error):
                slot.close()
            raise
        finally:
            if slot.connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Wait for the works that run, close every handle, and let nobody read until the block ends."""
        with ExitStack() as held:
            for slot in self._slots:
                held.enter_context(slot.lock)
                slot.close()
            yield

    def close(self) -> None:
        """End the threads and close the handles. Blocks; call it off the loop."""
        self._threads.shutdown()
        for slot in self._slots:
            slot.close()
