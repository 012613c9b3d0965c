"""Claims about whole exchanges: real connectors over the real transport against the stand-in of every service."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.connectors.stories import (
    CANARY,
    EVERY,
    HOSTILE,
    HUGE,
    NOW,
    SECRET,
    FixedClock,
    hostile,
    new_id,
    notification,
    shown_secret,
)

from aegis.connectors.attack import Config as AttackConfig
from aegis.connectors.attack import fetch
from aegis.connectors.registry import build
from aegis.core.errors import Billed, ServiceError
from aegis.core.incidents import Observable, Severity
from aegis.core.notifications import Change, MetricPoint
from aegis.core.ports import Http, HttpAnswer, HttpRequest, ModelRequest, Notifier
from aegis.core.secret import Secret
from aegis.sandbox.faults import NOT_DONE, Fault, Mode
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World
from aegis.transport.http import OutboundHttp

pytestmark = pytest.mark.anyio


def settings(at: Serving) -> Mapping[str, Callable[[], dict[str, Any]]]:
    """The values of each connector's config that lead to the sandbox."""
    url = at.url
    return {
        "slack": lambda: {"token": Secret("xoxb-" + CANARY), "channel": "#incidents", "base_url": f"{url}/slack"},
        "teams": lambda: {"webhook": Secret(f"{url}/teams/workflows/1?sig={CANARY}")},
        "discord": lambda: {"webhook": Secret(f"{url}/discord/api/webhooks/123456789012345678/{CANARY}")},
        "pagerduty": lambda: {
            "routing_key": SECRET,
            "base_url": f"{url}/pagerduty",
            "rest_token": SECRET,
            "rest_from": "aegis@example.com",
            "rest_url": f"{url}/pagerduty",
        },
        "jira": lambda: {"base_url": f"{url}/jira", "email": "a@example.com", "token": SECRET, "project": "SEC"},
        "datadog": lambda: {"api_key": SECRET, "base_url": f"{url}/datadog"},
        "splunk": lambda: {"token": SECRET, "base_url": f"{url}/splunk"},
        "sentry": lambda: {"dsn": Secret(at.sentry_dsn(CANARY))},
        "virustotal": lambda: {"api_key": SECRET, "base_url": f"{url}/virustotal"},
        "anthropic": lambda: {"key": SECRET, "base_url": f"{url}/anthropic"},
    }


NOTIFIERS = ("slack", "teams", "discord", "pagerduty", "jira", "datadog", "splunk", "sentry")
by_notifier = pytest.mark.parametrize("name", NOTIFIERS)


@dataclass
class Town:
    """The sandbox and a way to build connectors that lead to it."""

    world: World
    at: Serving
    http: Http

    def connector(self, name: str) -> Any:
        return build(name, settings(self.at)[name](), self.http, clock=FixedClock(), new_id=new_id)


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    world = World(clock=FixedClock())
    http = OutboundHttp(clock=FixedClock(), observer=lambda _happened: None)
    async with serve(world) as at:
        try:
            yield Town(world, at, http)
        finally:
            await http.close()


@by_notifier
async def test_every_severity_and_change_is_accepted(name: str) -> None:
    async with town() as here:
        connector = here.connector(name)
        for severity, change in EVERY:
            await connector.notify(notification(severity, change), remote_id="")
        tally = here.world.received(name)
    assert tally.received >= len(EVERY)
    assert (tally.rejected, tally.faulted) == (0, 0)


@by_notifier
async def test_hostile_text_is_accepted_as_text(name: str) -> None:
    async with town() as here:
        connector = here.connector(name)
        for text in (*HOSTILE, HUGE):
            await connector.notify(hostile(text), remote_id="")
        tally = here.world.received(name)
    assert tally.received >= len(HOSTILE) + 1
    assert tally.rejected == 0


@pytest.mark.parametrize("name", ["slack", "discord"])
async def test_the_life_of_an_incident_is_one_message(name: str) -> None:
    async with town() as here:
        remote_id = await live(here, name, ("opened", "analysed", "raised", "acknowledged", "resolved"))
        assert remote_id
        assert len([one for one in here.world.documents(name, "message") if not one.get("thread_ts")]) == 1


async def test_the_life_of_an_incident_is_one_issue_that_ends_done() -> None:
    async with town() as here:
        await live(here, "jira", ("opened", "analysed", "raised", "acknowledged", "resolved"))
        issues = here.world.documents("jira", "issue")
    assert len(issues) == 1
    assert "'done'" in repr(issues[0]).lower()


