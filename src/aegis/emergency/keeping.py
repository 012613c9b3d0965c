"""What a restore may not take back: what providers were paid, stops that stand, keys that were revoked; and that what waits
to be sent may have been sent since.

Policy: the store that is replaced knows better than the backup what was spent. If the backup is of its own past, its
ledger is taken over as it stands; else both have spent, and windows are summed. If nobody can read it, every window that is
open now is full, because how much of it was spent is not known. Everything here works on copies that nobody else has open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from aegis.core import escrow
from aegis.core.budgets import BudgetBook
from aegis.core.ledger import Synced
from aegis.core.windows import slot_of, slots_gone_before
from aegis.emergency import lineage
from aegis.emergency.audit import append
from aegis.emergency.lineage import Ancestor
from aegis.emergency.soundness import tables_of
from aegis.stores.faults import store_error
from aegis.stores.handles import open_writer
from aegis.stores.schema import transaction
from aegis.stores.shelf import SqliteShelf
from aegis.stores.times import to_us

Kept = Literal["taken over", "summed", "filled", "as in the backup"]
"""What became of the ledger."""
TAKEN_OVER: Final = ("ledger_", "stop", "audit_", "workload")
"""How tables begin that are newer truth in a store than in a backup of its past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """Who restores what, for the record. `filled` says to fill windows when nobody knows what was spent since."""

    who: str
    backup: str
    now: datetime
    new_id: str
    book: BudgetBook
    filled: bool = True
    made_ms: int = 0
    """When the backup was made; `restore` finds it in its header."""


def keep_what_was_paid(fresh: Path, old: Path | None, restoring: Restoring, past: Sequence[Ancestor]) -> Kept:
    """Change the store from a backup so that it admits nothing that the old one would not have; `old` is a migrated copy
    of the store that is replaced, or None. Blocks. Raises `StoreError`.
    """
    now_ms = int(restoring.now.timestamp() * 1_000)
    try:
        ours = False
        if old is not None:
            ours = lineage.is_past_of(past, lineage.lineage_of(old), made_ms=restoring.made_ms)
            _revoke(old, now_ms)
        _revoke(fresh, now_ms)
        with closing(open_writer(str(fresh))) as connection:
            if old is not None:
                connection.execute("ATTACH DATABASE ? AS old", (str(old),))
            connection.execute("PRAGMA foreign_keys = OFF")
            with transaction(connection):
                kept = _keep(connection, restoring, now_ms, readable=old is not None, ours=ours)
                _doubt(connection)
                _sign(connection, restoring, kept, past)
            if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
                raise AssertionError(f"the merged ledger points at nothing in {broken[0]}")
            if old is not None:
                connection.execute("DETACH DATABASE old")
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise store_error(error, str(fresh)) from error
    return kept


def _revoke(store: Path, now_ms: int) -> None:
    """Take back everything that was lent: what was sent and never settled counts at its worst case."""
    with closing(open_writer(str(store))) as connection:
        with transaction(connection):
            escrow.revoke(SqliteShelf(connection), now_ms)
        connection.execute("PRAGMA journal_mode = DELETE")


def _keep(connection: sqlite3.Connection, restoring: Restoring, now_ms: int, *, readable: bool, ours: bool) -> Kept:
    if readable and ours:
        for table in [name for name in tables_of(connection) if name.startswith(TAKEN_OVER)]:
            connection.execute(f"DELETE FROM main.{table}")  # noqa: S608 - our own table
            columns = _columns(connection, table)
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM old.{table}")  # noqa: S608
        _keep_revocations(connection)
        return "taken over"
    if readable:
        _sum_rows(connection)
        _join_records(connection)
        _keep_revocations(connection)
        return "summed"
    if not restoring.filled:
        return "as in the backup"
    _fill(connection, restoring.book, now_ms)
    return "filled"


def _columns(connection: sqlite3.Connection, table: str) -> str:
    return ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))


def _keep_revocations(connection: sqlite3.Connection) -> None:
    """A key that was revoked or is held since stays so; who was disabled does too."""
    connection.execute(
        "UPDATE virtual_keys SET revoked_us = (SELECT o.revoked_us FROM old.virtual_keys o WHERE o.key_id = "
        "virtual_keys.key_id), held = (SELECT o.held FROM old.virtual_keys o WHERE o.key_id = virtual_keys.key_id) "
        "WHERE key_id IN (SELECT key_id FROM old.virtual_keys WHERE revoked_us IS NOT NULL OR held <> '')"
    )
    connection.execute(
        "UPDATE api_tokens SET revoked_us = (SELECT o.revoked_us FROM old.api_tokens o WHERE o.id = api_tokens.id) "
        "WHERE id IN (SELECT id FROM old.api_tokens WHERE revoked_us IS NOT NULL)"
    )
    connection.execute(
        "UPDATE accounts SET disabled_us = (SELECT o.disabled_us FROM old.accounts o WHERE o.name = accounts.name) "
        "WHERE name IN (SELECT name FROM old.accounts WHERE disabled_us IS NOT NULL)"
    )


