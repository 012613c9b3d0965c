"""A backup holds everything, opens only whole and only with its key, and is made while others write."""

import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from tests.emergency.homes import NOON, another_key, backed_up, key_of, new_home, restored, spend, spent
from tests.stores.making import delivery

from aegis.core.errors import AegisError, BadInput, StoreError
from aegis.emergency.backup import What, backups_in, check, copy_store, thin_out, unpacked
from aegis.emergency.sealing import CHUNK_BYTES, MAGIC
from aegis.stores.database import Database
from aegis.stores.handles import open_writer
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.schema import transaction

pytestmark = pytest.mark.anyio

T = TypeVar("T")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    (home / "rules.d").mkdir()
    (home / "rules.d" / "mine.yml").write_text("title: mine")
    for name in ("aegis.lock", "api-token", "sandbox-aegis.db"):
        (home / name).write_text("not state")
    made = backed_up(home)
    with unpacked(made, key_of, scratch_in=home) as found:
        names = {member.name for member in found.manifest.members}
        assert names == {"store/aegis.db", "home/secrets.json", "home/aegis.log", "home/rules.d/mine.yml"}
        assert (found.folder / "home/rules.d/mine.yml").read_text() == "title: mine"
    assert made.stat().st_mode & 0o777 == 0o600
    assert not list(home.glob(".backup-*")), "nothing is left in the clear"


