"""A store that is full, read-only, damaged, newer or somebody else's: every command about money says which file, what
is wrong and what to do, changes nothing, and so does the library.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from tests.cli.running import Place, data, place
from tests.cli.spending import BUDGET, CENT, PRICES, SETTINGS, spend

import aegis
import aegis.sync
from aegis.cli.exits import Exit
from aegis.core.errors import StoreError

COMMANDS = (
    ("budget", "check"),
    ("budget", "check", "--json"),
    ("budget", "list"),
    ("budget", "set", "everything", "daily", "emergency", "5.00"),
    ("spend",),
    ("explain",),
)


def garbage_header(store: Path) -> None:
    """The first page is overwritten."""
    with store.open("r+b") as file:
        file.write(b"not what it was " * 256)


def damaged_page(store: Path) -> None:
    """A page in the middle is overwritten."""
    with store.open("r+b") as file:
        file.seek(store.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)


def newer(store: Path) -> None:
    """A later Aegis has been here."""
    with sqlite3.connect(store) as connection:
        connection.execute("INSERT INTO schema_versions VALUES (9999, 'later', 'x')")
    connection.close()


def strangers(store: Path) -> None:
    """Another program's database stands in the place."""
    store.unlink()
    with sqlite3.connect(store) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()


def cut_short(store: Path) -> None:
    """The end of the file is gone."""
    store.write_bytes(store.read_bytes()[: store.stat().st_size // 2])


HARMS = (
    (garbage_header, "is not an Aegis store: point the store elsewhere or restore the newest backup"),
    (damaged_page, "is damaged"),
    (newer, "was written by a newer Aegis (schema 9999"),
    (strangers, "belongs to another program: point the store at a file of its own"),
    (cut_short, "is damaged"),
)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write(SETTINGS)
    anyio.run(spend, found, 1, 1, 2)
    return found


@pytest.mark.parametrize(("harm", "said"), HARMS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_store_that_cannot_be_used_is_named_by_every_command_and_left_alone(
    here: Place, harm: Callable[[Path], None], said: str
) -> None:
    store = here.home / "aegis.db"
    harm(store)
    before = store.read_bytes()
    for command in COMMANDS:
        result = here.run(*command)
        assert result.exit_code == Exit.UNEXPECTED, command
        assert said in result.stderr, command
        assert str(store) in result.stderr
        assert "Traceback" not in result.output
        assert result.stdout == "", "half an answer is none"
    assert store.read_bytes() == before


@pytest.mark.parametrize(("harm", "said"), HARMS, ids=lambda value: getattr(value, "__name__", ""))
def test_no_call_is_admitted_on_a_store_that_cannot_be_used(
    here: Place, harm: Callable[[Path], None], said: str
) -> None:
    store = here.home / "aegis.db"
    harm(store)
    with (
        pytest.raises(StoreError) as raised,
        aegis.sync.open_governor(store, budgets={"day": 1}, prices=PRICES),
    ):
        pytest.fail("a governor without a ledger was opened")
    assert said in str(raised.value)


# --- a small disk of its own --------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root mounts a disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def pages(number: int) -> aegis.Call:
    return aegis.Call(
        id=f"call-{number}", service="anthropic", operation="messages", models=("m",), worst={"input_tokens": 1}
    )


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def made_until_refused(governor: aegis.sync.SyncGovernor, most: int, first: int = 0) -> int:
    """How many calls were made before the store said no."""
    for number in range(most):
        try:
            with governor.admit(pages(first + number)) as reservation:
                reservation.settle({"input_tokens": 1})
        except StoreError as error:
            assert "the disk is full: free some space" in str(error)  # noqa: PT017 - no refusal is as good as one
            return number
    return most


def test_on_a_full_disk_no_call_is_made_and_afterwards_every_cent_is_there(disk: Path) -> None:
    store = disk / "aegis.db"
    with aegis.sync.open_governor(store, budgets={"day": 100}, prices=PRICES) as governor:
        made = made_until_refused(governor, 3)
        ballast = fill(disk)
        more = made_until_refused(governor, 2_000, first=10)
        assert more < 2_000, "the disk was full"
        assert made_until_refused(governor, 5, first=5_000) == 0, "and stays closed"
        ballast.unlink()
        after = made_until_refused(governor, 5, first=6_000)
        assert after == 5, "it goes on by itself once there is room"
        [balance] = governor.balances()
        assert (balance.settled, balance.held) == ((made + more + after) * CENT, 0)
    assert sqlite3.connect(store).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_command_on_a_full_disk_says_so_and_what_was_set_stays_set(disk: Path, tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write(SETTINGS)
    here.env["AEGIS_HOME"] = str(disk)
    assert here.run("budget", "set", "everything", "daily", "warning", "0.06").exit_code == 0
    ballast = fill(disk)
    results = [here.run("budget", "set", "everything", "daily", "warning", f"0.0{cents}") for cents in (1, 2, 3, 4)]
    assert {result.exit_code for result in results} == {Exit.UNEXPECTED}
    assert all(f"{disk}/aegis.db: the disk is full: free some space" in result.stderr for result in results)
    ballast.unlink()
    [word] = data(here.run("budget", "overrides", "--json"))["overrides"]
    assert word["amount"] == "0.06"


def test_a_read_only_disk_is_named_and_no_call_is_made(disk: Path, tmp_path: Path) -> None:
    store = disk / "aegis.db"
    here = place(tmp_path)
    here.write(SETTINGS)
    here.env["AEGIS_HOME"] = str(disk)
    with aegis.sync.open_governor(store, budgets=[BUDGET], prices=PRICES) as governor:
        assert made_until_refused(governor, 6) == 6
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for command in COMMANDS:
        result = here.run(*command)
        assert result.exit_code == Exit.UNEXPECTED, command
        assert f"{store}: the file " in result.stderr
        assert "may be written to" in result.stderr or "write permission" in result.stderr
        assert "Traceback" not in result.output
    with (
        pytest.raises(StoreError, match=r"read-only|may be written to"),
        aegis.sync.open_governor(store, budgets=[BUDGET], prices=PRICES),
    ):
        pytest.fail("a governor without a ledger was opened")
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert here.run("budget", "check").exit_code == Exit.WARNING, "six cents are on record, as before"


def test_a_folder_that_may_not_be_written_is_named(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with (
        pytest.raises(StoreError, match="cannot be opened: check that its folder exists and may be written to"),
        aegis.sync.open_governor(disk / "new.db", budgets={"day": 100}, prices=PRICES),
    ):
        pytest.fail("a governor without a ledger was opened")
