# mypy: allow-untyped-calls
"""The vendors' own clients: they accept what we send as their own, and read what the sandbox answers."""

from typing import Any

import anyio
import pagerduty
import pytest
import vt
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.model_utils import validate_and_convert_types
from datadog_api_client.v1.api.events_api import EventsApi
from datadog_api_client.v1.model.event_create_request import EventCreateRequest
from datadog_api_client.v2.api.metrics_api import MetricsApi
from datadog_api_client.v2.model.event_create_request_payload import EventCreateRequestPayload
from datadog_api_client.v2.model.metric_payload import MetricPayload
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import Block
from slack_sdk.web import WebClient
from tests.connectors.stories import EVERY, HOSTILE, HUGE, NOW, SECRET, hostile, notification
from tests.connectors.test_against_sandbox import town

from aegis.connectors import datadog, slack
from aegis.connectors import pagerduty as our_pagerduty
from aegis.core.incidents import Observable
from aegis.core.notifications import Button, MetricPoint

pytestmark = pytest.mark.anyio

BUTTON = Button(label="Acknowledge", verb="acknowledge", url="https://aegis.example/act/abc.def")
TOLD = [notification(severity, change, buttons=(BUTTON,)) for severity, change in EVERY] + [
    hostile(text) for text in (*HOSTILE, HUGE)
]
POINTS = [
    MetricPoint(name="aegis.incidents_total", kind="count", value=3, at=NOW, tags={"severity": "HIGH"}),
    MetricPoint(name="aegis.spent_nanos", kind="gauge", value=5, at=NOW),
]


def test_slacks_own_models_find_nothing_wrong_with_our_blocks() -> None:
    for told in TOLD:
        for interactive in (False, True):
            message = slack.payload(told, interactive=interactive)
            (attachment,) = message["attachments"]
            for blocks in (message["blocks"], attachment["blocks"], slack.thread_payload(told)["blocks"]):
                for block in Block.parse_all(blocks):
                    block.validate_json()
            parsed = Block.parse_all(attachment["blocks"])
            BlockAttachment(blocks=parsed, color=attachment["color"]).validate_json()


async def test_slacks_own_client_posts_edits_and_answers_in_the_sandbox() -> None:
    def talk(url: str) -> tuple[Any, ...]:
        client = WebClient(token="xoxb-sandbox", base_url=f"{url}/slack/api/")
        message = slack.payload(notification())
        posted = client.chat_postMessage(channel="#incidents", **message)
        edited = client.chat_update(channel=posted["channel"], ts=posted["ts"], **message)
        answered = client.chat_postMessage(channel=posted["channel"], thread_ts=posted["ts"], text="noted")
        history = client.conversations_history(channel=posted["channel"])
        return posted["ok"], edited["ts"] == posted["ts"], answered["ok"], len(history["messages"])

    async with town() as here:
        assert await anyio.to_thread.run_sync(talk, here.at.url) == (True, True, True, 1)
        assert here.world.received("slack").rejected == 0


def test_datadogs_own_models_take_our_events_and_series() -> None:
    for told in TOLD:
        _as_theirs(datadog.payload(told), EventCreateRequest)
        _as_theirs(datadog.payload_v2(told), EventCreateRequestPayload)
    _as_theirs(datadog.series(POINTS), MetricPayload)
    with pytest.raises(AssertionError):
        _as_theirs({"series": [{"metric": "x", "type": "count", "points": []}]}, MetricPayload)


def _as_theirs(payload: Any, model: type[Any]) -> Any:
    """The payload as the client's own model, which marks what it could not read as `_unparsed`."""
    made = validate_and_convert_types(
        payload, (model,), ["payload"], spec_property_naming=True, check_type=True, configuration=Configuration()
    )
    assert not made._unparsed
    return made


async def test_datadogs_own_client_reads_the_sandboxs_answers() -> None:
    def talk(url: str) -> tuple[Any, ...]:
        configuration = Configuration(host=f"{url}/datadog", api_key={"apiKeyAuth": "sandbox", "appKeyAuth": "sandbox"})
        with ApiClient(configuration) as client:
            metrics = MetricsApi(client).submit_metrics(body=_as_theirs(datadog.series(POINTS), MetricPayload))
            event = EventsApi(client).create_event(body=_as_theirs(datadog.payload(notification()), EventCreateRequest))
        return list(metrics.errors), str(event.status)

    async with town() as here:
        assert await anyio.to_thread.run_sync(talk, here.at.url) == ([], "ok")
        assert here.world.received("datadog").rejected == 0


async def test_pagerdutys_own_clients_page_list_and_note_in_the_sandbox() -> None:
    told = notification()

    def talk(url: str) -> tuple[Any, ...]:
        events = pagerduty.EventsApiV2Client(SECRET.reveal())
        payload = our_pagerduty.payload(told)
        theirs = {key: value for key, value in payload.items() if key not in ("event_action", "dedup_key")}
        rest = pagerduty.RestApiV2Client("token", default_from="a@example.com")
        events._url = rest._url = f"{url}/pagerduty"  # its own setter takes https only
        key = events.send_event("trigger", payload["dedup_key"], **theirs)
        events.acknowledge(key)
        (incident,) = rest.list_all("incidents", params={"incident_key": key})
        note = rest.rpost(f"incidents/{incident['id']}/notes", json={"content": "seen"})
        events.resolve(key)
        return key, incident["status"], note["content"], [one["status"] for one in rest.list_all("incidents")]

    async with town() as here:
        said = await anyio.to_thread.run_sync(talk, here.at.url)
        assert said == (told.dedup_key, "acknowledged", "seen", ["resolved"])
        assert here.world.received("pagerduty").rejected == 0


async def test_virustotals_own_client_and_ours_read_the_same() -> None:
    async with town() as here:
        client = vt.Client("sandbox", host=f"{here.at.url}/virustotal")
        try:
            theirs = await client.get_object_async("/ip_addresses/8.8.8.8")
            quotas = await client.get_async("/users/sandbox/overall_quotas")
        finally:
            await client.close_async()
        ours = await here.connector("virustotal").enrich(Observable("ip", "8.8.8.8"))
    assert f"{theirs.last_analysis_stats['malicious']} of" in ours.finding.facts["engines"]
    assert quotas.status == 200
