"""An hour of incidents on a story's clock: requests per service and severity, model calls before and after, cache hits, cost.

Two hours are played, each on the real parts against a sandbox. `mix` is the one that the product's first description
reckons with: 100 incidents, 40 LOW, 30 MEDIUM, 20 HIGH and 10 CRITICAL, each of its own, a quarter of them with a public
address; each severity is played alone, so that its requests can be told apart. `stream` is what logs really bring: 1,000
detections about 100 things, the few loud ones over and over (Zipf's law), in the same shares. "Before" is that
description's own: a model is asked about every detection. `attack` counts look-ups in the catalogue that was fetched once;
Prometheus asks us, so it receives nothing.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from aegis.app import Machine, open_app
from aegis.core.incidents import Severity
from aegis.core.money import format_usd
from aegis.core.ports import Http
from aegis.core.telemetry import CallEnded, Happened
from aegis.rehearsal.clock import StoryClock
from aegis.rehearsal.demo import seeded_ids
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.rehearsal.stage import Director, WatchedHttp
from aegis.rehearsal.summary import TWELVE, Tally
from aegis.sandbox.server import serve
from aegis.sandbox.world import World

STARTS = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHARES = {Severity.LOW: 40, Severity.MEDIUM: 30, Severity.HIGH: 20, Severity.CRITICAL: 10}
REPEATS = 10
SEED = 7
AFTER = timedelta(minutes=30)
"""How long what still waits after the hour may take to leave."""
DAYS = {"day": 24, "month": 24 * 30, "year": 24 * 365}
SEED_TABLES: Mapping[str, Any] = {
    "calls_per_incident": {"LOW": 7, "MEDIUM": 9, "HIGH": 11, "CRITICAL": 11},
    "calls_per_hour": 880,
    "claude_calls_per_hour": {"before": 100, "after": 10},
    "cache_hit_percent": 70,
    "usd_per_call": "0.015",
    "cost_usd": {
        "hour": {"before": "1.50", "after": "0.15"},
        "day": {"before": "36.00", "after": "3.60"},
        "month": {"before": "1080.00", "after": "108.00"},
        "year": {"before": "12960.00", "after": "1296.00"},
    },
}
"""What the first description says of such an hour."""
RULE = """\
title: Something {level} happened
id: bench-{level}
level: {level}
tags: [attack.credential-access, attack.t1110]
logsource: {{product: bench}}
detection: {{found: {{grade: {level}}}, condition: found}}
"""
SETTINGS = "detection: {{shipped: false, rules: ['{rules}']}}\n"


class Calls:
    """How calls to the model ended."""

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()
        self.cost = 0

    def __call__(self, happened: Happened) -> None:
        if isinstance(happened, CallEnded) and happened.service == "anthropic":
            self.ended[happened.outcome] += 1
            self.cost += happened.cost


def event(severity: Severity, thing: int, at: datetime) -> dict[str, Any]:
    """One record about one thing; every fourth thing has a public address."""
    address = f"{'45.76' if thing % 4 == 0 else '10.0'}.{severity}.{thing + 1}"
    return {
        "logsource": {"product": "bench"},
        "timestamp": at.isoformat(),
        "grade": severity.name.lower(),
        "user": f"{severity.name.lower()}-{thing}",
        "source_ip": address,
        "message": f"{severity.name} thing {thing}",
    }


def mix(severity: Severity) -> Sequence[tuple[datetime, dict[str, Any]]]:
    """The share of one severity, spread evenly over the hour, each about another thing."""
    count = SHARES[severity]
    times = (STARTS + HOUR * n / count for n in range(count))
    return [(at, event(severity, n, at)) for n, at in enumerate(times)]


def stream() -> Sequence[tuple[datetime, dict[str, Any]]]:
    """A thousand detections about a hundred things: the loudest of a severity comes most often."""
    chance, found = random.Random(SEED), list[tuple[datetime, dict[str, Any]]]()
    for severity, count in SHARES.items():
        weights = [1 / (rank + 1) for rank in range(count)]
        things = [*range(count), *chance.choices(range(count), weights, k=count * (REPEATS - 1))]  # each comes once
        for thing in things:
            at = STARTS + HOUR * chance.random()
            found.append((at, event(severity, thing, at)))
    return sorted(found, key=lambda one: one[0])


async def play(home: Path, events: Sequence[tuple[datetime, dict[str, Any]]]) -> dict[str, Any]:
    """Play these events in a fresh Aegis; what every service received, and what the model was asked."""
    rules = home / "rules"
    rules.mkdir()
    for severity in SHARES:
        (rules / f"{severity.name.lower()}.yml").write_text(RULE.format(level=severity.name.lower()))
    clock, tally, calls, watched = StoryClock(STARTS), Tally(), Calls(), list[WatchedHttp]()

    def watch(http: Http) -> Http:
        watched.append(WatchedHttp(http))
        return watched[0]

    world = World(clock=clock)
    machine = Machine(clock=clock, new_id=seeded_ids(clock, SEED), chance=random.Random(SEED), watch_http=watch)
    async with (
        serve(world) as serving,
        open_app(
            sandbox_config(serving, more=SETTINGS.format(rules=rules)),
            home=home,
            resolve=SandboxKeys(serving),
            machine=machine,
            observers=(tally, calls),
        ) as app,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(app.run)
        director = Director(app, clock, watched[0])
        for number, (at, record) in enumerate(events):
            await director.reach(at)
            await app.take(json.dumps(record).encode(), source="bench", idempotency_key=str(number))
            await app.work_events()
        await director.finish(by=STARTS + HOUR + AFTER)
        tasks.cancel_scope.cancel()
    tallies = world.tallies()
    received = {name: tallies[name].received for name in TWELVE if name in tallies}
    received["attack"] = tally.received["attack"]
    return {
        "detections": tally.detections,
        "incidents": len(tally.severities),
        "received": received,
        "asked": calls.ended["settled"],
        "cached": calls.ended["cached"],
        "refused": calls.ended["refused"],
        "cost": calls.cost,
    }


def _played(events: Sequence[tuple[datetime, dict[str, Any]]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        return anyio.run(play, Path(home), events, backend_options={"use_uvloop": True})


def _costs(before_calls: int, asked: int, cost: int) -> dict[str, Any]:
    """An hour's cost before and after, and what that is in a day, a month of 30 days and a year."""
    each = cost // asked if asked else 0
    hours = {"hour": 1, **DAYS}
    return {
        "usd_per_call": format_usd(each),
        **{
            name: {"before": format_usd(each * before_calls * count), "after": format_usd(cost * count)}
            for name, count in hours.items()
        },
    }


