"""Virtual keys as targets: exactly those of the scope, held by one stop, given back by that stop only."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from aegis.core.errors import BadInput
from aegis.core.virtualkeys import VirtualKey
from aegis.emergency.virtual_keys import VirtualKeys
from aegis.stores.database import Database
from aegis.stores.keys import SqliteKeys
from aegis.testing import START, FakeClock, FixedIds

pytestmark = pytest.mark.anyio


@pytest.fixture
async def keys() -> AsyncIterator[SqliteKeys]:
    database = await Database.open(":memory:")
    store = SqliteKeys(database)
    for name, team in (("ci-bot", "build"), ("chat", "web"), ("old", "web")):
        await store.add(VirtualKey(id=name.upper(), hash=b"x", name=name, team=team, created_at=START), now=START)
    await store.revoke("old", now=START)
    yield store
    await database.close()


def actuator(keys: SqliteKeys) -> VirtualKeys:
    return VirtualKeys(keys, clock=FakeClock(), new_id=FixedIds())


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ({}, ["chat", "ci-bot"]),
        ({"key": "ci-bot"}, ["ci-bot"]),
        ({"team": "web"}, ["chat"]),
        ({"team": "web", "key": "ci-bot"}, []),
        ({"service": "anthropic"}, []),
        ({"key": "chat", "model": "m"}, []),
    ],
)
async def test_a_plan_names_the_live_keys_of_its_scope(
    keys: SqliteKeys, scope: dict[str, str], names: list[str]
) -> None:
    assert sorted(target.name for target in await actuator(keys).plan_targets(scope)) == names


async def test_a_key_is_held_and_given_back_by_the_stop_that_holds_it(keys: SqliteKeys) -> None:
    hands = actuator(keys)
    (target,) = await hands.plan_targets({"key": "ci-bot"})
    (other,) = await hands.plan_targets({"key": "ci-bot"})
    for _ in range(2):  # twice changes nothing
        await hands.stop(target)
    assert await hands.status(target) == "stopped"
    with pytest.raises(BadInput, match="another stop"):
        await hands.stop(other)
    await hands.restore(other)
    assert await hands.status(target) == "stopped"

    for _ in range(2):
        await hands.restore(target)
    assert await hands.status(target) == "running"


async def test_a_key_that_was_revoked_meanwhile_stays_revoked(keys: SqliteKeys) -> None:
    hands = actuator(keys)
    (target,) = await hands.plan_targets({"key": "ci-bot"})
    await hands.stop(target)
    await keys.revoke("ci-bot", now=START)
    await hands.restore(target)
    assert await hands.status(target) == "gone"
    with pytest.raises(BadInput, match="ended since"):
        await hands.stop(replace(target, saved={"hold": "hld_2"}))
