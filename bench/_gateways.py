"""The gateways that are measured side by side, each as a process of its own on core 1; no benchmark of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import _peer

TOOLS = Path(__file__).resolve().parents[2] / "shared" / "bench" / "gateway"
MOCK, MOCK_STREAM, PROXY, PROXY_STREAM = 9101, 9102, 9111, 9112
"""Ports of the static upstream and of nginx in front of it (see `make_nginx_conf.py`)."""
AEGIS, LITELLM, PORTKEY = 9121, 9131, 9141
START_SECONDS = 90
LITELLM_NEEDS = "litellm[proxy]==1.106.2"
PORTKEY_NEEDS = "@portkey-ai/gateway@1.15.2"

CONFIG = """\
server: {{listen: "127.0.0.1:{port}"}}
budgets:
  everything: {{scope: all, daily: {{emergency: 1000000}}, weekly: {{emergency: 1000000}}, monthly: {{emergency: 1000000}}}}
services: {{openai: {{breaker: {{cost: null}}}}}}
gateway: {{upstreams: {{openai: {{base_url: "http://127.0.0.1:{upstream}", key: env:BENCH_KEY}}}}}}
"""
"""A key's budget, and three lines for all: authentication, reservation, journal and metrics are on."""
LITELLM_CONFIG = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "http://127.0.0.1:{upstream}/v1", api_key: none}}
general_settings: {{master_key: sk-bench}}
litellm_settings: {{callbacks: []}}
"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: where chats go, what identifies the caller, whose CPU is counted."""

    name: str
    url: str
    headers: tuple[str, ...]
    pid: int


@contextmanager
def nginx(folder: Path, which: str, core: int, port: int) -> Iterator[int]:
    """One of the two nginx configurations, `mock` or `proxy`; yields the worker's parent pid."""
    command = ["taskset", "-c", str(core), "nginx", "-c", str(folder / f"{which}.conf"), "-p", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    _wait(port)
    try:
        yield int((folder / f"{which}.pid").read_text())
    finally:
        subprocess.run([*command[3:], "-s", "stop"], check=True, capture_output=True)


@contextmanager
def aegis(folder: Path, upstream: int) -> Iterator[Gateway]:
    """Aegis with a virtual key that has a daily budget, in a new state folder."""
    home = folder / f"aegis-{upstream}"
    home.mkdir(mode=0o700)
    (home / "aegis.yaml").write_text(CONFIG.format(port=AEGIS, upstream=upstream))
    env = {**os.environ, "AEGIS_HOME": str(home), "BENCH_KEY": "none"}
    base = [sys.executable, "-m", "aegis"]
    made = subprocess.run(
        [*base, "key", "create", "bench", "--daily", "1000000"],
        check=True,
        capture_output=True,
        text=True,
        env=env,
        cwd=home,
    )
    key = next(word for word in (made.stdout + made.stderr).split() if word.startswith("aeg_"))
    with _running([*base, "up"], AEGIS, env, home) as pid:
        # The dashboard is loaded when it is first asked for, or soon after the start: not while others are measured.
        warm = ["wrk", "-t1", "-c1", "-d3s", "--timeout", "30s", f"http://127.0.0.1:{AEGIS}/"]
        subprocess.run(warm, check=True, capture_output=True)
        yield Gateway("aegis", f"http://127.0.0.1:{AEGIS}/v1/chat/completions", (f"Authorization: Bearer {key}",), pid)


@contextmanager
def litellm(folder: Path, upstream: int) -> Iterator[Gateway]:
    """LiteLLM's proxy with one worker, no database and no callbacks."""
    python = _peer.python_of("litellm-proxy", LITELLM_NEEDS)
    config = folder / "litellm.yaml"
    config.write_text(LITELLM_CONFIG.format(upstream=upstream))
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    command = [str(python.with_name("litellm")), "--config", str(config), "--port", str(LITELLM), "--num_workers", "1"]
    with _running(command, LITELLM, env, folder) as pid:
        yield Gateway(
            "litellm", f"http://127.0.0.1:{LITELLM}/v1/chat/completions", ("Authorization: Bearer sk-bench",), pid
        )


@contextmanager
def portkey(folder: Path, upstream: int) -> Iterator[Gateway]:
    """Portkey's open gateway: a relay that picks the provider by headers, without keys, budgets or a record of its own."""
    package = _peer.node_package("portkey", PORTKEY_NEEDS)
    server = package / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    headers = (
        "Authorization: Bearer none",
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: http://127.0.0.1:{upstream}/v1",
    )
    command = ["node", str(server), f"--port={PORTKEY}", "--headless"]
    with _running(command, PORTKEY, {**os.environ, "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}, folder) as pid:
        yield Gateway("portkey", f"http://127.0.0.1:{PORTKEY}/v1/chat/completions", headers, pid)


@contextmanager
def _running(command: list[str], port: int, env: dict[str, str], folder: Path) -> Iterator[int]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["taskset", "-c", "1", *command], env=env, cwd=folder, stdout=log, stderr=log)
        try:
            _wait(port)
            yield process.pid
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _wait(port: int) -> None:
    """Until somebody listens. Raises `TimeoutError`."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on {port}")
