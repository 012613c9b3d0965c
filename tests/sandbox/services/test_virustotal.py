"""VirusTotal in the sandbox has a small world of its own, and quotas that end by its clock."""

from base64 import urlsafe_b64encode
from typing import Any

import pytest
from tests.sandbox.places import Client, Contracts

pytestmark = pytest.mark.anyio

API = "/virustotal/api/v3"
EICAR = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"


@pytest.fixture(autouse=True)
def with_key(client: Client) -> None:
    client.headers["x-apikey"] = "canary-api-key"


def url_id(url: str) -> str:
    return urlsafe_b64encode(url.encode()).decode().rstrip("=")


def malicious(answer: Any) -> int:
    return int(answer.json["data"]["attributes"]["last_analysis_stats"]["malicious"])


async def test_what_is_bad_here_is_always_equally_bad(client: Client, contracts: Contracts) -> None:
    bad = {
        "ip": f"{API}/ip_addresses/203.0.113.66",
        "domain": f"{API}/domains/evil.example",
        "url": f"{API}/urls/{url_id('https://c2.example/x')}",
        "file": f"{API}/files/{EICAR}",
    }
    for kind, path in bad.items():
        answer = await client.get(path)
        assert malicious(answer) >= 3
        assert contracts.breaches("virustotal", f"{kind}.200", answer.json) == []
        client.clock.pass_by(minutes=2)
        assert malicious(await client.get(path)) == malicious(answer)
        client.clock.pass_by(minutes=2)


async def test_others_are_clean_or_unknown(client: Client, contracts: Contracts) -> None:
    assert malicious(await client.get(f"{API}/ip_addresses/198.51.100.20")) == 0
    assert malicious(await client.get(f"{API}/domains/docs.example")) == 0
    unknown = await client.get(f"{API}/files/{'0' * 64}")
    assert (unknown.status, unknown.json["error"]["code"]) == (404, "NotFoundError")
    assert contracts.breaches("virustotal", "error", unknown.json) == []
    assert client.world.received("virustotal").received == 3, "that something is not known is an answer"


@pytest.mark.parametrize(
    "path",
    [
        "/ip_addresses/10.0.0.1",
        "/ip_addresses/127.0.0.1",
        "/ip_addresses/fe80::1",
        "/ip_addresses/localhost",
        "/domains/not_a_name",
        "/urls/aHR0cHM6Ly9ldmlsLmV4YW1wbGU=",
        "/urls/!!!!",
        "/files/1234",
    ],
)
async def test_what_must_not_be_asked_for_is_refused_and_costs_no_quota(client: Client, path: str) -> None:
    answer = await client.get(f"{API}{path}")
    assert answer.status in (400, 404)
    assert client.world.received("virustotal").rejected == 1
    assert client.world.documents("virustotal", "quota") == []


async def test_the_fifth_in_a_minute_is_refused_until_the_minute_is_over(client: Client, contracts: Contracts) -> None:
    path = f"{API}/ip_addresses/203.0.113.66"
    answers = [await client.get(path) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 4 + [429]
    assert answers[-1].json["error"]["code"] == "QuotaExceededError"
    assert contracts.breaches("virustotal", "error", answers[-1].json) == []
    client.clock.pass_by(seconds=61)
    assert (await client.get(path)).status == 200


async def test_the_daily_quota_ends_at_midnight_utc(client: Client) -> None:
    path = f"{API}/ip_addresses/203.0.113.66"
    for _ in range(500):
        client.world._rooms["virustotal"].put("quota", "requests", _spent(client, day=500))
    assert (await client.get(path)).status == 429
    client.clock.pass_by(hours=11, minutes=59)
    assert (await client.get(path)).status == 429
    client.clock.pass_by(minutes=2)
    assert (await client.get(path)).status == 200


def _spent(client: Client, *, day: int) -> dict[str, Any]:
    at = client.clock.now()
    marks = {"hour": f"{at:%Y-%m-%dT%H}", "day": f"{at:%Y-%m-%d}", "month": f"{at:%Y-%m}"}
    return {"minute": [], "marks": marks, "hour": 1, "day": day, "month": day}


async def test_quotas_can_be_read_for_nothing(client: Client) -> None:
    await client.get(f"{API}/ip_addresses/203.0.113.66")
    for _ in range(6):
        said = (await client.get(f"{API}/users/canary-api-key/overall_quotas")).json["data"]
    assert said["api_requests_daily"]["user"] == {"allowed": 500, "used": 1}
    assert "canary-api-key" not in str(client.world.received("virustotal").records)


async def test_a_key_is_wanted(client: Client) -> None:
    client.headers.clear()
    answer = await client.get(f"{API}/ip_addresses/203.0.113.66")
    assert (answer.status, answer.json["error"]["code"]) == (401, "AuthenticationRequiredError")
