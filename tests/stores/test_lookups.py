"""The small tables: the first answer counts, refused lines are bounded, settings and counters last."""

from collections.abc import AsyncIterator

import pytest
from tests.stores.making import after

from aegis.stores import lookups as module
from aegis.stores.database import Database
from aegis.stores.lookups import SetAside, SqliteLookups

pytestmark = pytest.mark.anyio


@pytest.fixture
async def lookups() -> AsyncIterator[SqliteLookups]:
    database = await Database.open(":memory:")
    yield SqliteLookups(database)
    await database.close()


def aside(line: int, text: str = "{") -> SetAside:
    return SetAside(file="a.jsonl", line=line, code="malformed", reason="not JSON", text=text, at=after(line))


async def test_a_repeated_request_gets_the_first_answer_until_it_is_forgotten(lookups: SqliteLookups) -> None:
    assert await lookups.answer("key", now=after(0)) is None
    assert await lookups.keep_answer("key", "first", expires_at=after(10), now=after(0))
    assert not await lookups.keep_answer("key", "second", expires_at=after(20), now=after(9))

    assert await lookups.answer("key", now=after(9)) == "first"
    assert await lookups.answer("key", now=after(10)) is None
    assert await lookups.keep_answer("key", "third", expires_at=after(20), now=after(10))
    assert await lookups.answer("key", now=after(11)) == "third"


async def test_refused_lines_come_back_newest_first(lookups: SqliteLookups) -> None:
    await lookups.set_aside([aside(1), aside(2)])
    await lookups.set_aside([aside(3)])

    assert await lookups.lines(2) == [aside(3), aside(2)]


async def test_hostile_lines_are_clipped_and_kept_as_text(lookups: SqliteLookups) -> None:
    await lookups.set_aside([aside(1, "\ud800" + "x" * 9_999)])

    (kept,) = await lookups.lines(1)
    assert kept.text == "\\ud800" + "x" * (module.TEXT_CHARS_MAX - 1)


async def test_beyond_the_bound_the_oldest_lines_go() -> None:
    database = await Database.open(":memory:")
    lookups = SqliteLookups(database, set_aside_max=5)
    for first in (0, 3, 6):
        await lookups.set_aside([aside(first + number) for number in range(3)])

    assert [one.line for one in await lookups.lines(99)] == [8, 7, 6, 5, 4]
    await database.close()


async def test_a_setting_is_set_replaced_and_removed(lookups: SqliteLookups) -> None:
    seen = [await lookups.setting("stop")]
    for value in ("G1", "G2", None):
        await lookups.keep_setting("stop", value)
        seen.append(await lookups.setting("stop"))

    assert seen == [None, "G1", "G2", None]


async def test_counters_add_up(lookups: SqliteLookups) -> None:
    await lookups.count({("slack", "sent"): 2, ("jira", "sent"): 1})
    await lookups.count({("slack", "sent"): 3})

    assert await lookups.counters() == {("jira", "sent"): 1, ("slack", "sent"): 5}
