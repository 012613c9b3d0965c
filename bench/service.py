"""The service as a person runs it: start to healthy, memory, and the import of a real file, each in its own process."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request  # noqa: TID251 - the benchmark is the client here
from pathlib import Path
from typing import Any

import anyio

from aegis.app import open_app
from aegis.app.system import SystemClock
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import serve
from aegis.sandbox.world import World

ROUNDS = 5
PORT = 18_787
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "detection"


def healthy() -> tuple[float, float]:
    """Seconds from the start of `aegis up` to a 200 of /readyz, and its resident memory in MiB after that."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "aegis", "up", "--home", home, "--set", f"server.listen=127.0.0.1:{PORT}"]
        began = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=home)
        try:
            while time.monotonic() - began < 20:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=10) as answer:  # noqa: TID251
                        if answer.status == 200:
                            break
                except OSError:
                    time.sleep(0.005)
            took = time.monotonic() - began
            status = Path(f"/proc/{process.pid}/status").read_text()
            rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            return took, rss / 1024
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(20)


async def _import(file: Path) -> float:
    """Seconds from the first byte of a file to its last event worked and its deliveries queued."""
    with tempfile.TemporaryDirectory() as home:
        async with (
            serve(World(clock=SystemClock())) as sandbox,
            open_app(sandbox_config(sandbox), home=Path(home), resolve=SandboxKeys(sandbox)) as app,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(app.run)
            began = time.monotonic()
            await app.take_file(file, at="/event")
            took = time.monotonic() - began
            tasks.cancel_scope.cancel()
    return took


def imported() -> dict[str, Any]:
    """Events a second of an import of a real file: the import itself, and the whole process of `aegis event import`
    with every delivery sent to the sandbox.
    """
    file = SHARED / "evtx_attack.jsonl.xz"
    if not file.exists():
        return {"skipped": "the evidence folder ../shared is not beside this checkout"}
    worked, whole = [], []
    events = 0
    for _ in range(3):
        with tempfile.TemporaryDirectory() as home:
            options = ["--at", "/event", "--sandbox", "--json", "--home", home]
            command = [sys.executable, "-m", "aegis", "event", "import", str(file), *options]
            began = time.monotonic()
            done = subprocess.run(command, capture_output=True, check=True, cwd=home, timeout=120)
            whole.append(time.monotonic() - began)
            events = json.loads(done.stdout)["events"]
        worked.append(anyio.run(_import, file, backend_options={"use_uvloop": True}))
    return {
        "events": events,
        "worked_and_queued_per_second": round(events / statistics.median(worked)),
        "whole_process_with_deliveries_per_second": round(events / statistics.median(whole)),
        "goal": ">= 2,000 events/s",
    }


def run() -> dict[str, Any]:
    starts = [healthy() for _ in range(ROUNDS)]
    return {
        "up_healthy_s": round(statistics.median(took for took, _ in starts), 2),
        "up_rss_mib": round(statistics.median(rss for _, rss in starts), 1),
        "import_evtx_attack": imported(),
        "goals": {"up_healthy_s": 1.5, "up_rss_mib": 100},
    }
