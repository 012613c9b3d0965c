"""The round trip: a page is acknowledged in Slack, and PagerDuty, Jira, the escalation and who was told all know."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.app.test_budget_messages import NOON
from tests.app.test_callout import Callout

from aegis.app import Machine, open_app
from aegis.core.ports import Http
from aegis.core.references import parse_reference
from aegis.rehearsal.answering import acknowledge, seen, worst_page
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing.clock import FakeClock
from aegis.web.access import Access
from aegis.web.server import create
from aegis.web.serving import listen, serving

pytestmark = pytest.mark.anyio

SETTINGS = """\
contacts:
  lead: {email: lead@example.com}
  boss: {slack: U024BE7LH}
escalation:
  chains: [{name: page, steps: [{to: lead, by: email, wait: 10m}, {to: boss, by: slack, wait: 10m}]}]
inbound: {slack: {secret: env:SANDBOX_SLACK_SIGNING}}
"""


@asynccontextmanager
async def paged(home: Path) -> AsyncIterator[tuple[Callout, Http, str, SandboxKeys]]:
    """An Aegis with a page out, the way to its door, and its keys."""
    clock, ways = FakeClock(NOON), list[Http]()
    world = World(clock=clock)

    def watch(http: Http) -> Http:
        ways.append(http)
        return http

    async with serve(world) as sandbox:
        config, keys = sandbox_config(sandbox, more=SETTINGS, extra=("email",)), SandboxKeys(sandbox)
        machine = Machine(clock=clock, watch_http=watch)
        async with (
            open_app(config, home=home, resolve=keys, machine=machine) as app,
            serving(create(app, access=Access.in_folder(home)), listen("127.0.0.1", 0)) as address,
        ):
            there = Callout(app, world, clock)
            await there.opens()
            await there.after(1)
            yield there, ways[0], f"{address}/inbound/slack", keys


async def test_an_answer_in_slack_is_known_everywhere_and_wakes_nobody_else(tmp_path: Path) -> None:
    async with paged(tmp_path) as (there, http, door, keys):
        app, world, at = there.app, there.world, there.clock.now()
        known = (await worst_page(app)).id
        before = await seen(app, world, incident=known, by="", at=at)
        assert (before.pagerduty, before.jira_status, before.escalation, before.steps) == ("triggered", "To Do", "", 1)
        assert there.mailed() == ["lead@example.com"]

        secret = keys(parse_reference("env:SANDBOX_SLACK_SIGNING"))
        assert await acknowledge(app, world, http, incident=known, by="grace", door=door, secret=secret) == 200
        await there.after(30)

        after = await seen(app, world, incident=known, by="grace", at=at)
        assert after.slack.startswith("Acknowledged: ")
        assert after.pagerduty == "acknowledged"
        assert after.jira_status == "In Progress"
        assert "acknowledged by grace in Slack" in after.jira_comment
        assert (after.escalation, after.steps) == ("acknowledged", 1), "the second step never came"
        assert there.mailed() == ["lead@example.com"] * 2, "who was told hears that somebody has it"
        told = [one for one in world.documents("slack", "message") if one["channel"].startswith("D")]
        assert told == [], "nobody else was woken"


async def test_nobody_answers_and_the_next_step_comes(tmp_path: Path) -> None:
    async with paged(tmp_path) as (there, _http, _door, _keys):
        known = (await worst_page(there.app)).id
        await there.after(12)
        assert (await seen(there.app, there.world, incident=known, by="", at=NOON)).steps == 2


async def test_only_a_button_that_stands_there_can_be_pressed_and_only_with_the_secret(tmp_path: Path) -> None:
    async with paged(tmp_path) as (there, http, door, keys):
        known = (await worst_page(there.app)).id
        wrong, right = keys(parse_reference("env:SANDBOX_KEY")), keys(parse_reference("env:SANDBOX_SLACK_SIGNING"))
        given = {"by": "mallory", "door": door}
        assert await acknowledge(there.app, there.world, http, incident=known, secret=wrong, **given) == 401
        with pytest.raises(LookupError):
            await acknowledge(there.app, there.world, http, incident="inc_other", secret=right, **given)
        there.clock.pass_ms(int(timedelta(minutes=1).total_seconds() * 1_000))
        assert (await seen(there.app, there.world, incident=known, by="", at=NOON)).pagerduty == "triggered"
