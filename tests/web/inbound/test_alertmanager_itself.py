"""A real Alertmanager sends to a real Aegis: an alert is raised through its API, becomes an incident, and is over.

Needs Debian's package `prometheus-alertmanager`; as root it is installed for the test, elsewhere the test is skipped.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.web.inbound.doors import Doors, doors
from tests.web.inbound.signing import SECRET

from aegis.core.incidents import Incident, Status

pytestmark = pytest.mark.anyio
PROGRAM = "prometheus-alertmanager"
CONFIG = """\
route: {{receiver: aegis, group_wait: 1ms, group_interval: 50ms, repeat_interval: 1h, group_by: [alertname]}}
receivers:
  - name: aegis
    webhook_configs:
      - url: {address}/inbound/alertmanager
        http_config: {{authorization: {{credentials: {secret}}}}}
"""


def program() -> str:
    """The program, installed if need and rights be."""
    if shutil.which(PROGRAM) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "--no-install-recommends", PROGRAM]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, check=False, capture_output=True, timeout=120, env=environment)
    found = shutil.which(PROGRAM)
    if found is None:
        pytest.skip(f"{PROGRAM} is not installed, and cannot be installed here")
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def alertmanager(folder: Path, address: str) -> AsyncIterator[str]:
    """Its address, once it is ready."""
    config, port = folder / "alertmanager.yml", free_port()
    await anyio.Path(config).write_text(CONFIG.format(address=address, secret=SECRET))
    command = [
        program(),
        f"--config.file={config}",
        f"--storage.path={folder / 'state'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    process = await anyio.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def raised(door: Doors, manager: str, *alerts: dict[str, Any]) -> None:
    """Post alerts, as Prometheus does, until the manager is there to take them."""
    for _ in range(200):
        try:
            async with door.client.post(f"{manager}/api/v2/alerts", json=list(alerts)) as answer:
                assert answer.status == 200
                return
        except OSError:
            await anyio.sleep(0.05)
    pytest.fail("Alertmanager never answered")


async def becomes(door: Doors, status: Status) -> Incident:
    """The one incident, once it stands so."""
    with anyio.fail_after(60):
        while True:
            await door.app.finish(wait_ms=0)
            found = await door.app.incidents.recent(10)
            if found and found[0].status is status:
                (incident,) = found
                return incident
            await anyio.sleep(0.05)


async def test_an_alert_of_a_real_alertmanager_becomes_an_incident_and_is_over(tmp_path: Path) -> None:
    program()
    async with doors(tmp_path / "home") as door, alertmanager(tmp_path, door.address) as manager:
        door.clock.jump(datetime.now(UTC) - door.clock.now())  # it has no fake clock
        labels = {"alertname": "DiskFull", "severity": "critical", "instance": "db-1:9100"}
        alert = {"labels": labels, "annotations": {"summary": "95 % used"}}
        await raised(door, manager, alert)
        incident = await becomes(door, Status.OPEN)
        assert "DiskFull on db-1" in incident.title
        assert incident.detections[0].evidence["summary"] == "95 % used"

        door.clock.jump(timedelta(seconds=1))
        await raised(door, manager, {**alert, "endsAt": datetime.now(UTC).isoformat().replace("+00:00", "Z")})
        over = await becomes(door, Status.RESOLVED)
        assert (over.id, over.status_via) == (incident.id, "alertmanager")
