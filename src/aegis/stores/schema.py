"""The schema of a store: numbered migrations, each applied once, in order, in a transaction of its own.

Policy: an applied migration never changes (its checksum is kept), and a store written by a newer Aegis is refused, so
that an old version cannot damage what it does not understand.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from aegis.core.errors import StoreError
from aegis.stores.queries import statements

APPLICATION_ID = 0x41454749
""" "AEGI" in the file's header (https://www.sqlite.org/fileformat.html, offset 68): whose file it is."""

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_RECORD = "CREATE TABLE schema_versions (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. `checksum` is SHA-256 of the text, in hex."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> Sequence[Migration]:
    """The migrations that this version of Aegis brings, `stores/migrations/NNNN_name.sql`, in order."""
    folder = files("aegis.stores").joinpath("migrations")
    return in_order((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir())


def in_order(named: Iterable[tuple[str, str]]) -> Sequence[Migration]:
    """Migrations from file names and texts; other files are passed over. Two with one number are an assertion."""
    found = [Migration(int(m[1]), m[2], sql) for name, sql in named if (m := _FILE.fullmatch(name))]
    found.sort(key=lambda migration: migration.version)
    assert len({m.version for m in found}) == len(found), "two migrations have the same number"
    return found


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration], place: str) -> None:
    """Bring a store to the newest schema. Raises `StoreError` for a stranger's file, a newer schema or a changed
    migration, and then nothing was changed; raises `sqlite3.Error` when a migration itself fails.
    """
    applied = _applied(connection, place)
    refuse_what_differs(applied, migrations, place)
    for migration in migrations:
        if migration.version not in applied:
            _apply(connection, migration)


def _applied(connection: sqlite3.Connection, place: str) -> dict[int, tuple[str, str]]:
    """What was applied before, by number; an empty file is made ours."""
    if not _is_ours(connection):
        with transaction(connection):
            _make_ours(connection, place)
    rows = connection.execute("SELECT version, name, checksum FROM schema_versions")
    return {version: (name, checksum) for version, name, checksum in rows}


def _is_ours(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID)


def _make_ours(connection: sqlite3.Connection, place: str) -> None:
    if _is_ours(connection):  # another process was faster by a moment
        return
    refuse_strangers(connection, place)
    connection.execute(_RECORD)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def refuse_strangers(connection: sqlite3.Connection, place: str) -> None:
    """Raise `StoreError` for a database that another program made; nothing of it is changed."""
    if not _is_ours(connection) and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(f"The store {place} belongs to another program: point the store at a file of its own")


def refuse_what_differs(applied: dict[int, tuple[str, str]], migrations: Sequence[Migration], place: str) -> None:
    """Raise `StoreError` for a store of a newer Aegis, or with another migration than this one brings."""
    known = {migration.version: migration for migration in migrations}
    newest = max(known, default=0)
    for version, (name, checksum) in sorted(applied.items()):
        if version > newest:
            raise StoreError(
                f"The store {place} was written by a newer Aegis (schema {version}, this one knows {newest}): "
                "install the newer version again, or restore a backup from before the upgrade"
            )
        if version not in known or known[version].checksum != checksum:
            raise StoreError(
                f"The store {place} has another migration {version:04d}_{name} than this Aegis: "
                "an applied migration never changes; install the version that wrote it"
            )


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    with transaction(connection):
        done = connection.execute("SELECT 1 FROM schema_versions WHERE version = ?", (migration.version,))
        if done.fetchone():  # another process was faster by a moment
            return
        for statement in statements(migration.sql):
            connection.execute(statement)
        row = (migration.version, migration.name, migration.checksum)
        connection.execute("INSERT INTO schema_versions VALUES (?, ?, ?)", row)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: committed when the block ends well, else rolled back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
