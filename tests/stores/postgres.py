"""A PostgreSQL server of the tests' own, in a folder that goes with it, where the machine has one installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from aegis.stores.postgres import PostgresConnection, PostgresDatabase

USER = "postgres"
DEBIAN = Path("/usr/lib/postgresql")


@cache
def programs() -> Path | None:
    """The folder of `initdb` and `postgres`: where `pg_config` says, or where Debian puts them."""
    if config := shutil.which("pg_config"):
        folder = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
        if (Path(folder) / "initdb").exists():
            return Path(folder)
    return next((initdb.parent for initdb in sorted(DEBIAN.glob("*/bin/initdb"), reverse=True)), None)


def as_somebody(*command: str | Path) -> list[str | Path]:
    """The command, run by somebody whom PostgreSQL serves: it refuses root."""
    return ["runuser", "-u", USER, "--", *command] if os.geteuid() == 0 else list(command)


@contextmanager
def server() -> Iterator[str]:
    """The address of an empty server that listens on a socket of its own only. Skips, with the reason, without one."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server is installed here")
    if os.geteuid() == 0 and subprocess.run(["id", USER], capture_output=True, check=False).returncode:
        pytest.skip("PostgreSQL does not run as root, and there is no user `postgres` to run it")
    # Not pytest's folder: the name of a socket is at most 107 bytes long, and another user has to reach it.
    folder = Path(tempfile.mkdtemp(prefix="aegis-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        with started(found, folder):
            yield f"postgresql://{USER}@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder)


@contextmanager
def started(found: Path, folder: Path) -> Iterator[None]:
    """The server, while the block lasts. Without fsync: what is proved here is not the disk."""
    settings = ["-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
    data = folder / "data"
    subprocess.run(as_somebody(found / "initdb", "-D", data, *settings), check=True, capture_output=True, cwd=folder)
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    control = as_somebody(found / "pg_ctl", "-D", data, "-w", "-s", "-l", folder / "log")
    subprocess.run([*control, "-o", options, "start"], check=True, cwd=folder)
    try:
        yield
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd=folder)


async def emptied(address: str) -> PostgresDatabase:
    """An open store at this address, with nothing on record."""
    database = await PostgresDatabase.open(address)
    await database.write(empty)
    return database


def empty(connection: PostgresConnection) -> None:
    """Forget everything that ledgers keep."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'ledger%'").fetchall()
    connection.execute(f"TRUNCATE {', '.join(name for (name,) in tables)}")
