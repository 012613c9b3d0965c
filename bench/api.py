"""schemathesis on a running Aegis' own API: from the document it serves, requests that fit and that do not fit.

Left out: the feed, which does not end, and the check that whatever fits the schema is taken: matchers, times and durations
are small languages, and what is wrong in them is a 400 that says so.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.scenarios.processes import sandbox
from tests.web.gateway.running import place

from bench import _peer

NEEDS: Final = "schemathesis==4.32.5"
EXAMPLES: Final = 50
SECONDS_MAX: Final = 600
LEFT_OUT: Final = ("--exclude-path", "/api/feed", "--exclude-checks", "positive_data_acceptance")


def run() -> dict[str, Any]:
    """How many requests were made and what was found; `report` is its own, where anything was."""
    return asyncio.run(_run(_peer.python_of("schemathesis", NEEDS).with_name("schemathesis")))


async def _run(command: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with sandbox(folder / "vendors") as vendors:
            here = place(folder / "home", openai=f"{vendors}/openai", anthropic=f"{vendors}/anthropic")
            async with here.up() as (address, _):
                token = (here.home / "api-token").read_text().strip()
                words = ["run", f"{address}/api/openapi.json", "-H", f"Authorization: Bearer {token}", *LEFT_OUT]
                words += ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"]
                process = await asyncio.create_subprocess_exec(
                    str(command), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder
                )
                out, _ = await asyncio.wait_for(process.communicate(), SECONDS_MAX)
    said = out.decode()
    made = re.search(r"(\d+) generated", said)
    findings = re.findall(r"^- (.+)$", said, re.MULTILINE)
    result = {"tool": NEEDS, "requests": int(made[1]) if made else 0, "exit": process.returncode, "findings": findings}
    return result | ({"report": said[-6_000:]} if process.returncode else {})
