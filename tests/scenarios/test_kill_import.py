"""Killed in the middle of an import, again and again: no event is lost or worked twice, nobody is paged twice."""

import asyncio
import json
import sqlite3
from asyncio.subprocess import Process
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.scenarios.processes import sandbox, started

from aegis.app.system import SystemClock
from aegis.rehearsal.sandboxed import sandbox_secrets
from aegis.rehearsal.story import story
from aegis.sandbox.server import Serving
from aegis.sandbox.world import World

pytestmark = pytest.mark.anyio

SEED = 7
PARTS = 6
"""Files of each log: a kill may fall between two."""
RUN_SECONDS = 180
KEPT = ("title", "severity", "kind", "entity", "count", "first_seen", "last_seen", "repeats", "techniques")
"""What must be the same of an incident, whenever and how often its making was interrupted."""
LOOK_SECONDS = 0.004

CONFIG = """\
budgets: {{everything: {{scope: all, daily: {{emergency: 50.00}}}}}}
services:
  anthropic: {{key: env:SANDBOX_KEY, base_url: "{url}/anthropic", rate: 60/minute}}
  virustotal: {{key: env:SANDBOX_KEY, base_url: "{url}/virustotal", rate: 4/minute}}
connectors:
  pagerduty: {{routing_key: env:SANDBOX_ROUTING_KEY, base_url: "{url}/pagerduty"}}
  jira: {{base_url: "{url}/jira", email: aegis@example.com, token: env:SANDBOX_KEY, project: SEC}}
  datadog: {{api_key: env:SANDBOX_KEY, base_url: "{url}/datadog"}}
  splunk: {{base_url: "{url}/splunk", token: env:SANDBOX_KEY}}
  sentry: {{dsn: env:SANDBOX_SENTRY}}
"""
"""Every service without a pace of its own; Slack's one message a second would only make the test longer."""


def write_logs(folder: Path) -> tuple[list[Path], int]:
    """The demo's records as files, each log in parts, in order of time; and how many events they hold."""
    logs: dict[str, list[str]] = {}
    for step in story(SEED):
        if step.kind in ("log", "record"):
            logs.setdefault(step.source, []).append(step.text)
    files = []
    for part in range(PARTS):
        for source, lines in logs.items():
            mine = lines[len(lines) * part // PARTS : len(lines) * (part + 1) // PARTS]
            files.append(folder / f"{part}-{source}")
            files[-1].write_text("".join(f"{line}\n" for line in mine))
    return files, sum(map(len, logs.values()))


@dataclass
class Scene:
    """One state folder, one sandbox, one set of files."""

    folder: Path
    url: str
    files: list[Path]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    async def start(self, minutes_later: int) -> Process:
        config = self.folder / "aegis.yaml"
        config.write_text(CONFIG.format(url=self.url))
        env = {name: secret.reveal() for name, secret in sandbox_secrets(Serving(self.url)).items()}
        words = ("event", "import", "--json", "--config", str(config), *map(str, self.files))
        return await started(self.home, *words, env=env, minutes_later=minutes_later)

    async def complete(self, minutes_later: int = 0) -> dict[str, Any]:
        """Import to the end; the summary."""
        process = await self.start(minutes_later)
        try:
            async with asyncio.timeout(RUN_SECONDS):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        assert process.returncode == 0, err.decode()
        summary: dict[str, Any] = json.loads(out)
        return summary

    def query(self, statement: str) -> list[Any]:
        """Rows of the store; none while it does not stand yet."""
        path = self.home / "aegis.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as store:
            try:
                return store.execute(statement).fetchall()
            except sqlite3.OperationalError:
                return []

    def number(self, statement: str) -> int:
        rows = self.query(statement)
        return int(rows[0][0]) if rows else 0

    def events(self, done: int) -> int:
        return self.number(f"SELECT count(*) FROM events WHERE done = {done}")

    def incidents(self) -> dict[str, dict[str, Any]]:
        """Every incident by its first sight and entity: what it says, without its id and its times of today."""
        found = [json.loads(body) for (body,) in self.query("SELECT body FROM incidents")]
        named = {f"{one['first_seen']} {one['entity']}": {name: one.get(name) for name in KEPT} for one in found}
        assert len(named) == len(found)
        return named


async def heard(client: aiohttp.ClientSession, url: str) -> int:
    """How many requests the sandbox has got."""
    async with client.get(f"{url}/sandbox/received") as answer:
        services = (await answer.json())["services"]
    return sum(int(service["received"]) for service in services.values())


def moments(kills: int, events: int, requests: int) -> Iterator[tuple[str, int]]:
    """When to kill: the first third while events come in, the others while services are told."""
    early = max(1, kills // 3)
    for turn in range(early):
        yield "events", events * (turn + 1) // (early + 1)
    late = kills - early
    for turn in range(late):
        yield "requests", requests * (turn + 1) // (late + 1)


async def test_killed_imports_lose_nothing_and_tell_nobody_twice(tmp_path: Path, long: bool) -> None:
    kills = 20 if long else 3
    logs = tmp_path / "logs"
    logs.mkdir()
    files, number = write_logs(logs)
    for name in ("calm", "killed"):
        (tmp_path / name).mkdir()

    async with aiohttp.ClientSession() as client:
        async with sandbox(tmp_path / "calm" / "sandbox") as url:
            calm = Scene(tmp_path / "calm", url, files)
            summary = await calm.complete()
            requests = await heard(client, url)
        assert (summary["events"], calm.events(done=1)) == (number, number)

        async with sandbox(tmp_path / "killed" / "sandbox") as url:
            scene = Scene(tmp_path / "killed", url, files)
            killed = []
            for turn, (kind, goal) in enumerate(moments(kills, number, requests)):
                process = await scene.start(2 * turn)
                async with asyncio.timeout(RUN_SECONDS):
                    least = goal if kind == "events" else max(goal, await heard(client, url) + 1 + turn % 4)
                    while process.returncode is None:
                        seen = scene.events(done=1) if kind == "events" else await heard(client, url)
                        if seen >= least:
                            break
                        await asyncio.sleep(LOOK_SECONDS)  # between two looks, not for a result
                if process.returncode is None:
                    process.kill()
                await process.communicate()
                waiting = scene.number("SELECT count(*) FROM deliveries WHERE state IN ('ready', 'leased')")
                killed.append((process.returncode, kind, seen, scene.events(done=0), waiting))
            await scene.complete(2 * kills)

    print(f"{kills} kills (exit, at, seen, events waiting, deliveries waiting): {killed}")  # noqa: T201 - the figures
    assert [one[0] for one in killed].count(-9) >= min(3, kills)
    assert scene.number("SELECT count(*) FROM events") == number
    assert scene.events(done=1) == number
    was, would_be = scene.incidents(), calm.incidents()
    assert was.keys() == would_be.keys()
    for name, incident in was.items():
        for part in KEPT:
            assert incident[part] == would_be[name][part], (name, part)
    assert scene.query("SELECT DISTINCT state FROM deliveries") == [("done",)]
    _nobody_was_told_twice(scene)


def _nobody_was_told_twice(scene: Scene) -> None:
    """One page and one issue for each incident that wants one, in what the sandbox remembers."""
    world = World(clock=SystemClock(), journal=scene.folder / "sandbox" / "sandbox.jsonl")
    for service, documents in (("pagerduty", "incident"), ("jira", "issue")):
        told = scene.number(f"SELECT count(DISTINCT incident_id) FROM deliveries WHERE service = '{service}'")
        assert told > 0
        assert len(world.documents(service, documents)) == told
    world.close()
