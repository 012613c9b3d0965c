"""The store's file: many writers share a flush, a failing work fails alone, nothing is lost or halved."""

import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from aegis.core.errors import StoreError
from aegis.stores.database import Database
from aegis.stores.schema import in_order

pytestmark = pytest.mark.anyio

NOTES = in_order([("0001_notes.sql", "CREATE TABLE notes (word TEXT PRIMARY KEY);")])


def noted(word: str) -> Callable[[sqlite3.Connection], str]:
    def work(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO notes (word) VALUES (?)", (word,))
        return word

    return work


def words(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT word FROM notes ORDER BY word")]


@pytest.fixture(params=["file", "memory"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    path = ":memory:" if request.param == "memory" else tmp_path / "aegis.db"
    opened = await Database.open(path, migrations=NOTES)
    yield opened
    await opened.close()


async def test_what_was_written_is_read_at_once(database: Database) -> None:
    assert await database.write(noted("one")) == "one"

    assert await database.read(words) == ["one"]


async def test_sixty_four_writers_share_one_flush(database: Database) -> None:
    spoken: list[str] = []
    await database.write(lambda connection: connection.set_trace_callback(spoken.append))

    async with anyio.create_task_group() as group:
        for number in range(64):
            group.start_soon(database.write, noted(f"{number:02d}"))

    assert len(await database.read(words)) == 64
    assert sum(statement == "COMMIT" for statement in spoken) <= 3  # the tracing one, the writers', a reading


async def test_a_failing_work_fails_alone(database: Database) -> None:
    errors: list[Exception] = []

    async def write(work: Callable[[sqlite3.Connection], object]) -> None:
        try:
            await database.write(work)
        except (StoreError, KeyError) as error:
            errors.append(error)

    def half(connection: sqlite3.Connection) -> None:
        noted("half")(connection)
        raise KeyError("half")

    async with anyio.create_task_group() as group:
        for work in (noted("one"), noted("one"), half, noted("two")):
            group.start_soon(write, work)

    assert await database.read(words) == ["one", "two"]
    assert [type(error) for error in errors] == [StoreError, KeyError]


async def test_a_work_that_ends_the_transaction_itself_is_refused(database: Database) -> None:
    with pytest.raises(StoreError):
        await database.write(lambda connection: connection.execute("COMMIT"))

    await database.write(noted("after"))
    assert await database.read(words) == ["after"]


async def test_a_cancelled_waiter_neither_loses_nor_halves_its_work(database: Database) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        entered.set()
        assert leave.wait(10)
        noted("first")(connection)
        noted("second")(connection)

    async with anyio.create_task_group() as group:
        group.start_soon(database.write, slow)
        await anyio.to_thread.run_sync(entered.wait)
        group.cancel_scope.cancel()
    leave.set()

    assert await database.read(words) in ([], ["first", "second"])  # a reading does not wait for the writer
    await database.write(noted("third"))
    assert await database.read(words) == ["first", "second", "third"]


async def test_a_reading_changes_nothing(database: Database) -> None:
    with pytest.raises(StoreError, match="read-only"):
        await database.read(noted("one"))

    assert await database.read(words) == []


async def test_a_reading_sees_one_moment(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db", migrations=NOTES)
    await database.write(noted("one"))
    entered, leave = threading.Event(), threading.Event()
    seen: list[list[str]] = []

    def twice(connection: sqlite3.Connection) -> None:
        seen.append(words(connection))
        entered.set()
        assert leave.wait(10)
        seen.append(words(connection))

    async with anyio.create_task_group() as group:
        group.start_soon(database.read, twice)
        await anyio.to_thread.run_sync(entered.wait)
        await database.write(noted("two"))
        leave.set()

    assert seen == [["one"], ["one"]]
    await database.close()


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "aegis.db"
    for word in ("one", "two"):
        database = await Database.open(path, migrations=NOTES)
        await database.write(noted(word))
        await database.close()

    database = await Database.open(path, migrations=NOTES)
    assert await database.read(words) == ["one", "two"]
    assert await database.check() == []
    await database.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db", migrations=NOTES)
    await database.close()
    await database.close()

    with pytest.raises(StoreError, match="is closed"):
        await database.write(noted("one"))
    with pytest.raises(StoreError, match="is closed"):
        await database.read(words)


async def test_closing_writes_what_still_waits(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db", migrations=NOTES)
    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(database.write, noted(str(number)))
        await anyio.lowlevel.checkpoint()
        await database.close()

    database = await Database.open(tmp_path / "aegis.db", migrations=NOTES)
    assert len(await database.read(words)) == 10
    await database.close()


async def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db", migrations=NOTES)
    await database.write(noted("one"))

    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    await database.close()

    assert modes == {"aegis.db": 0o600, "aegis.db-wal": 0o600, "aegis.db-shm": 0o600}
