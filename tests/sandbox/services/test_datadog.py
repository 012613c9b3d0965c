"""Datadog in the sandbox takes packed series, checks types, and says what the real one drops in silence."""

import gzip
import json
import zlib
from typing import Any

import pytest
from tests.sandbox.places import NOW, Client, Contracts

pytestmark = pytest.mark.anyio

SERIES, EVENTS = "/datadog/api/v2/series", "/datadog/api/v1/events"
STAMP = int(NOW.timestamp())


@pytest.fixture(autouse=True)
def with_key(client: Client) -> None:
    client.headers["dd-api-key"] = "canary-api-key"


def series(**more: Any) -> dict[str, Any]:
    points = [{"timestamp": STAMP, "value": 2}]
    one = {"metric": "aegis.incidents", "type": 1, "interval": 15, "points": points, "tags": ["severity:high"], **more}
    return {"series": [{name: value for name, value in one.items() if value is not None}]}


EVENT: dict[str, Any] = {"title": "data leaves", "text": "what", "alert_type": "error", "aggregation_key": "inc_1"}


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
async def test_series_are_taken_in_every_packing(client: Client, contracts: Contracts, encoding: str) -> None:
    plain = json.dumps(series()).encode()
    packed = {"": plain, "gzip": gzip.compress(plain), "deflate": zlib.compress(plain)}[encoding]
    answer = await client.ask("POST", SERIES, data=packed, content_encoding=encoding or "identity")
    assert (answer.status, answer.json) == (202, {"errors": []})
    assert contracts.breaches("datadog", "series_v2.202", answer.json) == []
    (kept,) = client.world.documents("datadog", "metric")
    assert kept["value"] == 2
    assert '"metric": "aegis.incidents"' in client.world.received("datadog").records[0].body


async def test_points_outside_the_window_are_taken_and_named_as_dropped(client: Client) -> None:
    answer = await client.post(SERIES, series(points=[{"timestamp": STAMP - 4_000, "value": 1}]))
    assert answer.status == 202
    assert "1 points are too old" in client.world.received("datadog").first_line


@pytest.mark.parametrize(
    "wrong",
    [
        series(type="count"),
        series(interval=None),
        series(points=[[STAMP, 2]]),
        series(points=[]),
        series(metric="9 lives"),
        series(colour="red"),
        {"series": {}},
        {},
    ],
)
async def test_wrong_series_are_refused(client: Client, contracts: Contracts, wrong: Any) -> None:
    answer = await client.post(SERIES, wrong)
    assert answer.status == 400
    assert contracts.breaches("datadog", "events_v1.400", answer.json) == []


async def test_a_bomb_is_refused_without_being_unpacked(client: Client) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert (await client.ask("POST", SERIES, data=bomb, content_encoding="gzip")).status == 413


async def test_an_event_comes_back_with_its_id(client: Client, contracts: Contracts) -> None:
    answer = await client.post(EVENTS, EVENT)
    assert answer.status == 202
    assert contracts.breaches("datadog", "events_v1.202", answer.json) == []
    assert client.world.received("datadog").first_line == "data leaves"


@pytest.mark.parametrize(
    "wrong",
    [
        {**EVENT, "alert_type": "critical"},
        {**EVENT, "text": "a" * 4_001},
        {"title": "x"},
        {**EVENT, "aggregation_key": "a" * 101},
    ],
)
async def test_a_wrong_event_is_refused(client: Client, wrong: Any) -> None:
    assert (await client.post(EVENTS, wrong)).status == 400


async def test_an_event_of_the_second_version_is_checked(client: Client, contracts: Contracts) -> None:
    inside = {"title": "x", "category": "alert", "message": "y", "attributes": {"status": "error", "priority": "1"}}
    right = {"data": {"type": "event", "attributes": inside}}
    assert contracts.breaches("datadog", "events_v2", right, "requests") == []
    assert (await client.post("/datadog/api/v2/events", right)).status == 202
    inside["attributes"] = {"status": "critical"}
    assert (await client.post("/datadog/api/v2/events", right)).status == 400


async def test_a_key_is_wanted_and_can_be_checked(client: Client, contracts: Contracts) -> None:
    checked = await client.get("/datadog/api/v1/validate")
    assert contracts.breaches("datadog", "validate.200", checked.json) == []
    client.headers.clear()
    refused = await client.get("/datadog/api/v1/validate")
    assert refused.status == 403
    assert contracts.breaches("datadog", "validate.403", refused.json) == []
