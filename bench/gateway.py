"""The gateway beside nginx, LiteLLM and Portkey in one run: requests a second for each core-second of the gateway, and latency.

Reads the yardsticks of ../shared/bench/gateway: a static upstream in nginx and wrk share core 0, what is measured stands
alone on core 1. Aegis has authentication, reservation on four budget lines, journal and metrics on. `share_of_nginx` is
the ratio of requests per core-second to a plain nginx reverse proxy in the same run. Needs nginx and wrk.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import _gateways
from bench._gateways import MOCK, MOCK_STREAM, PROXY, PROXY_STREAM, TOOLS, Gateway

SECONDS = 6
CONNECTIONS = (1, 16, 64)
STREAM_CONNECTIONS = (16,)
PEERS_LEFT_OUT = {"tensorzero": "its gateway is a container image or a Rust build; no container engine runs here"}


def run() -> dict[str, Any]:
    """Every gateway's figures at 1, 16 and 64 connections, streams at 16, and the ratios."""
    missing = [tool for tool in ("nginx", "wrk", "taskset") if not shutil.which(tool)]
    if missing or not TOOLS.exists():
        return {"skipped": f"needs {', '.join(missing) or TOOLS.name}"}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        subprocess.run([sys.executable, str(TOOLS / "make_nginx_conf.py"), name], check=True, capture_output=True)
        stack.enter_context(_gateways.nginx(folder, "mock", 0, MOCK))
        plain = {"direct": _measure(Gateway("direct", _chat(MOCK), (), 0), CONNECTIONS)}
        streamed: dict[str, Any] = {}
        with _gateways.nginx(folder, "proxy", 1, PROXY) as pid:
            plain["nginx"] = _measure(Gateway("nginx", _chat(PROXY), (), pid), CONNECTIONS)
            streamed["nginx"] = _measure(Gateway("nginx", _chat(PROXY_STREAM), (), pid), STREAM_CONNECTIONS, "--stream")
        with _gateways.aegis(folder, MOCK) as one:
            plain["aegis"] = _measure(one, CONNECTIONS)
        with _gateways.aegis(folder, MOCK_STREAM) as one:
            streamed["aegis"] = _measure(one, STREAM_CONNECTIONS, "--stream")
        with _gateways.litellm(folder, MOCK) as one:
            plain["litellm"] = _measure(one, CONNECTIONS)
        if shutil.which("npm"):
            with _gateways.portkey(folder, MOCK) as one:
                plain["portkey"] = _measure(one, CONNECTIONS)
    return {"plain": plain, "streamed": streamed, "ratios": _ratios(plain, streamed), "left_out": PEERS_LEFT_OUT}


def _chat(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1/chat/completions"


def _measure(gateway: Gateway, connections: tuple[int, ...], *more: str) -> dict[str, Any]:
    """By number of connections, what the yardstick prints."""
    command = [sys.executable, str(TOOLS / "measure.py"), "--name", gateway.name, "--url", gateway.url]
    command += ["--pid", str(gateway.pid), "--conc", ",".join(map(str, connections)), "--secs", str(SECONDS)]
    headers = [part for header in gateway.headers for part in ("--header", header)]
    done = subprocess.run([*command, *headers, *more], check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {str(row["conc"]): {key: row[key] for key in KEPT if key in row} for row in rows}


KEPT = ("rps", "rps_core", "p50_us", "p99_us", "err", "cpu_us_per_req", "rss_mb")


def _ratios(plain: dict[str, Any], streamed: dict[str, Any]) -> dict[str, float]:
    """The goals of the issue, as ratios of the same run."""
    ours, floor, direct = plain["aegis"], plain["nginx"], plain["direct"]
    beside = (
        {"times_portkey_64": round(ours["64"]["rps_core"] / plain["portkey"]["64"]["rps_core"], 2)}
        if "portkey" in plain
        else {}
    )
    return {
        **beside,
        "share_of_nginx_64": round(ours["64"]["rps_core"] / floor["64"]["rps_core"], 3),
        "times_litellm_64": round(ours["64"]["rps_core"] / plain["litellm"]["64"]["rps_core"], 1),
        "added_p50_ms_1": round((ours["1"]["p50_us"] - direct["1"]["p50_us"]) / 1e3, 3),
        "added_p99_ms_16": round((ours["16"]["p99_us"] - direct["16"]["p99_us"]) / 1e3, 3),
        "streams_share_of_nginx_16": round(
            streamed["aegis"]["16"]["rps_core"] / streamed["nginx"]["16"]["rps_core"], 3
        ),
        "rss_mb": ours["64"]["rss_mb"],
    }
