"""A kept answer is served as it was kept, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.governor.fakes import START

from aegis.governor.sealing import SealedAnswers
from aegis.stores.answers import SqliteAnswers
from aegis.stores.database import Database

pytestmark = pytest.mark.anyio
LATER = START + timedelta(hours=1)
SECRET = b"s" * 32


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "aegis.db")
    yield database
    await database.close()


async def kept(database: Database) -> SealedAnswers:
    answers = SealedAnswers(SqliteAnswers(database), SECRET)
    await answers.put("why", b"because", expires_at=LATER, now=START)
    await answers.put("else", b"therefore", expires_at=LATER, now=START)
    assert await answers.get("why", START) == b"because"
    return answers


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE ledger_answers SET answer = CAST(replace(CAST(answer AS TEXT), 'because', 'becausE') AS BLOB)",
        "UPDATE ledger_answers SET answer = 'because'",
        "UPDATE ledger_answers SET answer = ''",
        "UPDATE ledger_answers SET answer = (SELECT answer FROM ledger_answers WHERE answer_key LIKE '%else')",
    ],
    ids=["a-letter", "without-seal", "emptied", "of-another-question"],
)
async def test_an_answer_that_was_edited_in_the_store_is_not_served(database: Database, edit: str) -> None:
    answers = await kept(database)
    await database.write(lambda connection: connection.execute(edit).rowcount)
    assert await answers.get("why", START) is None


async def test_an_answer_whose_time_was_stretched_in_the_store_is_not_served(database: Database) -> None:
    answers = await kept(database)
    await database.write(lambda connection: connection.execute("UPDATE ledger_answers SET expires_ms = 1 << 60"))
    assert await answers.get("why", LATER - timedelta(milliseconds=1)) == b"because"
    assert await answers.get("why", LATER) is None


async def test_what_another_secret_sealed_is_not_served(database: Database) -> None:
    await kept(database)
    assert await SealedAnswers(SqliteAnswers(database), b"t" * 32).get("why", START) is None


@pytest.mark.parametrize("read", [lambda key: key, lambda key: f"sealed/1 {key}"], ids=["plain", "prefixed"])
async def test_what_was_kept_without_a_seal_is_not_served(database: Database, read: Callable[[str], str]) -> None:
    answers = await kept(database)
    await SqliteAnswers(database).put(read("new"), b"forged", expires_at=LATER, now=START)
    assert await answers.get("new", START) is None
