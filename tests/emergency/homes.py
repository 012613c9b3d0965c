"""A state folder with a real store in it, spending on it, and keys for backups."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aegis.core import escrow
from aegis.core.budgets import Amounts, Budget, BudgetBook
from aegis.core.ledger import Synced
from aegis.core.windows import WindowPolicy
from aegis.emergency import lineage
from aegis.emergency.backup import Sealed, What, make
from aegis.emergency.keeping import Restoring
from aegis.emergency.restore import Restored, restore
from aegis.emergency.sealing import KeyOf, Lock
from aegis.stores.database import Database
from aegis.stores.schema import transaction
from aegis.stores.shelf import SqliteShelf

NANOS_PER_USD = 1_000_000_000
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BUDGET = Budget(
    name="everything",
    unit="usd",
    scope={},
    windows=(
        Amounts(window=WindowPolicy(kind="day"), emergency=10 * NANOS_PER_USD),
        Amounts(window=WindowPolicy(kind="rolling"), emergency=20 * NANOS_PER_USD),
    ),
)
BOOK = BudgetBook([BUDGET])
DAY, ROLLING = BOOK.part(BUDGET, "")


def key_of(_lock: Lock) -> bytes:
    return b"k" * 32


def another_key(_lock: Lock) -> bytes:
    return b"x" * 32


async def new_home(folder: Path, store_id: str = "sto_1") -> Path:
    """A state folder: a store with an id, a secret file and a log."""
    folder.mkdir(parents=True)
    database = await Database.open(folder / "aegis.db")
    await database.write(lambda connection: lineage.begun(connection, store_id))
    await database.close()
    (folder / "secrets.json").write_text("sealed")
    (folder / "aegis.log").write_text("line\n" * 10)
    return folder


def spend(home: Path, usd: int, *, at: datetime = NOON) -> None:
    """So much was paid, in both windows."""
    with closing(sqlite3.connect(home / "aegis.db", isolation_level=None)) as connection, transaction(connection):
        shelf, now_ms = SqliteShelf(connection), int(at.timestamp() * 1_000)
        for line in (DAY, ROLLING):
            row = escrow.open_row(shelf, line, now_ms, Synced())
            escrow._settle(shelf, row, usd * NANOS_PER_USD, now_ms)
            shelf.put(row)


def spent(home: Path, *, at: datetime = NOON) -> tuple[int, int]:
    """Whole dollars that count in the day and in the rolling window."""
    with closing(sqlite3.connect(home / "aegis.db")) as connection:
        shelf, now_ms = SqliteShelf(connection), int(at.timestamp() * 1_000)
        day, rolling = (escrow.peek(shelf, line, now_ms).settled // NANOS_PER_USD for line in (DAY, ROLLING))
        return day, rolling


def backed_up(home: Path, *, at: datetime = NOON, key: KeyOf = key_of) -> Path:
    what = What(home=home, store=home / "aegis.db")
    made, _ = make(what, home.parent / "disk", Sealed(source="key_file", key_of=key), now=at, aegis="1.0")
    return made


def restored(
    file: Path, home: Path, *, at: datetime = NOON + timedelta(hours=1), key: KeyOf = key_of, filled: bool = True
) -> Restored:
    restoring = Restoring(who="ann", backup=file.name, now=at, new_id=f"sto_{at:%d%H%M}", book=BOOK, filled=filled)
    home.mkdir(exist_ok=True)
    return restore(file, key, home=home, store=home / "aegis.db", restoring=restoring, audit_file=home / "audit.jsonl")
