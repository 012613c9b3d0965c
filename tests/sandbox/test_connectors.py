"""Our own connectors, over real HTTP, are understood by every service of the sandbox: nothing that they send is refused."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, get_args

import pytest
from tests.connectors.stories import HOSTILE, HUGE, hostile, new_id, notification
from tests.sandbox.places import Client

from aegis.connectors.registry import build
from aegis.core.errors import Billed, ServiceError
from aegis.core.incidents import Observable, Severity, Verdict
from aegis.core.notifications import Change, MetricPoint
from aegis.core.ports import ModelRequest
from aegis.core.secret import Secret
from aegis.incidents.answer import SCHEMA, strict_object
from aegis.sandbox.faults import Mode
from aegis.transport.http import OutboundHttp

pytestmark = pytest.mark.anyio

CANARY = Secret("canary-credential-7d1e")
NOTIFIERS = ["slack", "teams", "discord", "pagerduty", "jira", "datadog", "splunk", "sentry"]
EICAR = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"


def values(client: Client, name: str) -> dict[str, Any]:
    """The configuration of a connector that leads to the sandbox."""
    base = {"base_url": client.serving.addresses()[name]}
    special: dict[str, dict[str, Any]] = {
        "slack": {**base, "token": CANARY, "channel": "#incidents"},
        "teams": {"webhook": Secret(f"{base['base_url']}/workflows/x?sig={CANARY.reveal()}")},
        "discord": {"webhook": Secret(f"{base['base_url']}/api/webhooks/123456789/{CANARY.reveal()}")},
        "pagerduty": {**base, "routing_key": Secret("e" * 32)},
        "jira": {**base, "email": "a@example.com", "token": CANARY, "project": "SEC"},
        "sentry": {"dsn": Secret(client.serving.sentry_dsn(CANARY.reveal()))},
        "splunk": {**base, "token": CANARY},
        "anthropic": {**base, "key": CANARY},
    }
    return special.get(name, {**base, "api_key": CANARY})


@pytest.fixture
async def http(client: Client) -> AsyncIterator[OutboundHttp]:
    door = OutboundHttp(clock=client.clock, observer=lambda _happened: None)
    yield door
    await door.close()


def make(client: Client, http: OutboundHttp, name: str) -> Any:
    return build(name, values(client, name), http, clock=client.clock, new_id=new_id)


@pytest.mark.parametrize("name", NOTIFIERS)
async def test_every_change_of_an_incident_is_understood(client: Client, http: OutboundHttp, name: str) -> None:
    connector, remote = make(client, http, name), ""
    for version, change in enumerate(get_args(Change), start=1):
        told = notification(Severity.CRITICAL, change, version=version, at=client.clock.now())
        receipt = await connector.notify(told, remote_id=remote)
        remote = receipt.remote_id or remote
    tally = client.world.received(name)
    assert [record.refused for record in tally.records if record.refused] == []
    unsaid = {"pagerduty": 1}.get(name, 0)  # a note goes through the REST API, for which no token was given
    assert tally.received >= len(get_args(Change)) - unsaid
    assert tally.first_line
    assert CANARY.reveal() not in repr(tally.records)


@pytest.mark.parametrize("name", NOTIFIERS)
@pytest.mark.parametrize("text", [*HOSTILE, HUGE])
async def test_hostile_and_huge_text_is_taken_too(client: Client, http: OutboundHttp, name: str, text: str) -> None:
    await make(client, http, name).notify(hostile(text), remote_id="")
    assert [record.refused for record in client.world.received(name).records if record.refused] == []


@pytest.mark.parametrize(("name", "kind"), [("pagerduty", "incident"), ("jira", "issue")])
async def test_a_page_or_ticket_whose_answer_was_lost_is_made_once(
    client: Client, http: OutboundHttp, name: str, kind: str
) -> None:
    """The service did its work, the answer never came."""
    connector = make(client, http, name)
    client.world.fault(name, "lost", count=1)
    with pytest.raises(ServiceError):
        await connector.notify(notification(), remote_id="")
    assert len(client.world.documents(name, kind)) == 1
    await connector.notify(replace(notification(), again=True), remote_id="")
    assert len(client.world.documents(name, kind)) == 1


async def test_metrics_are_taken(client: Client, http: OutboundHttp) -> None:
    point = MetricPoint(name="aegis.incidents", kind="count", value=3, at=client.clock.now(), tags={"severity": "high"})
    await make(client, http, "datadog").push([point])
    assert client.world.received("datadog").first_line == "1 points of aegis.incidents"


async def test_a_file_is_looked_up_and_found_malicious(client: Client, http: OutboundHttp) -> None:
    found = await make(client, http, "virustotal").enrich(Observable("file_hash", EICAR))
    assert found.finding.verdict is Verdict.MALICIOUS


async def test_the_analysis_that_comes_back_follows_our_schema_and_is_billed_as_counted(
    client: Client, http: OutboundHttp
) -> None:
    connector = make(client, http, "anthropic")
    request = ModelRequest(
        model="claude-sonnet-5-5", system="Explain.", user='{"severity":"HIGH"}', schema=SCHEMA, output_tokens_max=900
    )
    answer = await connector.complete(request)
    assert answer.complete
    assert strict_object(answer.text).keys() == set(SCHEMA["required"])  # type: ignore[call-overload]
    usage, worst = dict(answer.usage), connector.worst(request)
    assert all(usage[meter] <= worst.get(meter, 0) for meter in usage)
    expected = usage["input_tokens"] * 2_000 + usage["output_tokens"] * 10_000
    assert client.world.received("anthropic").billed == expected


@pytest.mark.parametrize("name", NOTIFIERS)
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode not in (Mode.OK, Mode.HANG, Mode.SLOW, Mode.DRIP)])
async def test_every_fault_is_told_as_a_service_error_or_no_failure(
    client: Client, http: OutboundHttp, name: str, mode: Mode
) -> None:
    """A wrong body may be no failure where only the status counts; nothing else than `ServiceError` may come out."""
    client.world.fault(name, mode.value, retry_after_s=7)
    error: ServiceError | None = None
    try:
        await make(client, http, name).notify(notification(), remote_id="")
    except ServiceError as raised:
        error = raised
    if error is None:
        assert mode in (Mode.GARBAGE, Mode.WRONG_JSON)
        return
    assert error.service == name
    assert CANARY.reveal() not in str(error)
    if mode is Mode.LIMITED:
        assert (error.retryable, error.retry_after_ms) == (True, 7_000)
    if mode in (Mode.LOST, Mode.CUT):
        assert error.billed is Billed.UNKNOWN
