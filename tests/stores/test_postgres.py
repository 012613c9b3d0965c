"""A store in PostgreSQL: one writes at a time, whatever machine it runs on, by the server's clock; errors are plain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.stores.postgres import emptied

import aegis
from aegis.core.calls import Call
from aegis.core.errors import BudgetExceeded, StoreError
from aegis.core.prices import MILLION, Price, PriceBook
from aegis.stores.postgres import PostgresConnection, PostgresDatabase
from aegis.stores.schema import Migration, shipped
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio
PRICES = PriceBook(
    overrides={("anthropic", "m"): Price(service="anthropic", model="m", rates={"input_tokens": ((0, MILLION),)})}
)


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[PostgresDatabase]:
    opened = await emptied(postgres)
    yield opened
    await opened.close()


def count(connection: PostgresConnection) -> int:
    """Read a number, and write one more."""
    [epoch] = connection.execute("SELECT COALESCE(MAX(epoch), 0) FROM ledger_holders").fetchone()
    connection.execute(
        "INSERT INTO ledger_holders (holder, epoch, expires_ms) VALUES (:holder, :epoch, 0)",
        {"holder": f"h{epoch}", "epoch": epoch + 1},
    )
    return int(epoch)


async def test_writers_on_two_connections_take_turns(database: PostgresDatabase, postgres: str) -> None:
    other = await PostgresDatabase.open(postgres)
    both = [place.write(count) for _ in range(20) for place in (database, other)]
    assert sorted(await asyncio.gather(*both)) == list(range(40))
    await other.close()


async def test_a_work_that_fails_changes_nothing_and_the_store_goes_on(database: PostgresDatabase) -> None:
    def fails(connection: PostgresConnection) -> None:
        count(connection)
        raise KeyError("of its own")

    def breaks_a_rule(connection: PostgresConnection) -> None:
        connection.execute("INSERT INTO ledger_leases (holder, row_id, units) VALUES ('x', 1, 0)")

    with pytest.raises(KeyError):
        await database.write(fails)
    with pytest.raises(StoreError, match="CheckViolation, SQLSTATE 23514"):
        await database.write(breaks_a_rule)
    with pytest.raises(StoreError, match="ReadOnlySqlTransaction"):
        await database.read(count)
    assert await database.write(count) == 0


async def test_a_connection_that_was_cut_is_opened_anew(database: PostgresDatabase, postgres: str) -> None:
    def cut(connection: PostgresConnection) -> None:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    other = await PostgresDatabase.open(postgres)
    await other.write(cut)
    with pytest.raises(StoreError):
        await database.write(count)
    assert await database.write(count) == 0
    await other.close()


async def test_windows_go_by_the_servers_clock(database: PostgresDatabase) -> None:
    here = FakeClock(datetime(1999, 1, 1, tzinfo=UTC))
    clock = database.clock(here)
    assert clock.now() > datetime(2026, 1, 1, tzinfo=UTC)
    here.jump(timedelta(days=-400))
    await database.write(count)
    assert clock.now() > datetime(2026, 1, 1, tzinfo=UTC)


async def test_the_schema_of_a_newer_aegis_is_refused(database: PostgresDatabase, postgres: str) -> None:
    older = shipped()[:-1]
    with pytest.raises(StoreError, match="written by a newer Aegis"):
        await PostgresDatabase.open(postgres, migrations=older)
    changed = [Migration(each.version, each.name, f"{each.sql} ") for each in shipped()]
    with pytest.raises(StoreError, match="an applied migration never changes"):
        await PostgresDatabase.open(postgres, migrations=changed)


async def test_a_server_that_cannot_be_reached_is_named_without_the_password() -> None:
    with pytest.raises(StoreError) as refused:
        await PostgresDatabase.open("postgresql://aegis:hunter2@127.0.0.1:1/aegis")
    assert "postgresql://127.0.0.1:1/aegis" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.usefixtures("database")
async def test_programs_that_name_the_same_server_share_its_budgets(postgres: str) -> None:
    def call(name: str) -> Call:
        return Call(id=name, service="anthropic", operation="x", models=("m",), worst={"input_tokens": 6 * 10**9})

    async with (
        aegis.open_governor(postgres, budgets={"month": "10.00"}, prices=PRICES) as one,
        aegis.open_governor(postgres, budgets={"month": "10.00"}, prices=PRICES) as two,
    ):
        async with one.admit(call("c1")) as admitted:
            admitted.settle({"input_tokens": 5 * 10**9})
        with pytest.raises(BudgetExceeded):
            async with two.admit(call("c2")):
                pass
        assert [balance.settled for balance in await two.balances()] == [5 * 10**9]
