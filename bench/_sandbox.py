"""A sandbox in a process of its own, so that it takes no time from what is measured; no benchmark of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aegis.app.system import SystemClock
from aegis.core.ports import HttpRequest
from aegis.sandbox.server import Serving
from aegis.transport.http import OutboundHttp

START_SECONDS = 30


@asynccontextmanager
async def sandbox(home: Path) -> AsyncIterator[Serving]:
    """A running sandbox with its journal in `home`; ended when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aegis", "--home", str(home), "sandbox", "--port", "0"), stdout=PIPE, stderr=PIPE
    )
    try:
        yield Serving(await asyncio.wait_for(_address(process), START_SECONDS))
    finally:
        process.terminate()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if "stands on" in line:
            return line.split()[-1]
    raise RuntimeError("the sandbox ended at once")


async def ask(serving: Serving, method: str, path: str, body: Any = None) -> Any:
    """One request to the sandbox's own addresses, as JSON."""
    url, sent = f"{serving.url}/sandbox/{path}", b"" if body is None else json.dumps(body).encode()
    http = OutboundHttp(clock=SystemClock(), observer=lambda _happened: None)
    try:
        answer = await http.send(HttpRequest(service="sandbox", method=method, url=url, body=sent))
    finally:
        await http.close()
    return json.loads(answer.body)
