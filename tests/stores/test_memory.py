"""What a store has in memory, however much was written and however long it runs."""

from __future__ import annotations

import sqlite3
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from aegis.stores.database import Database
from aegis.stores.readers import READERS
from aegis.stores.shelf import EPOCH
from aegis.stores.spend_hours import SpendHours

pytestmark = pytest.mark.anyio

ATTEMPTS = 4_000
PAGES_KIB_MAX = 5 * 1_024
"""Of the 100 MB of a process: they fill up, whatever is written, and stay."""
PEAK_BYTES_MAX = 256 * 1_024
"""A few rows, their sums and what was compiled; all rows of the page at once are ten times this."""
BODY = '{"operation": "ask", "scope": {"key": "bot"}, "usage": {"requests": 1}, "padding": "' + "x" * 400 + '"}'


async def test_the_pages_that_all_connections_keep_are_bounded(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "a.db")

    def kept_kib(connection: sqlite3.Connection) -> int:
        """SQLite says a bound in KiB as a negative number, one in pages as a positive one."""
        (size,) = connection.execute("PRAGMA cache_size").fetchone()
        return -int(size) if size < 0 else int(size) * 4

    writer, reader = await database.write(kept_kib), await database.read(kept_kib)
    await database.close()
    assert 0 < writer + READERS * reader <= PAGES_KIB_MAX


async def test_the_journal_is_read_without_being_held(tmp_path: Path) -> None:
    """What is asked for once and given back stays with the process all the same: its memory is cut into other pieces."""
    database = await Database.open(tmp_path / "a.db")
    await database.write(
        lambda c: c.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO ledger_journal SELECT 'call_' || i, 'h', 1, 'settled', 'openai', 'm', i, i, 0, 1, '[]', ? FROM n",
            (ATTEMPTS, BODY),
        )
    )
    hours = SpendHours(database)
    tracemalloc.start()
    try:
        assert await hours.catch_up(EPOCH + timedelta(days=30))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert await hours.by_hour(EPOCH, {}) == {(): {0: ATTEMPTS}}
    await database.close()
    assert peak < PEAK_BYTES_MAX
