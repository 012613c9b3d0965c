"""Claims about `aegis up` as a process of its own: healthy, takes events, shows them, ends when it is told to."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.cli.running import place
from tests.cli.story import TRAIL_STOPPED
from tests.scenarios.processes import ended, line_with, started

SEEN_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.anyio
async def test_it_takes_an_event_shows_it_and_ends_with_0(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = await started(home, "up", "--set", f"server.listen=127.0.0.1:{free_port()}")
    try:
        address = (await line_with(process, "listens on")).split()[-1]
        token = (home / "api-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(address, headers=headers) as client, asyncio.timeout(SEEN_SECONDS):
            for path in ("/livez", "/readyz"):
                async with client.get(path) as answer:
                    assert answer.status == 200
            async with client.post("/api/events", data=TRAIL_STOPPED) as answer:
                assert (answer.status, (await answer.json())["accepted"]) == (202, 1)
            incident = await _first_incident(client)
            said = await started(home, "incident", "ack", incident["id"], "--json")
            answered, _ = await said.communicate()
            assert (said.returncode, json.loads(answered)["status"]) == (0, "acknowledged")
            async with client.get("/") as answer:
                assert incident["title"] in await answer.text()
            async with client.post("/api/events", data=TRAIL_STOPPED, headers={"Authorization": "Bearer no"}) as answer:
                assert answer.status == 401
    finally:
        code = await ended(process)
    assert code == 0
    assert not list(home.glob("*-wal")), "the store was closed"
    assert home.stat().st_mode & 0o077 == 0


async def _first_incident(client: aiohttp.ClientSession) -> Any:
    while True:
        async with client.get("/api/incidents") as answer:
            if found := (await answer.json())["incidents"]:
                return found[0]


@pytest.mark.parametrize("listen", ["0.0.0.0:8787", "198.51.100.7:8787"])
def test_without_accounts_only_loopback_is_served(tmp_path: Path, listen: str) -> None:
    here = place(tmp_path)

    result = here.run("up", "--set", f"server.listen={listen}")

    assert result.exit_code == 3
    assert "only loopback is served" in result.stderr
    assert not here.home.exists()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = place(tmp_path).run("up", "--set", f"server.listen=127.0.0.1:{port}")

    assert result.exit_code == 3
    assert str(port) in result.stderr
