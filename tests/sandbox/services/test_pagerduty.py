"""PagerDuty in the sandbox deduplicates as the Events API says, and keeps to its schema."""

from typing import Any

import pytest
from tests.sandbox.places import Client, Contracts

pytestmark = pytest.mark.anyio

PATH, KEY = "/pagerduty/v2/enqueue", "e" * 32


def event(action: str = "trigger", dedup: str = "inc-1", **payload: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"routing_key": KEY, "event_action": action, "dedup_key": dedup}
    if action == "trigger":
        body["payload"] = {"summary": "data leaves", "source": "aegis", "severity": "critical", **payload}
    return body


def statuses(client: Client) -> list[tuple[str, int]]:
    return [(one["status"], one["triggers"]) for one in client.world.documents("pagerduty", "incident")]


async def test_a_repeated_trigger_joins_the_open_alert(client: Client) -> None:
    for _ in range(3):
        answer = await client.post(PATH, event())
        assert (answer.status, answer.json["dedup_key"]) == (202, "inc-1")
    assert statuses(client) == [("triggered", 3)]


async def test_after_a_resolve_a_trigger_opens_a_new_alert(client: Client) -> None:
    for action in ("trigger", "acknowledge", "trigger", "resolve", "trigger"):
        await client.post(PATH, event(action))
    assert statuses(client) == [("resolved", 2), ("triggered", 1)]


async def test_another_routing_key_has_its_own_alerts(client: Client) -> None:
    await client.post(PATH, event())
    await client.post(PATH, {**event(), "routing_key": "f" * 32})
    assert len(statuses(client)) == 2


async def test_a_resolve_without_an_open_alert_is_taken_and_does_nothing(client: Client) -> None:
    answer = await client.post(PATH, event("resolve"))
    assert answer.status == 202
    assert statuses(client) == []


async def test_a_trigger_without_a_key_is_given_one(client: Client) -> None:
    body = event()
    del body["dedup_key"]
    first, second = [(await client.post(PATH, body)).json["dedup_key"] for _ in range(2)]
    assert first != second


WRONG: list[Any] = [
    event(severity="high"),
    event(summary="a" * 1025),
    event(dedup="a" * 256),
    event(timestamp="yesterday"),
    {**event(), "routing_key": "short"},
    {**event(), "event_action": "close"},
    {**event(), "payload": None},
    {**event(), "severity": "critical"},
    {"routing_key": KEY, "event_action": "resolve"},
    [event()],
]


@pytest.mark.parametrize("wrong", [*WRONG, event(summary="")])
async def test_a_wrong_event_is_refused_and_says_why(client: Client, wrong: Any) -> None:
    answer = await client.post(PATH, wrong)
    assert (answer.status, answer.json["status"]) == (400, "invalid event")
    assert answer.json["errors"]
    assert client.world.received("pagerduty").rejected == 1


@pytest.mark.parametrize("wrong", WRONG)
def test_what_the_sandbox_refuses_the_contract_refuses_too(contracts: Contracts, wrong: Any) -> None:
    assert contracts.breaches("pagerduty", "enqueue", wrong, "requests")


async def test_answers_keep_the_contract(client: Client, contracts: Contracts) -> None:
    taken = await client.post(PATH, event())
    await client.post(PATH, event(dedup="inc-2", severity="info"))
    listed = await client.get("/pagerduty/incidents?incident_key=inc-1", authorization="Token token=canary")
    unknown = await client.get("/pagerduty/incidents")
    assert contracts.breaches("pagerduty", "enqueue.202", taken.json) == []
    assert contracts.breaches("pagerduty", "incidents_list.200", listed.json) == []
    assert contracts.breaches("pagerduty", "incidents_list.401", unknown.json) == []
    assert [one["incident_key"] for one in listed.json["incidents"]] == ["inc-1"]
    assert unknown.status == 401


async def test_too_large_an_event_is_refused(client: Client) -> None:
    assert (await client.post(PATH, event(custom_details={"x": "a" * 520_000}))).status == 413


async def test_the_routing_key_is_not_recorded(client: Client) -> None:
    await client.post(PATH, event())
    tally = client.world.received("pagerduty")
    assert KEY not in tally.records[0].body
    assert tally.first_line == "[critical] data leaves"
