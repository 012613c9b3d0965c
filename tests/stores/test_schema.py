"""Migrations run once, in order, whole or not at all; a store that this Aegis does not understand is refused."""

import sqlite3
from pathlib import Path

import pytest

from aegis.core.errors import StoreError
from aegis.stores.schema import in_order, migrate, shipped

FIRST = ("0001_first.sql", "CREATE TABLE one (a TEXT);\nINSERT INTO one VALUES ('a;\nb');")
SECOND = ("0002_second.sql", "ALTER TABLE one ADD COLUMN b TEXT;")


def opened() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def test_migrations_run_once_and_in_order() -> None:
    connection = opened()

    migrate(connection, in_order([SECOND, FIRST, ("notes.md", "")]), "x")
    migrate(connection, in_order([FIRST, SECOND]), "x")

    assert connection.execute("SELECT a, b FROM one").fetchall() == [("a;\nb", None)]
    rows = connection.execute("SELECT version, name FROM schema_versions").fetchall()
    assert rows == [(1, "first"), (2, "second")]


def test_a_migration_that_fails_leaves_nothing_behind() -> None:
    connection = opened()
    broken = ("0002_broken.sql", "CREATE TABLE two (a TEXT);\nINSERT INTO nowhere VALUES (1);")

    with pytest.raises(sqlite3.Error):
        migrate(connection, in_order([FIRST, broken]), "x")

    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert (tables, connection.in_transaction) == ({"one", "schema_versions"}, False)


def test_a_changed_migration_is_refused() -> None:
    connection = opened()
    migrate(connection, in_order([FIRST]), "x")

    with pytest.raises(StoreError, match="0001_first"):
        migrate(connection, in_order([(FIRST[0], "CREATE TABLE one (a TEXT);")]), "x")


def test_a_newer_schema_is_refused() -> None:
    connection = opened()
    migrate(connection, in_order([FIRST, SECOND]), "x")

    with pytest.raises(StoreError, match="newer Aegis"):
        migrate(connection, in_order([FIRST]), "x")


def test_another_programs_file_is_refused_and_left_alone() -> None:
    connection = opened()
    connection.execute("CREATE TABLE theirs (a TEXT)")

    with pytest.raises(StoreError, match="another program"):
        migrate(connection, in_order([FIRST]), "x")

    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["theirs"]


def test_two_migrations_with_one_number_are_a_mistake() -> None:
    with pytest.raises(AssertionError):
        in_order([FIRST, ("0001_other.sql", "")])


def test_the_shipped_migrations_apply_to_an_empty_store(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "aegis.db", isolation_level=None)

    migrate(connection, shipped(), "x")

    assert connection.execute("SELECT count(*) FROM schema_versions").fetchone()[0] == len(shipped())
    connection.close()
