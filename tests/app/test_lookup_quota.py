"""What VirusTotal grants is learned: the shipped quota follows it, a person's own word does not."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.app.test_budget_messages import NOON
from tests.app.test_callout import outside

from aegis.app import App, Machine, open_app, overrides
from aegis.app.lookup_quota import learning
from aegis.app.services import quotas
from aegis.core.ports import Http, HttpRequest
from aegis.core.telemetry import RequestsLeft
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.room import Terms
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing import Recorder
from aegis.testing.clock import FakeClock
from aegis.web.metrics import Metrics

pytestmark = pytest.mark.anyio


async def limit(app: App) -> int:
    await app.chores[1]()
    (found,) = [one for one in await app.governor.balances() if one.budget == "virustotal"]
    return found.limit


async def learned(home: Path, per_day: int, *, own: int | None = None) -> int:
    """The limit after one reading, where VirusTotal grants so many look-ups a day and a person may have set one."""
    clock, ways = FakeClock(NOON), list[Http]()

    def watch(http: Http) -> Http:
        ways.append(http)
        return http

    async with serve(World(clock=clock, terms=Terms(virustotal_per_day=per_day))) as sandbox:
        config, keys = sandbox_config(sandbox), SandboxKeys(sandbox)
        async with open_app(config, home=home, resolve=keys, machine=Machine(clock=clock, watch_http=watch)) as app:
            if own is not None:
                word = overrides.Override(
                    budget="virustotal", window="day", level="emergency", amount=own, by="ada", at=NOON
                )
                await overrides.add(app.lookups, (*config.budgets, *quotas(config)), word)
            ((_name, _every, learn),) = learning(app, ways[0], keys)
            await learn(NOON)
            await learn(NOON + timedelta(days=1))
            return await limit(app)


@pytest.mark.parametrize(("granted", "held"), [(500, 500), (1, 1), (20_000, 20_000)])
async def test_the_shipped_quota_is_what_virustotal_says(tmp_path: Path, granted: int, held: int) -> None:
    assert await learned(tmp_path, granted) == held


async def test_a_persons_own_number_stands(tmp_path: Path) -> None:
    assert await learned(tmp_path, 20_000, own=300) == 300


async def test_a_service_that_is_away_changes_nothing(tmp_path: Path) -> None:
    async with outside() as (sandbox, world, clock):
        ways: list[Http] = []

        def watch(http: Http) -> Http:
            ways.append(http)
            return http

        config, keys = sandbox_config(sandbox), SandboxKeys(sandbox)
        async with open_app(config, home=tmp_path, resolve=keys, machine=Machine(clock=clock, watch_http=watch)) as app:
            world.fault("virustotal", "503", count=1)
            ((_name, _every, learn),) = learning(app, ways[0], keys)
            await learn(NOON)
            assert await limit(app) == 500


async def test_a_budget_that_somebody_wrote_stands(tmp_path: Path) -> None:
    async with outside() as (sandbox, _world, clock):
        written = "budgets: {virustotal: {scope: {service: virustotal}, meter: requests, daily: {emergency: 50}}}\n"
        config, keys, ways = sandbox_config(sandbox, more=written), SandboxKeys(sandbox), list[Http]()

        def watch(http: Http) -> Http:
            ways.append(http)
            return http

        async with open_app(config, home=tmp_path, resolve=keys, machine=Machine(clock=clock, watch_http=watch)) as app:
            ((_name, _every, learn),) = learning(app, ways[0], keys)
            await learn(NOON)
            assert await limit(app) == 50


async def test_what_is_left_of_the_day_is_told_also_where_somebody_wrote_the_budget(tmp_path: Path) -> None:
    clock, ways, told = FakeClock(NOON), list[Http](), Recorder()

    def watch(http: Http) -> Http:
        ways.append(http)
        return http

    written = "budgets: {virustotal: {scope: {service: virustotal}, meter: requests, daily: {emergency: 50}}}\n"
    async with serve(World(clock=clock, terms=Terms(virustotal_per_day=3))) as sandbox:
        config, keys = sandbox_config(sandbox, more=written), SandboxKeys(sandbox)
        async with open_app(config, home=tmp_path, resolve=keys, machine=Machine(clock=clock, watch_http=watch)) as app:
            app.hub.add(told)
            metrics = Metrics()
            app.hub.add(metrics)
            ((_name, _every, learn),) = learning(app, ways[0], keys)
            await learn(NOON)
            url = f"{sandbox.addresses()['virustotal']}/api/v3/ip_addresses/203.0.113.9"
            service = config.services["virustotal"].key
            assert service is not None
            head = {"x-apikey": keys(service).reveal()}
            await ways[0].send(HttpRequest(service="virustotal", method="GET", url=url, headers=head))
            await learn(NOON)
    assert [one.left for one in told.happened if isinstance(one, RequestsLeft)] == [3, 2]
    assert 'aegis_service_requests_left{service="virustotal"} 2.0' in metrics.render()[0].decode()