async def live(here: Town, name: str, changes: tuple[Change, ...]) -> str:
    connector, remote_id = here.connector(name), ""
    for version, change in enumerate(changes, start=1):
        told = notification(Severity.HIGH, change, version=version)
        remote_id = (await connector.notify(told, remote_id=remote_id)).remote_id
    assert here.world.received(name).rejected == 0
    return str(remote_id)


@pytest.mark.parametrize(
    ("name", "step", "kind"), [("jira", "/rest/api/3/issue", "issue"), ("pagerduty", "/v2/enqueue", "incident")]
)
async def test_a_request_that_was_done_and_never_answered_makes_no_duplicate(name: str, step: str, kind: str) -> None:
    async with town() as here:
        here.http = Losing(here.http, here.world, name, step)
        connector = here.connector(name)
        with pytest.raises(ServiceError) as caught:
            await connector.notify(notification(), remote_id="")
        assert (caught.value.billed, caught.value.retryable) == (Billed.UNKNOWN, True)
        await connector.notify(replace(notification(), again=True), remote_id="")
        assert len(here.world.documents(name, kind)) == 1


@by_notifier
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.OK])
async def test_what_a_service_did_not_do_is_never_taken_for_done(name: str, mode: Mode) -> None:
    async with town() as here:
        here.world.put_fault(name, Fault(mode=mode, retry_after_s=3, delay_ms=1))
        here.http = Hasty(here.http)
        error = await outcome(here.connector(name))
    if error is None:
        assert mode not in NOT_DONE
        return
    assert not shown_secret(error)
    assert error.retryable is (mode is not Mode.UNAUTHORIZED)
    if mode is Mode.LIMITED:
        assert error.retry_after_ms == 3_000


async def outcome(connector: Notifier) -> ServiceError | None:
    try:
        await connector.notify(notification(), remote_id="")
    except ServiceError as error:
        return error
    return None


@dataclass
class Losing:
    """The first request of one step is done by the service and its answer lost."""

    http: Http
    world: World
    name: str
    step: str
    lost: bool = False

    async def send(self, request: HttpRequest) -> HttpAnswer:
        if request.url.endswith(self.step) and not self.lost:
            self.lost = True
            self.world.fault(self.name, "lost", count=1)
        return await self.http.send(request)


@dataclass
class Hasty:
    """Waits a fifth of a second for an answer instead of many seconds."""

    http: Http

    async def send(self, request: HttpRequest) -> HttpAnswer:
        return await self.http.send(replace(request, timeout_ms=200))


async def test_metrics_are_accepted() -> None:
    points = [
        MetricPoint(name="aegis.incidents_total", kind="count", value=3, at=NOW, tags={"severity": "HIGH"}),
        MetricPoint(name="aegis.spent_nanos", kind="gauge", value=5, at=NOW),
    ]
    async with town() as here:
        await here.connector("datadog").push(points)
        assert (here.world.received("datadog").received, here.world.received("datadog").rejected) == (1, 0)


@pytest.mark.parametrize(
    "observable",
    [
        Observable("ip", "8.8.8.8"),
        Observable("domain", "evil-site.com"),
        Observable("url", "https://evil-site.com/a?b=c"),
        Observable("file_hash", "a" * 64),
    ],
)
async def test_every_kind_of_observable_is_answered(observable: Observable) -> None:
    async with town() as here:
        enriched = await here.connector("virustotal").enrich(observable)
        assert enriched.usage == {"requests": 1}
        assert here.world.received("virustotal").rejected == 0


async def test_a_question_is_answered_in_the_schema_and_within_its_worst_case() -> None:
    schema = {
        "type": "object",
        "properties": {"summary": {"type": "string"}, "confidence": {"enum": ["low", "medium", "high"]}},
        "required": ["summary", "confidence"],
        "additionalProperties": False,
    }
    asked = ModelRequest(
        model="claude-sonnet-5-5",
        system="You analyse incidents.",
        user="An incident: 412 failed logins, then one success.",
        schema=schema,
        output_tokens_max=2_000,
    )
    async with town() as here:
        analyst = here.connector("anthropic")
        got = await analyst.complete(asked)
        worst = analyst.worst(asked)
    assert got.complete
    assert all(got.usage[meter] <= worst.get(meter, 0) for meter in got.usage)


async def test_the_catalogue_is_fetched() -> None:
    async with town() as here:
        config = AttackConfig(base_url=f"{here.at.url}/attack")
        assert (await fetch(config, here.http, clock=FixedClock())).entries
