"""Whether a store's file is whole: its pages, its schema, its ledger. Works on a copy that nobody else has open.

What is looked for: SQLite's own checks, the checksum of every migration, the ledger's invariants (core/escrow.py), the
chain of the audit log, and how many rows every table has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aegis.core.errors import StoreError
from aegis.emergency.audit import find_breaks
from aegis.stores.faults import store_error
from aegis.stores.handles import open_writer
from aegis.stores.schema import Migration, migrate, refuse_strangers, refuse_what_differs, shipped

PROBLEMS_MAX: Final = 10
"""As many as a person reads; one is enough to refuse a store."""
_INVARIANTS: Final = {
    "a window holds more than its limit": (
        "SELECT line || ' ' || window_key FROM ledger_rows WHERE settled + leased > lim + overrun"
    ),
    "the leases of a window do not sum to what it lent": (
        "SELECT r.line || ' ' || r.window_key FROM ledger_rows r WHERE r.leased <> "
        "(SELECT COALESCE(SUM(l.units), 0) FROM ledger_leases l WHERE l.row_id = r.id)"
    ),
    "the slots of a rolling window do not sum to what it settled": (
        "SELECT r.line FROM ledger_rows r WHERE r.kind = 'rolling' AND r.settled <> "
        "(SELECT COALESCE(SUM(s.units), 0) FROM ledger_slots s WHERE s.row_id = r.id)"
    ),
    "a call is charged less than nothing": "SELECT attempt FROM ledger_journal WHERE cost < 0 OR worst < 0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """What was found: rows by table, migrations by number (SHA-256), and what is wrong (empty: nothing)."""

    rows: Mapping[str, int]
    schema: Mapping[str, str]
    problems: tuple[str, ...] = ()


def facts_of(path: Path) -> StoreFacts:
    """Look at a store through and through. Blocks. Raises `StoreError` when it cannot be read at all, belongs to another
    program, or was written by a newer Aegis.
    """
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            refuse_strangers(connection, path.name)
            applied = _applied(connection)
            refuse_what_differs(applied, shipped(), path.name)
            return StoreFacts(
                rows=_counts(connection),
                schema={str(number): checksum for number, (_, checksum) in sorted(applied.items())},
                problems=tuple(_problems(connection)[:PROBLEMS_MAX]),
            )
    except sqlite3.Error as error:
        raise store_error(error, str(path)) from error


def bring_up_to_date(path: Path, migrations: Sequence[Migration] | None = None) -> None:
    """Migrate a copy to this Aegis' schema and leave it as one file. Blocks. Raises `StoreError`."""
    try:
        with closing(open_writer(str(path))) as connection:
            migrate(connection, shipped() if migrations is None else migrations, path.name)
            as_one_file(connection)
    except sqlite3.Error as error:
        raise store_error(error, str(path)) from error


def as_one_file(connection: sqlite3.Connection) -> None:
    """Fold the log into the file: then it can be moved."""
    mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    if mode != "delete":
        raise StoreError(f"the log of the store could not be folded into its file (it stays {mode}): is it in use?")


def tables_of(connection: sqlite3.Connection) -> list[str]:
    """The names of a store's own tables."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return sorted(str(row[0]) for row in rows)


def _applied(connection: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    rows = connection.execute("SELECT version, name, checksum FROM schema_versions")
    return {version: (name, checksum) for version, name, checksum in rows}


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    return {
        table: int(connection.execute(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0])  # noqa: S608 - from the schema
        for table in tables_of(connection)
    }


def _problems(connection: sqlite3.Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})")]
    if found != ["ok"]:
        return found
    found = [f"a row of {row[0]} points at nothing" for row in connection.execute("PRAGMA foreign_key_check")]
    tables = tables_of(connection)
    if "ledger_rows" in tables:
        for words, query in _INVARIANTS.items():
            found += [f"{words}: {row[0]}" for row in connection.execute(query).fetchmany(PROBLEMS_MAX)]
    if "audit_entries" in tables:
        found += [f"audit log: {words}" for words in find_breaks(connection)]
    return found