def _sum_rows(connection: sqlite3.Connection) -> None:
    """Two stores that went their own ways: what both settled in one window was both paid."""
    shelf = SqliteShelf(connection)
    columns = _columns(connection, "ledger_rows").removeprefix("id, ")
    for row_id, line, starts_ms, kind, settled, refused in connection.execute(
        "SELECT id, line, starts_ms, kind, settled, refused FROM old.ledger_rows ORDER BY id"
    ).fetchall():
        same = "SELECT id FROM main.ledger_rows WHERE line = ? AND (starts_ms = ? OR kind = 'rolling')"
        found = connection.execute(same, (line, starts_ms)).fetchone()
        if found is None:
            new = connection.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM main.ledger_rows").fetchone()[0]
            connection.execute(
                f"INSERT INTO main.ledger_rows (id, {columns}) SELECT ?, {columns} FROM old.ledger_rows WHERE id = ?",  # noqa: S608
                (new, row_id),
            )
        else:
            row = shelf.row(found[0])
            row.settled, row.refused = row.settled + settled, row.refused + refused
            row.overrun = max(row.overrun, row.settled + row.leased - row.limit)
            shelf.put(row)
            new = found[0]
        if kind == "rolling":
            for slot, units in connection.execute(
                "SELECT slot_ms, units FROM old.ledger_slots WHERE row_id = ?", (row_id,)
            ).fetchall():
                shelf.set_slot(new, slot, shelf.slots(new).get(slot, 0) + units)


def _join_records(connection: sqlite3.Connection) -> None:
    """Attempts, totals, crossings and stops of both; a scope that is stopped in either stays stopped."""
    for table in ("ledger_journal", "ledger_crossings", "stops"):
        columns = _columns(connection, table)
        connection.execute(
            f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM old.{table} WHERE true ON CONFLICT DO NOTHING"  # noqa: S608
        )
    connection.execute(
        "INSERT INTO main.ledger_totals (day, service, model, state, calls, cost) "
        "SELECT day, service, model, state, calls, cost FROM old.ledger_totals WHERE true "
        "ON CONFLICT (day, service, model, state) DO UPDATE "
        "SET calls = ledger_totals.calls + excluded.calls, cost = ledger_totals.cost + excluded.cost"
    )
    columns = _columns(connection, "ledger_switches")
    connection.execute(
        f"INSERT OR REPLACE INTO main.ledger_switches ({columns}) "  # noqa: S608
        f"SELECT {columns} FROM old.ledger_switches WHERE stopped = 1"
    )


def _fill(connection: sqlite3.Connection, book: BudgetBook, now_ms: int) -> None:
    """Every window that is open now has nothing left: of each budget, and of each part of one that was ever used."""
    shelf = SqliteShelf(connection)
    for budget in book.budgets:
        wild = any(value == "*" for value in budget.scope.values())
        used = {
            str(row[0]) for row in connection.execute("SELECT part FROM ledger_rows WHERE budget = ?", (budget.name,))
        }
        for part in sorted(used if wild else {""}):
            for line in book.part(budget, part):
                row = escrow.open_row(shelf, line, now_ms, Synced())
                if row.limit >= escrow.UNLIMITED or row.settled >= row.limit:
                    continue
                missing = row.limit - row.settled
                row = replace(row, settled=row.limit)
                if row.rolling:
                    slot = slot_of(row.policy, now_ms)
                    assert slot >= slots_gone_before(row.policy, now_ms), "the newest slot has not gone"
                    shelf.set_slot(row.id, slot, shelf.slots(row.id).get(slot, 0) + missing)
                shelf.put(row)


def _doubt(connection: sqlite3.Connection) -> None:
    """What waits in the backup may have been sent since: it is looked for first where a service can be asked, else it is
    marked as sent again.
    """
    connection.execute("UPDATE deliveries SET doubtful = 1 WHERE state IN ('ready', 'leased', 'dead')")


def _sign(connection: Any, restoring: Restoring, kept: Kept, past: Sequence[Ancestor]) -> None:
    """The restored store begins a life of its own, and says so in its audit log."""
    lineage.write(connection, [*past, Ancestor(restoring.new_id, restoring.made_ms)])
    facts = {"backup": restoring.backup, "ledger": kept, "store": restoring.new_id}
    append(connection, at_us=to_us(restoring.now), who=restoring.who, what="store.restored", facts=facts)