async def test_nothing_stands_in_the_clear_but_the_header(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    (home / "secrets.json").write_text("canary-9f3a" * 100)
    assert b"canary-9f3a" not in backed_up(home).read_bytes()


async def test_a_backup_of_several_chunks_opens(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    (home / "aegis.log").write_bytes(b"x" * (3 * CHUNK_BYTES + 17))
    made = backed_up(home)
    assert made.stat().st_size > 3 * CHUNK_BYTES
    assert check(made, key_of, scratch_in=home).made_at.startswith("2026-11-21T12:00")


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a byte of the header": (lambda body: flipped(body, 40), "damaged_backup"),
    "a byte of the header's mark": (lambda body: flipped(body, _head(body) + 33), "wrong_key"),
    "a byte of the content": (lambda body: flipped(body, _head(body) + 64 + 100), "damaged_backup"),
    "a byte of the last tag": (lambda body: flipped(body, len(body) - 1), "cut_backup"),
    "the end cut off": (lambda body: body[:-100], "cut_backup"),
    "a whole chunk cut off": (lambda body: body[: _head(body) + 64 + CHUNK_BYTES + 16], "cut_backup"),
    "nothing but the beginning": (lambda body: body[:12], "cut_backup"),
    "something added": (lambda body: body + b"more", "cut_backup"),
    "a newer format": (lambda body: body[:8] + (2).to_bytes(2) + body[10:], "newer_backup"),
    "another program's file": (lambda _: b"SQLite format 3\0" + bytes(5_000), "not_a_backup"),
    "an empty file": (lambda _: b"", "not_a_backup"),
}


def _head(body: bytes) -> int:
    return len(MAGIC) + 6 + int.from_bytes(body[10:14])


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_backup_is_refused_by_name_and_changes_nothing(tmp_path: Path, damage: str) -> None:
    home = await new_home(tmp_path / "home")
    (home / "aegis.log").write_bytes(b"x" * (2 * CHUNK_BYTES))
    change, code = DAMAGE[damage]
    made = backed_up(home)
    made.write_bytes(change(made.read_bytes()))
    before = tree(tmp_path)
    for attempt in (lambda: check(made, key_of, scratch_in=home), lambda: restored(made, home)):
        with pytest.raises(BadInput) as refused:
            attempt()
        assert refused.value.code == code, str(refused.value)
    assert tree(tmp_path) == before


async def test_another_key_opens_nothing(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    made = backed_up(home)
    before = tree(tmp_path)
    with pytest.raises(BadInput, match="was locked with another"):
        restored(made, home, key=another_key)
    assert tree(tmp_path) == before


async def test_a_store_of_a_newer_aegis_is_refused(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    with closing(sqlite3.connect(home / "aegis.db")) as connection, connection:
        connection.execute("INSERT INTO schema_versions VALUES (9999, 'later', 'x')")
    with pytest.raises(StoreError, match="newer Aegis"):
        backed_up(home)
    assert not backups_in(tmp_path / "disk")


async def test_a_ledger_that_does_not_add_up_is_no_backup(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    spend(home, 3)
    with closing(sqlite3.connect(home / "aegis.db")) as connection, connection:
        connection.execute("UPDATE ledger_rows SET leased = 5 WHERE kind = 'day'")
    with pytest.raises(StoreError, match="do not sum"):
        backed_up(home)
    assert not backups_in(tmp_path / "disk"), "what is not sound is not kept"


async def test_the_copy_is_one_moment_while_somebody_writes(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    with closing(open_writer(str(home / "aegis.db"))) as writer:
        writer.execute("CREATE TABLE pairs (a INTEGER, b INTEGER)")
    stop = threading.Event()

    def write() -> None:
        with closing(open_writer(str(home / "aegis.db"))) as mine:
            number = 0
            while not stop.is_set():
                number += 1
                with transaction(mine):
                    mine.execute("INSERT INTO pairs VALUES (?, 0)", (number,))
                    mine.execute("INSERT INTO pairs VALUES (0, ?)", (number,))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            copy_store(home / "aegis.db", tmp_path / f"{number}.db")
    finally:
        stop.set()
        thread.join()
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as copy:
            assert copy.execute("SELECT SUM(a) - SUM(b) FROM pairs").fetchone()[0] in (0, None)
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_only_the_newest_backups_are_kept_and_other_files_left_alone(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    made = [backed_up(home, at=NOON + timedelta(days=number)) for number in range(3)]
    (tmp_path / "disk" / "aegis-notes.aegisbak").write_text("mine")
    assert thin_out(tmp_path / "disk", 2) == [made[0]]
    assert backups_in(tmp_path / "disk") == [made[2], made[1]]
    assert (tmp_path / "disk" / "aegis-notes.aegisbak").exists()


async def test_two_backups_of_one_second_are_two_files(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    assert backed_up(home) != backed_up(home)


async def test_no_store_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with pytest.raises(AegisError, match="no store"):
        backed_up(tmp_path / "home")
    assert What(home=tmp_path, store=tmp_path / "aegis.db").config == ()


# --- the ledger ------------------------------------------------------------------------------------------------


async def test_a_restore_over_the_same_store_takes_nothing_back(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    spend(home, 2)
    made = backed_up(home)
    spend(home, 5)
    done = restored(made, home)
    assert done.ledger == "taken over"
    assert spent(home) == (7, 7)


async def test_stores_that_went_their_own_ways_are_summed(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    spend(home, 2)
    made = backed_up(home)
    other = await new_home(tmp_path / "other", "sto_2")
    spend(other, 3)
    assert restored(made, other).ledger == "summed"
    assert spent(other) == (5, 5)
    spend(home, 1)
    later = backed_up(home, at=NOON + timedelta(minutes=5))
    assert restored(later, other, at=NOON + timedelta(hours=2)).ledger == "summed", "it forked before this was made"
    assert spent(other) == (8, 8)


async def test_the_same_backup_twice_counts_once(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    spend(home, 2)
    made = backed_up(home)
    restored(made, home)
    assert restored(made, home, at=NOON + timedelta(hours=2)).ledger == "taken over"
    assert spent(home) == (2, 2)


@pytest.mark.parametrize("later", [timedelta(hours=1), timedelta(days=2)])
async def test_without_the_old_store_no_open_window_has_anything_left(tmp_path: Path, later: timedelta) -> None:
    home = await new_home(tmp_path / "home")
    spend(home, 2)
    made = backed_up(home)
    done = restored(made, tmp_path / "fresh", at=NOON + later)
    assert done.ledger == "filled"
    assert spent(tmp_path / "fresh", at=NOON + later) == (10, 20)


async def test_a_store_that_cannot_be_read_is_named_and_nothing_is_minted(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    made = backed_up(home)
    (home / "aegis.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 50_000)
    done = restored(made, home)
    assert done.ledger == "filled"
    assert done.why
    assert done.replaced is not None
    assert (done.replaced / "aegis.db").read_bytes().endswith(b"\xff"), "what was there is kept"
    assert spent(home) == (10, 20)


async def test_who_says_that_nothing_was_spent_is_believed(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    spend(home, 2)
    done = restored(backed_up(home), tmp_path / "fresh", filled=False)
    assert done.ledger == "as in the backup"
    assert spent(tmp_path / "fresh") == (2, 2)
    assert done.entry.what == "store.restored"


async def test_a_stop_that_stands_outlives_a_restore(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    made = backed_up(home)
    with closing(sqlite3.connect(home / "aegis.db")) as connection, connection:
        connection.execute("INSERT INTO ledger_switches (scope, stopped, reason, at_ms) VALUES ('{}', 1, 'stolen', 1)")
    restored(made, home)
    with closing(sqlite3.connect(home / "aegis.db")) as connection:
        assert connection.execute("SELECT reason FROM ledger_switches WHERE stopped = 1").fetchall() == [("stolen",)]


# --- what waits to be sent -------------------------------------------------------------------------------------


async def test_what_waited_in_a_backup_may_have_been_sent_since_and_says_so(tmp_path: Path) -> None:
    home = await new_home(tmp_path / "home")
    await with_outbox(home, lambda outbox: outbox.place([delivery()]))
    made = backed_up(home)
    restored(made, home)

    again = await with_outbox(home, lambda outbox: outbox.claim("slack", limit=1, now=NOON, lease_ms=1_000))

    assert [one.doubtful for one in again] == [True]


async def with_outbox(home: Path, work: Callable[[SqliteOutbox], Awaitable[T]]) -> T:
    """What `work` gives on the outbox of a state folder."""
    database = await Database.open(home / "aegis.db")
    try:
        return await work(SqliteOutbox(database))
    finally:
        await database.close()
