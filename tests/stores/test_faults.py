"""When the disk misbehaves: a sentence that says what to do, nothing half written, nothing acknowledged lost."""

import os
import shutil
import sqlite3
from pathlib import Path

import anyio
import pytest
from tests.stores.making import delivery, event, incident

from aegis.core.errors import StoreError
from aegis.core.ports import Work
from aegis.stores.database import Database
from aegis.stores.events import SqliteEvents
from aegis.stores.faults import store_error
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.outbox import SqliteOutbox
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio

PAGE = "x" * 4_000


def pages_max(number: int) -> object:
    def work(connection: sqlite3.Connection) -> int:
        used = int(connection.execute("PRAGMA page_count").fetchone()[0])
        return int(connection.execute(f"PRAGMA max_page_count = {used + number}").fetchone()[0])

    return work


async def test_a_full_disk_is_named_and_the_next_work_goes_on_when_there_is_room(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db")
    events, incidents = SqliteEvents(database, FakeClock()), SqliteIncidents(database)
    await events.accept([event("before")])
    await database.write(pages_max(4))  # type: ignore[arg-type]

    with pytest.raises(StoreError, match="the disk is full: free some space"):
        await events.accept([event(str(number), text=PAGE) for number in range(50)])
    await incidents.commit(Work(events_done=["before"]))
    await database.write(pages_max(1_000))  # type: ignore[arg-type]
    assert await events.accept([event(str(number), text=PAGE) for number in range(50)]) == 50

    assert len(await events.pending(100)) == 50
    assert await database.check() == []
    await database.close()


async def test_on_a_full_disk_whoever_still_fits_is_stored_and_the_others_are_told(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db")
    incidents, outbox = SqliteIncidents(database), SqliteOutbox(database)
    await database.write(pages_max(20))  # type: ignore[arg-type]
    stored, refused = [], []

    async def commit(name: str) -> None:
        try:
            work = Work(incidents=[incident(name, title=PAGE)], deliveries=[delivery(name)])
            await incidents.commit(work)
            stored.append(name)
        except StoreError:
            refused.append(name)

    async with anyio.create_task_group() as group:
        for number in range(60):
            group.start_soon(commit, f"{number:02d}")

    assert (len(stored) + len(refused), bool(refused)) == (60, True)
    assert sorted(one.id for one in await incidents.unresolved()) == sorted(stored)
    assert await outbox.undelivered() == len(stored)
    await database.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
async def test_a_file_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    await (await Database.open(tmp_path / "aegis.db")).close()
    (tmp_path / "aegis.db").chmod(0o400)

    with pytest.raises(StoreError, match="read-only"):
        await Database.open(tmp_path / "aegis.db")


async def test_a_store_that_turns_read_only_says_so_and_loses_nothing(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db")
    events = SqliteEvents(database, FakeClock())
    await events.accept([event("a")])
    await database.write(lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())

    with pytest.raises(StoreError, match="the file is read-only: give the user"):
        await events.accept([event("b")])

    assert [one.id for one in await events.pending(9)] == ["a"]
    await database.close()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check that its folder exists"):
        await Database.open(tmp_path / "no" / "aegis.db")


@pytest.mark.parametrize("content", [b"this is no database, but a note to self\n" * 500, b"SQLite format 3\0" * 999])
async def test_what_is_no_store_is_refused_and_left_as_it_was(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "aegis.db"
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"not an Aegis store|damaged"):
        await Database.open(path)

    assert path.read_bytes() == content


async def test_a_damaged_store_is_refused_at_the_door(tmp_path: Path) -> None:
    path = tmp_path / "aegis.db"
    database = await Database.open(path)
    await SqliteEvents(database, FakeClock()).accept([event(str(number), text=PAGE) for number in range(200)])
    await database.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(64 * 1024))

    with pytest.raises(StoreError, match="damaged"):
        await Database.open(path)


async def test_after_an_error_of_the_disk_the_handle_is_not_trusted_again(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db")
    events = SqliteEvents(database, FakeClock())
    await events.accept([event("a")])
    await database.write(lambda connection: connection.execute("PRAGMA cache_size = 7").fetchall())

    def failing(connection: sqlite3.Connection) -> None:
        raise _disk_error()

    with pytest.raises(StoreError, match="the disk failed: look at the system's log"):
        await database.write(failing)

    # A setting of the old handle is gone: this is another one.
    assert await database.write(lambda connection: connection.execute("PRAGMA cache_size").fetchone()[0]) != 7
    assert len(await events.pending(9)) == 1
    await database.close()


def _disk_error() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    return error


async def test_a_disk_error_fails_everybody_who_shared_the_transaction(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db")
    events = SqliteEvents(database, FakeClock())
    errors = []

    async def accept(name: str) -> None:
        try:
            await events.accept([event(name)])
        except StoreError as error:
            errors.append(str(error))

    def failing(connection: sqlite3.Connection) -> None:
        raise _disk_error()

    async def fail() -> None:
        with pytest.raises(StoreError):
            await database.write(failing)

    async with anyio.create_task_group() as group:
        group.start_soon(accept, "a")
        group.start_soon(fail)
        group.start_soon(accept, "b")

    stored = {one.id for one in await events.pending(9)}
    assert len(errors) == 2 - len(stored)
    assert await events.accept([event("a"), event("b")]) == len(errors)
    await database.close()


async def test_a_log_that_was_removed_under_a_running_store_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "aegis.db"
    database = await Database.open(path)
    events = SqliteEvents(database, FakeClock())
    await events.accept([event("before")])
    await events.pending(1)

    Path(f"{path}-wal").unlink()
    await events.accept([event("after")])
    await events.accept([event("later")])

    copied = tmp_path / "copy"  # what a kill would leave behind
    copied.mkdir()
    for file in tmp_path.glob("aegis.db*"):
        shutil.copy(file, copied)
    assert [one.id for one in await events.pending(9)] == ["before", "after", "later"]
    await database.close()
    database = await Database.open(copied / "aegis.db")
    found = await SqliteEvents(database, FakeClock()).pending(9)
    assert [one.id for one in found] == ["before", "after", "later"]
    await database.close()


async def test_a_store_whose_file_was_removed_says_so_instead_of_writing_into_nothing(tmp_path: Path) -> None:
    path = tmp_path / "aegis.db"
    database = await Database.open(path)
    events = SqliteEvents(database, FakeClock())
    path.rename(tmp_path / "moved.db")

    with pytest.raises(StoreError, match="removed or replaced"):
        await events.accept([event("a")])

    await database.close()


async def test_a_second_writer_is_waited_for_and_then_named(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    error.sqlite_errorname = "SQLITE_BUSY_SNAPSHOT"

    assert "another program is writing to it" in str(store_error(error, "x"))
    database = await Database.open(tmp_path / "aegis.db")
    other = sqlite3.connect(tmp_path / "aegis.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    async with anyio.create_task_group() as group:
        group.start_soon(SqliteEvents(database, FakeClock()).accept, [event("a")])
        await anyio.lowlevel.checkpoint()
        other.execute("ROLLBACK")

    assert await SqliteEvents(database, FakeClock()).waiting() == 1
    other.close()
    await database.close()
