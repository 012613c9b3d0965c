"""Splunk in the sandbox takes a request whole or not at all, with the collector's codes."""

import gzip
import json
from typing import Any

import pytest
from tests.sandbox.places import Client, Contracts

pytestmark = pytest.mark.anyio

PATH, CHANNEL = "/splunk/services/collector/event", "3f9c2c3a-1111-4222-8333-444455556666"


@pytest.fixture(autouse=True)
def with_token(client: Client) -> None:
    client.headers["authorization"] = "Splunk canary-hec-token"


def event(**more: Any) -> dict[str, Any]:
    return {"time": 1_772_539_200.123, "sourcetype": "aegis:incident", "event": {"title": "data leaves"}, **more}


def body(*events: Any) -> bytes:
    return "".join(json.dumps(one) for one in events).encode()


async def test_events_written_one_after_the_other_are_taken(client: Client, contracts: Contracts) -> None:
    answer = await client.ask("POST", PATH, data=body(event(), event(), event()))
    assert (answer.status, answer.json) == (200, {"text": "Success", "code": 0})
    assert contracts.breaches("splunk_hec", "ok", answer.json) == []
    assert client.world.received("splunk").first_line == "aegis:incident: data leaves (+2 more)"
    packed = gzip.compress(body(event()))
    assert (await client.ask("POST", PATH, data=packed, content_encoding="gzip")).status == 200
    assert client.world.documents("splunk", "count") == [{"events": 4}]


@pytest.mark.parametrize(
    ("sent", "code", "number"),
    [
        (b"", 5, None),
        (b"[1]", 6, 0),
        (body(event()) + b"{", 6, 1),
        (body(event(), {"sourcetype": "x"}), 12, 1),
        (body(event(event="")), 13, 0),
        (body(event(time="yesterday")), 6, 0),
        (body(event(index="Main Index")), 7, 0),
        (body(event(fields={"a": {"b": 1}})), 15, 0),
        (body(event(colour="red")), 6, 0),
    ],
)
async def test_a_wrong_request_is_refused_with_its_code_and_number(
    client: Client, contracts: Contracts, sent: bytes, code: int, number: int | None
) -> None:
    answer = await client.ask("POST", PATH, data=sent)
    assert (answer.status, answer.json["code"], answer.json.get("invalid-event-number")) == (400, code, number)
    assert contracts.breaches("splunk_hec", "error", answer.json) == []
    assert client.world.documents("splunk", "count") == []


async def test_tokens_are_wanted_in_the_right_form(client: Client) -> None:
    for header, status, code in (("", 401, 2), ("Bearer x", 401, 3)):
        answer = await client.ask("POST", PATH, data=body(event()), authorization=header)
        assert (answer.status, answer.json["code"]) == (status, code)


async def test_an_acknowledgement_is_known_after_its_event(client: Client, contracts: Contracts) -> None:
    taken = await client.ask("POST", PATH, data=body(event()), x_splunk_request_channel=CHANNEL)
    path = f"/splunk/services/collector/ack?channel={CHANNEL}"
    acks = await client.post(path, {"acks": [taken.json["ackId"], 9]})
    assert acks.json == {"acks": {"0": True, "9": False}}
    assert contracts.breaches("splunk_hec", "ack", acks.json) == []
    assert (await client.post("/splunk/services/collector/ack", {"acks": [0]})).json["code"] == 10


async def test_it_says_that_it_is_well(client: Client) -> None:
    assert (await client.get("/splunk/services/collector/health")).json["code"] == 17