def _told(played: Mapping[str, Any]) -> dict[str, Any]:
    before, asked = played["detections"], played["asked"]
    hits = played["cached"]
    return {
        "detections": before,
        "incidents": played["incidents"],
        "requests": played["received"],
        "claude_calls": {"before": before, "after": asked, "fewer_percent": round(100 * (1 - asked / before), 1)},
        "cache_hits": hits,
        "cache_hit_percent": round(100 * hits / (hits + asked), 1) if hits + asked else 0.0,
        "refused": played["refused"],
        "cost_usd": _costs(before, asked, played["cost"]),
    }


def run() -> dict[str, Any]:
    """Both hours, beside what the first description says."""
    alone = {severity: _played(mix(severity)) for severity in SHARES}
    both: dict[str, Any] = {"received": Counter()}
    for played in alone.values():
        both["received"].update(played["received"])
        for name in ("detections", "incidents", "asked", "cached", "refused", "cost"):
            both[name] = both.get(name, 0) + played[name]
    per_incident = {
        severity.name: {
            "requests": round(sum(played["received"].values()) / played["incidents"], 1),
            "services": sum(count > 0 for count in played["received"].values()),
        }
        for severity, played in alone.items()
    }
    both["received"] = dict(both["received"])
    return {
        "first_description": SEED_TABLES,
        "mix": {**_told(both), "requests_per_hour": sum(both["received"].values()), "per_incident": per_incident},
        "stream": _told(_played(stream())),
    }
