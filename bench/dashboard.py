"""Every page of the dashboard over a large store: how long each answer takes, over HTTP on loopback, with the sign-in and
the strict policy; and what it costs of a core (client and server together), which a busy machine changes less. 2,000 incidents and 20,000 calls; with `--long` the 100,000 and 1,000,000 that the goal names.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import orjson

from aegis.app import App, open_app
from aegis.app.system import SystemClock
from aegis.core.incidents import Detection, Incident, Observable, Severity, Status, TimelineEntry
from aegis.core.techniques import TECHNIQUES
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.stores import incident_list
from aegis.stores.database import Database
from aegis.stores.records import incident_to_text
from aegis.stores.times import to_us
from aegis.web.access import TOKEN_FILE, Access
from aegis.web.server import create
from aegis.web.serving import listen, serving

SIZES = {False: (2_000, 20_000), True: (100_000, 1_000_000)}
ROUNDS = {False: 15, True: 20}
GOAL_MS = 200
BATCH = 5_000
DAYS = 30
BUDGETS = """
budgets:
  everything:
    scope: all
    daily: {warning: 500.00, critical: 800.00, emergency: 1000.00}
    monthly: {warning: 7500.00, critical: 9000.00, emergency: 10000.00}
  teams:
    scope: {team: "*"}
    daily: {emergency: 200.00}
