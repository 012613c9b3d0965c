"""The server: loopback only, one address for each service, its control, and a quick start and end."""

import subprocess
import sys
import time
from typing import Any

import aiohttp
import pytest
from tests.sandbox.places import Client

from aegis.core.errors import ConfigError
from aegis.sandbox.registry import SERVICES
from aegis.sandbox.server import serve
from aegis.sandbox.world import World

pytestmark = pytest.mark.anyio

EVENT: dict[str, Any] = {
    "routing_key": "e" * 32,
    "event_action": "trigger",
    "dedup_key": "inc-1",
    "payload": {"summary": "data leaves", "source": "aegis", "severity": "critical"},
}


async def test_every_service_has_its_base_address(client: Client) -> None:
    addresses = client.serving.addresses()
    assert set(addresses) == set(SERVICES)
    assert addresses["slack"] == f"{client.serving.url}/slack"
    host = client.serving.url.removeprefix("http://")
    assert client.serving.sentry_dsn() == f"http://sandbox@{host}/sentry/1"


async def test_the_control_tells_what_was_received(client: Client) -> None:
    await client.post("/pagerduty/v2/enqueue", EVENT)
    every = (await client.get("/sandbox/received")).json
    one = (await client.get("/sandbox/received/pagerduty")).json
    assert every["schema"] == one["schema"] == "aegis.sandbox-received/1"
    assert every["services"]["pagerduty"]["received"] == 1
    assert (one["first_line"], one["requests"][0]["status"]) == ("[critical] data leaves", 202)


async def test_the_control_sets_faults_resets_and_is_well(client: Client) -> None:
    put = await client.ask("PUT", "/sandbox/faults/pagerduty", value={"mode": "429", "count": 1, "retry_after_s": 3})
    assert (put.status, put.json["mode"]) == (200, "429")
    assert (await client.get("/sandbox/faults")).json["faults"]["pagerduty"]["count"] == 1
    assert (await client.post("/pagerduty/v2/enqueue", EVENT)).headers["retry-after"] == "3"
    assert (await client.post("/sandbox/reset")).status == 200
    assert (await client.get("/sandbox/received")).json["services"]["pagerduty"]["faulted"] == 0
    assert (await client.get("/sandbox/healthz")).json["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/sandbox/received/nonsense", 404),
        ("GET", "/sandbox/nonsense", 404),
        ("GET", "/nonsense/x", 404),
        ("PUT", "/sandbox/faults/nonsense", 404),
        ("PUT", "/sandbox/faults/slack", 400),
    ],
)
async def test_a_wrong_control_request_is_refused(client: Client, method: str, path: str, status: int) -> None:
    value = {"mode": "429"} if "nonsense" in path else {"mode": "nonsense"}
    answer = await client.ask(method, path, value=value)
    assert (answer.status, answer.json["schema"]) == (status, "aegis.problem/1")


async def test_the_control_answers_no_foreign_name(client: Client) -> None:
    assert (await client.get("/sandbox/received", host="rebound.example")).status == 403


async def test_it_listens_on_loopback_only(world: World) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        async with serve(world, host="0.0.0.0"):
            pass


async def test_a_taken_port_is_named(world: World, client: Client) -> None:
    port = int(client.serving.url.rpartition(":")[2])
    with pytest.raises(ConfigError, match=str(port)):
        async with serve(world, port=port):
            pass


async def test_after_the_end_nothing_listens(world: World) -> None:
    async with serve(world) as serving, aiohttp.ClientSession() as session:
        async with session.get(f"{serving.url}/sandbox/healthz") as answer:
            assert answer.status == 200
        began = time.monotonic()
    assert time.monotonic() - began < 5
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{serving.url}/sandbox/healthz")


async def test_a_second_start_takes_little_time(world: World, client: Client) -> None:
    began = time.process_time()  # of this process alone: the machine may be busy
    async with serve(World(clock=client.clock)):
        assert time.process_time() - began < 0.3


def test_importing_the_sandbox_loads_no_server_and_no_client() -> None:
    check = "import aegis.sandbox.world, sys; print([m for m in ('uvicorn', 'aiohttp', 'fastapi', 'starlette') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_too_large_a_request_is_refused(client: Client) -> None:
    answer = await client.ask("POST", "/splunk/services/collector/event", data=b" " * (35 * 1024 * 1024))
    assert answer.status == 413
