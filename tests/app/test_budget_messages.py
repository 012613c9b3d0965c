"""What people are told when a budget level is crossed, as the first specification has it: mail, message and call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.connectors.stories import notification

from aegis.app import App, Machine, open_app
from aegis.core.calls import Call
from aegis.core.errors import Refused
from aegis.core.money import usd
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SEED = """\
budgets: {everything: {daily: {warning: 5.00, critical: 8.00, emergency: 10.00}}}
actions:
  warning: [log, email]
  critical: [log, email, sms, reduce_limits]
  emergency: [shutdown, disable_keys, alert_all]
prices: {other/m: {input_tokens: 1000000}}
"""
"""A dollar a token."""


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[tuple[App, World]]:
    clock = FakeClock(NOON)
    world = World(clock=clock)
    async with serve(world) as sandbox:
        config = sandbox_config(sandbox, more=SEED, extra=("email", "twilio"))
        machine, keys = Machine(clock=clock), SandboxKeys(sandbox)
        base = "https://aegis.example.com"
        async with open_app(config, home=home, resolve=keys, machine=machine, link_base=base) as app:
            yield app, world


async def spend(app: App, dollars: int, number: int) -> None:
    """One call of so many dollars, everything that follows from it, and its messages."""
    worst = {"input_tokens": dollars}
    call = Call(id=f"call_{number}", service="other", operation="ask", models=("m",), worst=worst)
    async with app.governor.admit(call) as reservation:
        reservation.settle(worst)
    await app.governor.tick()
    await app.work_events()
    await app.lanes.drain(until=app.clock.now())
    await app.actions.turn()


def told(world: World) -> tuple[int, int, int]:
    """Letters, messages and calls so far."""
    return (
        len(world.documents("email", "letter")),
        len(world.documents("twilio", "message")),
        len(world.documents("twilio", "call")),
    )


async def test_each_level_reaches_the_people_that_it_names(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, world):
        await spend(app, 5, 1)
        assert (told(world), app.governor.stopped()) == ((1, 0, 0), ())
        await spend(app, 3, 2)
        assert told(world) == (2, 1, 0)
        slowed = {(one.grade, one.percent) for one in app.governor.stopped()}
        assert slowed == {(0, 50)}, "reduce_limits is G0"
        await spend(app, 2, 3)
        assert told(world) == (3, 2, 1)
        assert [one.grade for one in app.governor.stopped() if not one.scope] == [2], "shutdown is G1 and G2"
        refused = [
            record.refused for name in ("email", "twilio") for record in world.received(name).records if record.refused
        ]
    assert refused == []


async def test_a_budget_mail_holds_cost_threshold_time_what_to_do_and_the_page(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, world):
        await spend(app, 5, 1)
        [letter] = world.documents("email", "letter")
    assert "crossed warning" in letter["subject"]
    for needed in (
        "Spent: $5.0000",
        "Threshold: $5.00",
        "Limit: $10.00",
        "Crossed: 2026-11-21 12:00:00 UTC",
        "Next window: 2026-11-22 00:00:00 UTC",
        "What to do now",
        "1. Look at who spent it",
        "https://aegis.example.com/incidents/inc_",
    ):
        assert needed in letter["text"], needed
    assert 'href="https://aegis.example.com/incidents/inc_' in letter["html"]


async def test_a_budget_message_names_the_level_and_the_page_and_is_paid_from_its_own_budget(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, world):
        await spend(app, 8, 1)
        [message] = world.documents("twilio", "message")
        balances = {balance.budget: balance.settled for balance in await app.governor.balances()}
    assert message["to"] == "+15005550001"
    assert "crossed critical" in message["body"]
    assert "https://aegis.example.com/incidents/inc_" in message["body"]
    assert 0 < balances["alarms"] <= 3 * usd("0.0083")
    assert balances["everything"] == usd("8")


async def test_people_are_told_of_the_emergency_though_everything_is_spent_and_stopped(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, world):
        await spend(app, 10, 1)
        [call] = world.documents("twilio", "call")
        with pytest.raises(Refused):
            await spend(app, 1, 2)
        await app.governor.stop({}, "everything")
        receipt = await app.messengers["sms"].send("+15005550009", notification())
    assert "crossed emergency" in call["spoken"]
    assert receipt.remote_id.startswith("SM")