"""
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "gpt-5-mini", "gpt-5")
TEAMS = ("build", "search", "support", "platform", "data")


def incidents(count: int, now: datetime) -> Iterator[Incident]:
    chance, techniques = random.Random(7), sorted(TECHNIQUES)
    for number in range(count):
        at = now - timedelta(days=DAYS) * (count - number) / count
        severity = Severity(chance.choices((1, 2, 3, 4), (40, 30, 20, 10))[0])
        status = chance.choices((Status.RESOLVED, Status.OPEN, Status.ACKNOWLEDGED), (95, 3, 2))[0]
        entity = Observable("ip", f"203.0.{number // 250 % 250}.{number % 250}")
        shown = tuple(chance.sample(techniques, chance.randrange(4)))
        detection = Detection(
            rule_id=f"rule-{number % 60}",
            title=f"Passwords are being tried over SSH from {entity.value}",
            severity=severity,
            at=at,
            entity=entity,
            techniques=shown,
            evidence={"message": "Failed password for root " * 4, "program": "sshd", "source_ip": entity.value},
        )
        entries = tuple(TimelineEntry(at=at, kind="detection", text=f"{severity.name}: seen {n}") for n in range(8))
        yield Incident(
            id=f"inc_{number:026d}",
            title=detection.title,
            severity=severity,
            status=status,
            opened_at=at,
            updated_at=at,
            first_seen=at,
            last_seen=at,
            entity=entity,
            rules=(detection.rule_id,),
            detections=(detection,) * 3,
            techniques=shown,
            timeline=entries,
            cost=chance.randrange(50_000_000) if severity >= Severity.HIGH else 0,
        )


def calls(count: int, now: datetime) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(11)
    first_ms, span_ms = int((now - timedelta(days=DAYS)).timestamp() * 1_000), DAYS * 86_400_000
    for number in range(count):
        at_ms = first_ms + span_ms * number // count
        model, team = chance.choice(MODELS), chance.choice(TEAMS)
        state = chance.choices(("settled", "cached", "refused", "worst"), (90, 5, 4, 1))[0]
        cost = chance.randrange(1_000_000, 6_000_000) if state in ("settled", "worst") else 0
        scope = {"team": team, "key": f"{team}-{number % 9}", "purpose": "program"}
        body = {"operation": "messages", "scope": scope, "priority": "LOW", "usage": {"input_tokens": 900}}
        service = "anthropic" if model.startswith("claude") else "openai"
        gate = {"gate": "budget"} if state == "refused" else {}
        text = orjson.dumps(body | gate).decode()
        yield f"call_{number:026d}/1", state, service, model, at_ms, at_ms + 900, cost, cost, "[]", text, "bench", 1


def filled(path: Path, sizes: tuple[int, int], now: datetime) -> None:
    """A store with so many incidents and calls, written by the batch."""
    anyio.run(_fill, path, sizes, now)


async def _fill(path: Path, sizes: tuple[int, int], now: datetime) -> None:
    database = await Database.open(path)
    keep = "INSERT INTO incidents (id, version, status, opened_us, updated_us, body) VALUES (?, 1, ?, ?, ?, ?)"
    end = (
        "INSERT INTO ledger_journal (attempt, state, service, model, at_ms, ended_ms, worst, cost, holds, body, holder, epoch) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    total = (
        "INSERT INTO ledger_totals (day, service, model, state, calls, cost) SELECT date(at_ms / 1000, 'unixepoch'), "
        "service, model, state, count(*), sum(cost) FROM ledger_journal GROUP BY 1, 2, 3, 4"
    )
    try:
        for batch in _batches(incidents(sizes[0], now)):
            rows = [(i.id, i.status.value, to_us(i.opened_at), to_us(i.updated_at), incident_to_text(i)) for i in batch]

            def write(connection: Any, rows: Any = rows, batch: Any = batch) -> None:
                connection.executemany(keep, rows)
                incident_list.keep(connection, batch)

            await database.write(write)
        for batch in _batches(calls(sizes[1], now)):
            await database.write(lambda connection, rows=batch: connection.executemany(end, rows))  # type: ignore[misc]
        await database.write(lambda connection: connection.execute(total))
    finally:
        await database.close()


def _batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def pages(incident: str, call: str) -> dict[str, str]:
    return {
        "now": "/",
        "incidents": "/incidents",
        "incidents, filtered": "/incidents?status=unresolved&severity=CRITICAL",
        "incidents, rare text": "/incidents?q=203.0.7.77",
        "incidents, technique": "/incidents?technique=T1110.001",
        "incidents, page 2": "",
        "incident": f"/incidents/{incident}",
        "spend": "/spend",
        "spend, 30 days": "/spend?span=30d",
        "calls": "/calls",
        "calls, one key": "/calls?key=build-3&span=30d",
        "call": f"/calls/{call}",
        "guardrails": "/guardrails",
        "attack": "/attack",
        "silences": "/silences",
        "stop": "/stop",
        "drills": "/drills",
        "keys": "/keys",
        "sandbox": "/sandbox",
        "status (API)": "/api/status",
    }


async def _measure(home: Path, rounds: int) -> dict[str, Any]:
    clock = SystemClock()
    world = World(clock=clock)
    access = Access.in_folder(home)
    async with (
        serve(world) as sandbox,
        open_app(sandbox_config(sandbox, more=BUDGETS), home=home, resolve=SandboxKeys(sandbox)) as app,
        serving(create(app, access=access, received=world.tallies), listen("127.0.0.1", 0)) as address,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {(home / TOKEN_FILE).read_text().strip()}"}) as client,
    ):
        await _roll_up(app)
        newest = (await app.incidents.recent(1))[0].id
        assert app.shown is not None
        asked = pages(newest, f"call_{0:026d}")
        async with client.get(f"{address}/incidents") as answer:
            older = (await answer.text()).partition('class="pager"><a href="')[2].partition('"')[0]
        asked["incidents, page 2"] = older.replace("&amp;", "&") or "/incidents"
        return {name: await _page(client, f"{address}{path}", rounds) for name, path in asked.items()}


async def _roll_up(app: App) -> None:
    assert app.spendwatch is not None
    while not await app.spendwatch.hours.catch_up(app.clock.now(), days=DAYS + 1):
        pass


async def _page(client: aiohttp.ClientSession, address: str, rounds: int) -> dict[str, float]:
    took, cpu = [], []
    for _ in range(rounds + 2):
        began, worked = time.perf_counter(), time.process_time()
        async with client.get(address) as answer:
            body = await answer.read()
            assert answer.status == 200, (address, answer.status, body[:300])
        took.append((time.perf_counter() - began) * 1_000)
        cpu.append((time.process_time() - worked) * 1_000)
    took = sorted(took[2:])  # the first two compile the template and read the store's pages in
    return {
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": round(took[len(took) * 95 // 100], 1),
        "cpu_ms": round(statistics.median(cpu[2:]), 1),
    }


@contextmanager
def _home() -> Iterator[Path]:
    """An empty folder, or the one that AEGIS_BENCH_STORE names: its store is filled once and used again."""
    if kept := os.environ.get("AEGIS_BENCH_STORE"):
        Path(kept).mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Path(kept)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def run(*, long: bool = False) -> dict[str, Any]:
    sizes, now = SIZES[long], datetime.now(UTC)
    with _home() as home:
        if not (home / "aegis.db").exists():
            filled(home / "aegis.db", sizes, now)
        measured = anyio.run(_measure, home, ROUNDS[long])
    worst = max(measured, key=lambda name: measured[name]["p95_ms"])
    return {
        "incidents": sizes[0],
        "calls": sizes[1],
        "rounds": ROUNDS[long],
        "goal_p95_ms": GOAL_MS,
        "worst": {worst: measured[worst]},
        "pages": measured,
    }
