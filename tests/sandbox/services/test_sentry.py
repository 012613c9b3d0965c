"""Sentry in the sandbox reads envelopes, knows an event by its id and names limited categories."""

import gzip
import json
from typing import Any

import pytest
from tests.sandbox.places import Client

pytestmark = pytest.mark.anyio

PATH, AUTH = "/sentry/api/1/envelope/", "Sentry sentry_version=7, sentry_key=canary-public-key, sentry_client=aegis/0"
NUMBER = "a" * 32


def event(**more: Any) -> dict[str, Any]:
    return {
        "event_id": NUMBER,
        "timestamp": "2026-03-03T12:00:00Z",
        "level": "fatal",
        "logentry": {"formatted": "data leaves"},
        "tags": {"severity": "CRITICAL"},
        "fingerprint": ["aegis", "inc_1"],
        **more,
    }


def envelope(value: Any, **header: Any) -> bytes:
    payload = json.dumps(value).encode()
    head = json.dumps({"event_id": NUMBER, **header}).encode()
    return b"\n".join((head, json.dumps({"type": "event", "length": len(payload)}).encode(), payload, b""))


async def test_an_event_is_kept_once_however_often_it_comes(client: Client) -> None:
    for _ in range(2):
        answer = await client.ask("POST", PATH, data=envelope(event()), x_sentry_auth=AUTH)
        assert (answer.status, answer.json) == (200, {"id": NUMBER})
    assert client.world.documents("sentry", "event") == [{"title": "data leaves", "group": "aegis|inc_1", "times": 2}]
    assert client.world.received("sentry").first_line == "[fatal] data leaves"


async def test_the_key_may_stand_in_header_query_or_envelope_and_is_never_recorded(client: Client) -> None:
    dsn = "https://canary-public-key@sentry.example/1"
    packed = gzip.compress(envelope(event()))
    header = await client.ask("POST", PATH, data=packed, x_sentry_auth=AUTH, content_encoding="gzip")
    query = await client.ask("POST", f"{PATH}?sentry_key=canary-public-key", data=envelope(event()))
    inside = await client.ask("POST", PATH, data=envelope(event(), dsn=dsn))
    without = await client.ask("POST", PATH, data=envelope(event()))
    assert [one.status for one in (header, query, inside, without)] == [200, 200, 200, 401]
    assert "canary-public-key" not in str(client.world.received("sentry").records)


@pytest.mark.parametrize(
    "sent",
    [
        b"no json",
        b'{"event_id":"a"}\n{"type":"event","length":500}\nshort',
        b'{}\n{"type":"event","length":2}\n{}{}\n',
        envelope(event(level="critical")),
        envelope(event(event_id="short")),
        envelope(event(event_id="b" * 32)),
        envelope(event(tags={"a": "b" * 201})),
        envelope({k: v for k, v in event().items() if k != "timestamp"}),
    ],
)
async def test_a_wrong_envelope_is_refused(client: Client, sent: bytes) -> None:
    answer = await client.ask("POST", PATH, data=sent, x_sentry_auth=AUTH)
    assert (answer.status, answer.json["detail"]) == (400, "invalid event envelope")
    assert client.world.documents("sentry", "event") == []


async def test_an_event_of_more_than_a_megabyte_is_refused(client: Client) -> None:
    sent = envelope(event(extra={"x": "a" * 1_100_000}))
    assert (await client.ask("POST", PATH, data=sent, x_sentry_auth=AUTH)).status == 413


async def test_a_limit_names_its_categories(client: Client) -> None:
    client.world.fault("sentry", "429", retry_after_s=60)
    answer = await client.ask("POST", PATH, data=envelope(event()), x_sentry_auth=AUTH)
    assert answer.headers["x-sentry-rate-limits"].startswith("60:error;default:organization")
