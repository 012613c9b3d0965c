"""The yardstick beside the project, run as it is: its vendor on a port of the moment, and its burst."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio

UNIT_NANOS = 138_600
"""412 + 128 tokens of gpt-4o-mini."""
WORST_NANOS = (700 + 128) * 150 + 256 * 600
"""What one of its calls is held at: its body of less than 700 bytes, and its cap."""
BUDGET = "budgets:\n  everything: {scope: all, daily: {emergency: 0.002772}}\n"
"""Twenty of them, to the nano-dollar."""
TRIES = 5


@asynccontextmanager
async def vendor(shared: Path, *, delay_ms: int = 100) -> AsyncIterator[str]:
    """The address of the yardstick's vendor. It takes a port that was free; should another have taken it since, the next."""
    script = str(shared / "bench/gateway/mock_upstream.py")
    for _ in range(TRIES):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-u", script, "--port", str(port), "--delay-ms", str(delay_ms)]
        process = await anyio.open_process([*command, "--prompt-tokens", "412"], stderr=None)
        assert process.stdout is not None
        try:
            await process.stdout.receive()
        except anyio.EndOfStream:
            await process.wait()
            continue
        try:
            yield f"http://127.0.0.1:{port}"
            return
        finally:
            process.kill()
            await process.aclose()
    raise AssertionError("the yardstick's vendor does not start")


async def burst(shared: Path, address: str, mock: str, key: str, *more: str, waves: int = 6) -> dict[str, Any]:
    """200 at once on a budget for 20, `waves` times; what the yardstick prints."""
    script = shared / "bench/gateway/budget_burst.py"
    command = [sys.executable, str(script), "--url", f"{address}/v1/chat/completions", "--mock", mock, "--n", "200"]
    command += ["--k", "20", "--gap", "0.2", "--waves", str(waves), "--header", f"Authorization: Bearer {key}", *more]
    done = await anyio.run_process(command)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def stats(mock: str) -> dict[str, Any]:
    """What reached the vendor since the last burst began."""
    async with aiohttp.ClientSession() as client, client.get(f"{mock}/stats") as answer:
        found: dict[str, Any] = await answer.json(content_type=None)
        return found
