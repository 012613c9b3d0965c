"""The audit log: what was written cannot be changed, left out, moved or cut off unseen."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.app.system import SystemClock
from aegis.core.audits import FIRST, AuditEntry, breaks, entry_hash
from aegis.emergency.audit import AuditLog, append, find_breaks
from aegis.stores.database import Database

SCHEMA = (
    "CREATE TABLE audit_entries (seq INTEGER, at_us INTEGER, who TEXT, what TEXT, facts TEXT, previous TEXT, hash TEXT)",
    "CREATE TABLE audit_heads (name TEXT PRIMARY KEY, seq INTEGER, hash TEXT)",
)
WORDS = st.text(max_size=20)
ENTRIES = st.lists(st.tuples(WORDS, WORDS, st.dictionaries(WORDS, WORDS, max_size=3)), min_size=2, max_size=6)


def chain(entries: list[tuple[str, str, dict[str, str]]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for statement in SCHEMA:
        connection.execute(statement)
    for at_us, (who, what, facts) in enumerate(entries):
        append(connection, at_us=at_us, who=who, what=what, facts=facts)
    return connection


@given(ENTRIES)
def test_what_was_only_appended_is_whole(entries: list[tuple[str, str, dict[str, str]]]) -> None:
    with closing(chain(entries)) as log:
        assert find_breaks(log) == []


@given(ENTRIES, st.data())
def test_a_flipped_bit_anywhere_is_found_and_named(
    entries: list[tuple[str, str, dict[str, str]]], data: st.DataObject
) -> None:
    with closing(chain(entries)) as log:
        seq = data.draw(st.integers(1, len(entries)))
        column = data.draw(st.sampled_from(["at_us", "who", "what", "facts", "previous", "hash"]))
        value = log.execute(f"SELECT {column} FROM audit_entries WHERE seq = ?", (seq,)).fetchone()[0]
        log.execute(f"UPDATE audit_entries SET {column} = ? WHERE seq = ?", (_flipped(value, data), seq))
        assert any(f"entry {seq} " in words for words in find_breaks(log))


def _flipped(value: int | str, data: st.DataObject) -> int | str:
    if isinstance(value, int):
        return value ^ 1
    at = data.draw(st.integers(0, max(0, len(value) - 1)))
    return f"{value[:at]}{'x' if value[at : at + 1] != 'x' else 'y'}{value[at + 1 :]}"


@given(ENTRIES, st.data())
def test_a_removed_entry_is_named(entries: list[tuple[str, str, dict[str, str]]], data: st.DataObject) -> None:
    with closing(chain(entries)) as log:
        seq = data.draw(st.integers(1, len(entries)))
        log.execute("DELETE FROM audit_entries WHERE seq = ?", (seq,))
        told = " ".join(find_breaks(log))
        assert f"entry {seq} is missing" in told or f"the last entry was {seq}" in told


@given(ENTRIES, st.data())
def test_two_entries_that_changed_places_are_found(
    entries: list[tuple[str, str, dict[str, str]]], data: st.DataObject
) -> None:
    with closing(chain(entries)) as log:
        one = data.draw(st.integers(1, len(entries) - 1))
        for old, new in ((one, -1), (one + 1, one), (-1, one + 1)):
            log.execute("UPDATE audit_entries SET seq = ? WHERE seq = ?", (new, old))
        assert any(f"entry {one} " in words for words in find_breaks(log))


@given(ENTRIES)
def test_a_cut_tail_is_found_by_the_head(entries: list[tuple[str, str, dict[str, str]]]) -> None:
    with closing(chain(entries)) as log:
        log.execute("DELETE FROM audit_entries WHERE seq > 1")
        assert find_breaks(log) == [f"the end was cut off: the last entry was {len(entries)}, now it is 1"]


def test_an_entry_that_is_made_up_does_not_fit_in() -> None:
    one = AuditEntry(seq=1, at_us=0, who="ann", what="stop.applied", facts={}, previous="f" * 64)
    forged = AuditEntry(
        seq=1, at_us=0, who="ann", what="stop.applied", facts={}, previous="f" * 64, hash=entry_hash(one)
    )
    assert list(breaks([forged], (1, forged.hash)))
    assert FIRST == "0" * 64


@pytest.mark.anyio
async def test_a_tail_that_was_cut_with_its_head_is_found_by_the_file(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db")
    log = AuditLog(database, SystemClock(), file=tmp_path / "audit.jsonl")
    for number in range(3):
        await log.note("ann", "budget.set", {"amount": str(number)})
    assert await log.verify() == []
    await database.close()
    with closing(sqlite3.connect(tmp_path / "aegis.db")) as connection, connection:
        connection.execute("DELETE FROM audit_entries WHERE seq = 3")
        connection.execute("UPDATE audit_heads SET seq = 2, hash = (SELECT hash FROM audit_entries WHERE seq = 2)")
    database = await Database.open(tmp_path / "aegis.db")
    told = await AuditLog(database, SystemClock(), file=tmp_path / "audit.jsonl").verify()
    await database.close()
    assert told == ["the end was cut off: the copy in the file goes to entry 3, the store does not"]


@pytest.mark.anyio
async def test_a_line_of_the_copy_that_was_changed_is_named(tmp_path: Path) -> None:
    database, copy = await Database.open(tmp_path / "aegis.db"), tmp_path / "audit.jsonl"
    log = AuditLog(database, SystemClock(), file=copy)
    await log.note("ann", "budget.set", {"amount": "1"})
    await log.note("ann", "budget.set", {"amount": "2"})
    assert copy.stat().st_mode & 0o777 == 0o600
    copy.write_text(copy.read_text().replace('"amount":"1"', '"amount":"9"'))
    told = await log.verify()
    await database.close()
    assert told == ["line 1 of the copy audit.jsonl was changed or cut"]
    assert json.loads(copy.read_text().splitlines()[1])["facts"] == {"amount": "2"}


@pytest.mark.anyio
async def test_entries_of_two_processes_are_one_chain(tmp_path: Path) -> None:
    stores = [await Database.open(tmp_path / "aegis.db") for _ in range(2)]
    logs = [AuditLog(store, SystemClock(), file=tmp_path / "audit.jsonl") for store in stores]
    for number in range(10):
        await logs[number % 2].note(f"process {number % 2}", "switch.stopped", {})
    assert await logs[0].verify() == []
    assert [entry.seq for entry in await logs[1].entries()] == list(range(10, 0, -1))
    for store in stores:
        await store.close()
