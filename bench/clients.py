"""Clients as they are on PyPI and npm, each in an environment of its own, pointed at a running gateway (`aegis up`) whose
vendors are a sandbox: what works, and whether every call was settled once at what the vendor billed.

`attempts_refused` counts at the gateway what a key without budget tried: one for each call means that the client stopped.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.scenarios.processes import sandbox
from tests.web.gateway.running import Place, place, told

from aegis.core.budgets import Amounts
from aegis.core.money import USD
from aegis.core.windows import WindowPolicy
from bench import _peer

SECONDS_MAX = 300
QUIET_SECONDS = 30
NPM = "@anthropic-ai/claude-code@2.1.330"
LITELLM = "litellm[proxy]==1.106.2"
"""With its proxy, whose environment `gateway` uses too: without `mcp` it cannot ask for tools."""


class Client(NamedTuple):
    """A script of `bench/peers` and what it needs; nothing where the development environment has it."""

    name: str
    script: str
    needs: tuple[str, ...] = ()


CLIENTS = (
    Client("openai", "client_openai.py"),
    Client("anthropic-2", "client_anthropic.py"),
    Client("anthropic-1", "client_anthropic.py", ("anthropic==1.17.0",)),
    Client(
        "langchain",
        "client_langchain.py",
        ("langchain==1.4.7", "langchain-openai==1.7.3", "langchain-anthropic==1.7.7"),
    ),
    Client("litellm-proxy", "client_litellm.py", (LITELLM,)),
    Client("llm", "client_llm.py", ("llm==0.36", "llm-anthropic==0.30")),
)


def run() -> dict[str, Any]:
    """By client: which steps worked, what was refused and counted."""
    return asyncio.run(_run())


async def _run() -> dict[str, Any]:
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with sandbox(folder / "vendors") as vendors:
            at = {service: f"{vendors}/{service}" for service in ("openai", "anthropic")}
            here = place(folder / "home", **at)
            poor = (Amounts(window=WindowPolicy(kind="day"), emergency=1_000),)
            names = [client.name for client in CLIENTS] + ["claude-code"]
            keys = {name: (await here.key(name), await here.key(f"{name}.poor", windows=poor)) for name in names}
            async with here.up() as (address, _):
                for client in CLIENTS:
                    took = await asyncio.to_thread(_script, client, address, *keys[client.name])
                    rows[client.name] = await _counted(here, address, vendors, client.name, took)
                took = await asyncio.to_thread(_claude_code, folder, address, *keys["claude-code"])
                rows["claude-code"] = await _counted(here, address, vendors, "claude-code", took)
    return {"clients": rows}


def _script(client: Client, address: str, key: str, poor: str) -> dict[str, Any]:
    """What a client's script prints."""
    python = _peer.python_of(client.name, *client.needs) if client.needs else Path(sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        env = {"PATH": "/usr/bin:/bin", "HOME": folder, "PYTHONPATH": str(_peer.ROOT)}
        command = [str(python), str(_peer.ROOT / "bench" / "peers" / client.script), address, key, poor]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=env, cwd=folder, timeout=SECONDS_MAX
        )
    if done.returncode:
        return {"failed": done.stderr[-500:], "refused": 0}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _claude_code(folder: Path, address: str, key: str, poor: str) -> dict[str, Any]:
    """Anthropic's program for terminals, without an account: `claude -p` in an empty home."""
    command = _npm("claude-code", NPM, "claude")
    if command is None:
        return {"failed": "npm is not installed", "refused": 0}
    home = folder / "claude"
    home.mkdir()

    def ask(with_key: str, *more: str) -> list[dict[str, Any]]:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": with_key}
        env |= {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
        words = [str(command), "-p", "hello", "--model", "claude-sonnet-5-5", *more]
        done = subprocess.run(
            words,
            check=False,
            capture_output=True,
            text=True,
            env=env,
            cwd=home,
            timeout=SECONDS_MAX,
            stdin=subprocess.DEVNULL,
        )
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    plain = ask(key, "--output-format", "json")[-1]
    events = ask(key, "--output-format", "stream-json", "--verbose")
    refused = ask(poor, "--output-format", "json")[-1]
    return {
        "version": NPM.rpartition("@")[2],
        "refused": 1,
        "plain": not plain["is_error"] and bool(plain["result"]),
        "stream": events[-1]["type"] == "result" and not events[-1]["is_error"],
        "tools": f"{len(events[0].get('tools', ()))} of its own are offered with every request",
        "errors": refused["api_error_status"] == 429 or str(refused)[:300],
        "refusal": "budget: " in refused["result"] or refused["result"][:300],
        "cost_header": "not shown by this client",
    }


def _npm(name: str, package: str, command: str) -> Path | None:
    folder = _peer.ROOT / ".bench" / name
    found = folder / "node_modules" / ".bin" / command
    if found.exists():
        return found
    if not shutil.which("npm"):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--prefix", str(folder), package], check=True, capture_output=True, timeout=900)
    return found


async def _counted(here: Place, address: str, vendors: str, name: str, took: dict[str, Any]) -> dict[str, Any]:
    """What the client said, with what the ledger and the vendors say of its keys."""
    held = await _quiet(here, address)
    rows = here.journal()
    mine = [row for row in rows if row["key"] == name]
    states = Counter(row["state"] for row in mine)
    poor = [row for row in rows if row["key"] == f"{name}.poor"]
    billed = sum([Decimal((await told(vendors, service))["billed_usd"]) for service in ("openai", "anthropic")]) * USD
    settled = sum(row["cost"] for row in rows)
    calls = sum([(await told(vendors, service))["received"] for service in ("openai", "anthropic")])
    attempts = Counter(row["attempt"] for row in rows)
    once = max(attempts.values(), default=0) == 1 and not {row["state"] for row in rows} - {
        "settled",
        "void",
        "refused",
    }
    return {
        **took,
        "calls_settled": states["settled"],
        "calls_that_the_vendor_refused": states["void"],
        "attempts_refused": len(poor) if {row["state"] for row in poor} <= {"refused"} else "not all refused",
        "stopped_at_once": len(poor) == took["refused"],
        "one_settlement_each": once and sum(row["state"] == "settled" for row in rows) <= calls,
        "ledger_is_the_bill": settled == billed,
        "held_nanos": held,
    }


async def _quiet(here: Place, address: str) -> int:
    """What is held when the calls have ended."""
    for _ in range(QUIET_SECONDS * 10):
        held = max((int(line["held_units"]) for line in (await here.budgets(address)).values()), default=0)
        if not held:
            break
        await asyncio.sleep(0.1)
    return held
