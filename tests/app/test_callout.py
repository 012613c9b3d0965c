"""From a page to the conference on a whole Aegis: real lanes, the sandbox's mail, texts and calls, an injected clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.app.living import trail_stopped
from tests.app.test_budget_messages import NOON, spend

from aegis.app import App, Machine, open_app
from aegis.app.silencing import silence_of
from aegis.core.incidents import Incident
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World
from aegis.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

PEOPLE = """\
budgets: {everything: {daily: {warning: 5.00, critical: 8.00, emergency: 10.00}}}
prices: {other/m: {input_tokens: 1000000}}
contacts:
  team-lead: {email: team-lead@example.com, phone: +1-555-010-0101, roles: [lead]}
  eng-manager: {email: eng-manager@example.com, phone: +1-555-010-0102, roles: [manager]}
  cto: {email: cto@example.com, phone: +1-555-010-0104, tier: secondary}
escalation: {bridge: +1-555-010-0199}
"""


class Callout:
    """A whole Aegis and what its people got."""

    def __init__(self, app: App, world: World, clock: FakeClock) -> None:
        self.app, self.world, self.clock = app, world, clock

    async def opens(self) -> Incident:
        await self.app.take(trail_stopped(), source="cloudtrail")
        await self.app.finish(wait_ms=0)
        return (await self.app.incidents.recent(1))[0]

    async def after(self, minutes: int) -> None:
        for _ in range(minutes):
            self.clock.pass_ms(55_000)
            for chore in self.app.chores:
                await chore()
            for _ in range(5):  # one call a second
                await self.app.lanes.drain(until=self.clock.now())
                self.clock.pass_ms(1_000)

    def mailed(self) -> list[str]:
        return [to for one in self.world.documents("email", "letter") for to in one["to"] if to != "soc@example.com"]

    def reached(self, kind: str) -> list[str]:
        return sorted(one["to"] for one in self.world.documents("twilio", kind) if one["to"] != "+15005550001")


@asynccontextmanager
async def running(home: Path, sandbox: Serving, world: World, clock: FakeClock) -> AsyncIterator[Callout]:
    config = sandbox_config(sandbox, more=PEOPLE, extra=("email", "twilio"))
    machine = Machine(clock=clock)
    async with open_app(
        config, home=home, resolve=SandboxKeys(sandbox), machine=machine, link_base="https://aegis.example.com"
    ) as app:
        yield Callout(app, world, clock)


@asynccontextmanager
async def outside() -> AsyncIterator[tuple[Serving, World, FakeClock]]:
    clock = FakeClock(NOON)
    world = World(clock=clock)
    async with serve(world) as sandbox:
        yield sandbox, world, clock


async def test_from_the_page_to_the_conference_and_a_restart_in_between(tmp_path: Path) -> None:
    async with outside() as (sandbox, world, clock):
        async with running(tmp_path, sandbox, world, clock) as there:
            known = await there.opens()
            await there.after(1)
            assert there.mailed() == ["team-lead@example.com"]
            assert there.reached("message") == ["+15550100102"], "the manager, at once"
            await there.after(5)
        async with running(tmp_path, sandbox, world, clock) as again:
            await again.after(8)
            assert again.reached("call") == []
            await again.after(3)
            assert again.reached("call") == ["+15550100101", "+15550100102", "+15550100104"]
            assert again.reached("message") == ["+15550100101", "+15550100102", "+15550100102", "+15550100104"]
            assert sorted(again.mailed()) == [
                *("cto@example.com", "eng-manager@example.com", "team-lead@example.com", "team-lead@example.com"),
            ]
            joined = [
                one for one in world.received("twilio").records if "Calls" in one.path and "15550100199" in one.body
            ]
            assert len(joined) == 3
            await again.after(60)
            assert len(again.reached("call")) == 3
            after = await again.app.incidents.get(known.id)
    assert after is not None
    steps = [entry.text for entry in after.timeline if entry.kind == "escalated"]
    assert len(steps) == 3


async def test_somebody_acts_and_nobody_else_is_woken(tmp_path: Path) -> None:
    async with outside() as (sandbox, world, clock), running(tmp_path, sandbox, world, clock) as there:
        known = await there.opens()
        await there.after(1)
        await there.app.desk.acknowledge(known.id, "anna", "slack")
        await there.after(60)
        assert there.reached("call") == []
        assert there.mailed() == ["team-lead@example.com"] * 2, "the second says that somebody has it"


async def test_alarms_leave_during_an_emergency_stop_and_after_the_budget_is_used_up(tmp_path: Path) -> None:
    async with outside() as (sandbox, world, clock), running(tmp_path, sandbox, world, clock) as there:
        await there.app.governor.stop({}, "stolen key")
        await there.opens()
        await there.after(16)
        assert there.reached("call")
        assert there.reached("message")
        await there.app.governor.resume({}, "over")
        await spend(there.app, 10, 1)
        before = len(there.reached("call"))
        await there.after(1)
        assert len(there.reached("call")) > before, "an emergency of the budget itself calls everybody"


async def test_a_silence_from_elsewhere_holds_within_a_turn_and_tells_when_it_ends(tmp_path: Path) -> None:
    async with outside() as (sandbox, world, clock), running(tmp_path, sandbox, world, clock) as there:
        silence = silence_of("sil_1", now=NOON, matchers=["source=*"], owner="ops", reason="deploy", length="30m")
        await there.app.silences.add(silence, now=NOON)
        await there.after(1)
        known = await there.opens()
        await there.after(20)
        assert there.mailed() == []
        assert not world.received("pagerduty").records
        assert world.received("splunk").records, "the record has no gap"
        await there.after(11)
        assert there.mailed()[0] == "team-lead@example.com"
        assert world.received("pagerduty").records
        (kept,) = await there.app.silences.newest(10)
        assert kept.held >= 1
        assert (await there.app.incidents.get(known.id)).held is None  # type: ignore[union-attr]
