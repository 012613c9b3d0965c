"""What a gateway has in memory over many requests: `aegis up` with a key, a budget and the journal on, before a vendor
that answers at once. A million with `AEGIS_BENCH_REQUESTS=1000000`.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.web.gateway.running import place, rss_bytes

from bench._answering import answering

REQUESTS = int(os.environ.get("AEGIS_BENCH_REQUESTS", "100000"))
CONNECTIONS, POINTS = 32, 10
GOAL_MB = 100
BUDGETS = (
    "budgets:\n  everything: {scope: all, daily: {emergency: 1000000}}\nservices: {openai: {breaker: {cost: null}}}\n"
)
BODY = json.dumps(
    {"model": "gpt-4o-mini", "max_tokens": 16, "messages": [{"role": "user", "content": "Failed logins. " * 20}]}
).encode()


def run() -> dict[str, Any]:
    """The curve in megabytes by requests, and how much it grew after the first tenth."""
    return asyncio.run(_run())


async def _run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        async with answering() as vendor:
            here = place(Path(name) / "home", budgets=BUDGETS, openai=f"{vendor.url}/openai", anthropic=vendor.url)
            key = await here.key("bench")
            async with here.up() as (address, process):
                curve, failed, began = {0: _mb(process.pid)}, 0, time.monotonic()
                for point in range(1, POINTS + 1):
                    failed += await _ask(address, key, REQUESTS // POINTS)
                    curve[point * REQUESTS // POINTS] = _mb(process.pid)
                seconds = time.monotonic() - began
    sizes = list(curve.values())
    return {
        "requests": REQUESTS,
        "failed": failed,
        "seconds": round(seconds, 1),
        "rss_mb": {f"{count:,}": size for count, size in curve.items()},
        "grown_after_the_first_tenth_mb": round(sizes[-1] - sizes[1], 1),
        "goal": f"<= {GOAL_MB} MB and flat",
    }


def _mb(pid: int) -> float:
    return round(rss_bytes(pid) / 2**20, 1)


async def _ask(address: str, key: str, count: int) -> int:
    """Send so many requests over connections that stay open; how many were not answered with 200."""
    host, _, port = address.removeprefix("http://").partition(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n"
    asked = f"{head}content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY

    async def connection(number: int) -> int:
        reader, writer = await asyncio.open_connection(host, int(port))
        failed = 0
        for _ in range(count // CONNECTIONS + (number < count % CONNECTIONS)):
            writer.write(asked)
            told = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = told.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            failed += told[9:12] != b"200"
        writer.close()
        return failed

    return sum(await asyncio.gather(*(connection(number) for number in range(CONNECTIONS))))
