"""A gateway as a process of its own (`aegis up`) with the sandbox, another process, as its vendors; and its ledger."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from tests.scenarios.processes import ended, line_with, started

from aegis.app.keydesk import KeyDesk
from aegis.app.keyring import pepper
from aegis.app.system import SystemClock
from aegis.governor.pricing import compile_list, keep_table
from aegis.stores.database import Database
from aegis.stores.keys import SqliteKeys

CONFIG = """\
server: {{listen: "127.0.0.1:0"}}
{budgets}gateway:
  upstreams:
    anthropic: {{base_url: "{anthropic}", key: env:SANDBOX_KEY}}
    openai: {{base_url: "{openai}", key: env:SANDBOX_KEY}}
"""
KEY = {"SANDBOX_KEY": "sandbox-key"}


@dataclass
class Place:
    """A state folder with a configuration; `up` starts a gateway in it, as often as the one before has ended."""

    home: Path

    async def key(self, name: str, **rights: Any) -> str:
        """A fresh virtual key. A gateway that runs already hears of it within a second."""
        database = await Database.open(self.home / "aegis.db")
        try:
            keys, salt = SqliteKeys(database), pepper(self.home)
            desk = KeyDesk(keys, clock=SystemClock(), pepper=salt, randbits=secrets.randbits, routes=())
            return (await desk.create(name, **rights)).secret.reveal()
        finally:
            await database.close()

    @asynccontextmanager
    async def up(self) -> AsyncIterator[tuple[str, Process]]:
        """The address of a running gateway, and its process; ended when the block is left, unless it was killed."""
        process = await started(self.home, *self._of(), "up", env=KEY)
        try:
            yield (await line_with(process, "listens on")).split()[-1], process
        finally:
            await ended(process)

    def _of(self) -> tuple[str, str]:
        return "--config", str(self.home / "aegis.yaml")

    async def budgets(self, address: str) -> Mapping[str, Mapping[str, Any]]:
        """Every line of money by its budget, as the running gateway tells it."""
        head = {"Authorization": f"Bearer {(self.home / 'api-token').read_text().strip()}"}
        async with aiohttp.ClientSession() as client, client.get(f"{address}/api/budgets", headers=head) as answer:
            told = await answer.json()
        return {line["name"]: line for line in told["budgets"] if line["unit"] == "usd"}

    def journal(self) -> list[Mapping[str, Any]]:
        """Every attempt on record, oldest first; with `key` and, beside the columns, what its body says."""
        with closing(sqlite3.connect(self.home / "aegis.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            query = "SELECT attempt, state, model, worst, cost, body FROM ledger_journal ORDER BY at_ms"
            found = connection.execute(query).fetchall()
        rows: list[Mapping[str, Any]] = []
        for attempt, state, model, worst, cost, body in found:
            said = json.loads(body)
            key = said.get("scope", {}).get("key", "")
            rows.append({"attempt": attempt, "state": state, "model": model, "worst": worst, "cost": cost, "key": key})
        return rows


@cache
def prices() -> bytes:
    """The compiled price list: 0.8 s of CPU, once for all."""
    return compile_list()


def place(home: Path, *, budgets: str = "", **upstreams: str) -> Place:
    """A new state folder whose vendors stand at these addresses."""
    home.mkdir(mode=0o700, parents=True)
    keep_table(home, prices())
    (home / "aegis.yaml").write_text(CONFIG.format(budgets=budgets, **upstreams))
    return Place(home)


def rss_bytes(pid: int) -> int:
    """What a process has in memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def told(sandbox: str, service: str) -> Mapping[str, Any]:
    """What one vendor of a running sandbox received and billed."""
    async with aiohttp.ClientSession() as client, client.get(f"{sandbox}/sandbox/received/{service}") as answer:
        found: Mapping[str, Any] = await answer.json()
        return found


async def fail(sandbox: str, service: str, **fault: Any) -> None:
    """Tell a vendor of a running sandbox what shall go wrong."""
    async with (
        aiohttp.ClientSession() as client,
        client.put(f"{sandbox}/sandbox/faults/{service}", json=fault) as answer,
    ):
        assert answer.status == 200, await answer.text()
