"""The demo: the recorded attack on the real parts, against the sandbox, with a budget small enough to run out.

Nothing leaves the machine: every service is the sandbox on loopback, the state folder is a fresh one, and keys in the
environment are never read.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from aegis.app import App, Machine, open_app
from aegis.app.keydesk import KeyDesk
from aegis.app.keyring import pepper
from aegis.core.ids import RANDOM_BITS, identifier
from aegis.core.money import usd
from aegis.core.ports import Analyst, Http, HttpRequest, NewId
from aegis.core.references import parse_reference
from aegis.core.stops import Stop
from aegis.core.telemetry import Observer
from aegis.incidents.report import markdown
from aegis.rehearsal.answering import Answered, acknowledge, seen, worst_page
from aegis.rehearsal.clock import StoryClock
from aegis.rehearsal.programs import SMALL, Asked, Program, ask
from aegis.rehearsal.ramp import Climb, Ramp
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.rehearsal.stage import Director, WatchedHttp
from aegis.rehearsal.story import STARTS, Step, story
from aegis.rehearsal.summary import Tally
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World

BUDGET = "0.20"
_SETTINGS = f"""\
budgets:
  everything:
    scope: all
    daily: {{warning: 0.10, critical: 0.16, emergency: {BUDGET}}}
emergency: {{calls: 5}}
contacts:
  grace: {{title: On call, email: grace@example.com}}
  ada: {{title: Team lead, slack: U024BE7LH, roles: [lead]}}
escalation:
  chains:
    - name: page
      when: {{severity: [HIGH, CRITICAL], kind: security}}
      steps: [{{to: grace, by: email, wait: 10m}}, {{to: ada, by: slack, wait: 10m}}]
inbound: {{slack: {{secret: env:SANDBOX_SLACK_SIGNING}}}}
"""
"""A budget so small that a stolen key empties it within minutes of the story, a return that few calls are enough for, and
two people: the second is told when nobody has answered for ten minutes.
"""

STOLEN_PROMPT = "Write a long and detailed story about a lighthouse keeper. " * 60
"""What the thief asks: about 3,600 characters a call."""
TEAM = "platform"
IMPORTER = Program(key="importer", team=TEAM, prompt="Sum up: 214 rows read.", model=SMALL, output_tokens_max=200)
"""The program that runs away, and asks as little as this once it is mended."""
MODEL_MS = 2_000
"""How long the story's model thinks about an incident: about what real ones take."""
TOLD_BY = timedelta(seconds=15)
"""How long the other services may take to hear of an answer: a chat takes one message a second."""
LAST_DELIVERIES = timedelta(minutes=10)
"""How long the story waits at its end for what still has to be delivered."""


@dataclass(slots=True)
class Shown:
    """Who watches the demo: called at each chapter, and once the dashboard stands."""

    observer: Observer = lambda _: None
    chapter: Callable[[datetime, str], None] = lambda _at, _title: None
    told: Callable[[datetime, str], None] = lambda _at, _text: None
    """Hears what an emergency stop and its return did."""
    answered: Callable[[Answered], None] = lambda _: None
    """Hears how it stands everywhere once somebody has answered a page."""
    pause: Callable[[timedelta], Awaitable[None]] = field(default=lambda _: anyio.lowlevel.checkpoint())
    """Waits as long as the story's time between two steps should feel to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A demo that has been played: its summary, and the first line of what each service would have shown."""

    summary: dict[str, Any]
    first_lines: dict[str, str]
    report: Path


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything the demo plays on."""

    app: App
    world: World
    clock: StoryClock
    director: Director
    tally: Tally
    thief: Analyst
    http: Http
    keys: SandboxKeys
    answered: Answered | None = None
    stop: Stop | None = None
    climb: Climb | None = None


@asynccontextmanager
async def staged(home: Path, *, seed: int, link_base: str = "", shown: Shown | None = None) -> AsyncIterator[Stage]:
    """An Aegis in `home` and a sandbox around it, both on the story's clock, running until the block ends."""
    from aegis.connectors import registry

    chance, clock, tally = random.Random(seed), StoryClock(STARTS), Tally()
    watched, plain = list[WatchedHttp](), list[Http]()
    world = World(clock=clock, journal=home / "sandbox.jsonl")
    new_id = seeded_ids(clock, seed)

    def watch(http: Http) -> Http:
        plain.append(http)
        watched.append(WatchedHttp(http, clock, {"anthropic": MODEL_MS}))
        return watched[0]

    async with (
        serve(world) as serving,
        open_app(
            sandbox_config(serving, more=_SETTINGS, extra=("email",)),
            home=home,
            resolve=SandboxKeys(serving),
            machine=Machine(clock=clock, new_id=new_id, chance=chance, watch_http=watch),
            observers=(tally, (shown or Shown()).observer),
            link_base=link_base,
        ) as app,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(app.run)
        keys = SandboxKeys(serving)
        thief = registry.build("anthropic", _thief(serving, keys), plain[0], clock=clock, new_id=new_id)
        director = Director(app, clock, watched[0])
        desk = KeyDesk(app.keys.store, clock=clock, pepper=pepper(home), randbits=chance.getrandbits, routes=())
        await desk.create(IMPORTER.key, team=TEAM)
        yield Stage(
            app=app, world=world, clock=clock, director=director, tally=tally, thief=thief, http=plain[0], keys=keys
        )
        tasks.cancel_scope.cancel()


def _thief(serving: Serving, keys: SandboxKeys) -> dict[str, Any]:
    from aegis.core.references import parse_reference

    return {"key": keys(parse_reference("env:SANDBOX_KEY")), "base_url": serving.addresses()["anthropic"]}


def seeded_ids(clock: StoryClock, seed: int) -> NewId:
    """Identifiers that are the same for the same seed: each kind counts for itself, so tasks that run at the same
    time cannot change one another's.
    """
    chances: dict[str, random.Random] = {}

    def new_id(prefix: str) -> str:
        chance = chances.setdefault(prefix, random.Random(f"{seed} {prefix}"))
        time_ms = int(clock.now().timestamp()) * 1_000
        return identifier(prefix, time_ms=time_ms, random_bits=chance.getrandbits(RANDOM_BITS))

    return new_id


async def play(stage: Stage, *, seed: int, shown: Shown, face: str) -> Played:
    """Play the whole story and write the report of its worst incident. `face` is this Aegis' own address: the story's
    Prometheus reads its metrics at each chapter, and its Slack knocks there.
    """
    before = STARTS
    for number, step in enumerate(story(seed)):
        if step.kind == "chapter":
            await stage.http.send(HttpRequest(service="prometheus", method="GET", url=f"{face}/metrics"))
            stage.world.note("prometheus", "scraped /metrics")
        await shown.pause(step.at - before)
        await stage.director.reach(step.at)
        before = step.at
        await _take(stage, step, shown, key=f"step-{number}", face=face)
    await stage.director.finish(by=stage.clock.now() + LAST_DELIVERIES)
    return await _curtain(stage)


async def _take(stage: Stage, step: Step, shown: Shown, *, key: str, face: str) -> None:
    """One step of the story. `key` tells two steps apart that say the same in the same second."""
    match step.kind:
        case "chapter":
            shown.chapter(step.at, step.text)
        case "log" | "record":
            await stage.app.take(f"{step.text}\n".encode(), source=step.source, idempotency_key=key)
            await stage.app.work_events()
        case "spend":
            for _ in range(int(step.text)):
                await _spend(stage, Program(key=step.source, team=TEAM, prompt=STOLEN_PROMPT))
        case "answer":
            stage.answered = await _answer(stage, by=step.text, face=face)
            shown.answered(stage.answered)
        case "stop_key":
            await stage.app.governor.stop({"key": step.text}, "stolen: stopped by the person on call")
        case "stop":
            ramp = Ramp(stage.app, stage.clock, stage.director, shown.told)
            stage.stop = await ramp.stop({"team": step.text}, reason=step.source, by="ada")
        case "return" if stage.stop is not None:
            ramp = Ramp(stage.app, stage.clock, stage.director, shown.told, known=stage.stop)
            stage.climb = await ramp.back(
                stage.stop,
                lambda: _spend(stage, IMPORTER),
                by="ada",
                approver="grace",
                root_cause=step.text,
                pause=shown.pause,
            )
    await stage.director.calm()


async def _answer(stage: Stage, *, by: str, face: str) -> Answered:
    """Somebody acknowledges the worst page in Slack; how it stands everywhere once that was told."""
    app, at, worst = stage.app, stage.clock.now(), (await worst_page(stage.app)).id
    secret = stage.keys(parse_reference("env:SANDBOX_SLACK_SIGNING"))
    door = f"{face}/inbound/slack"
    status = await acknowledge(app, stage.world, stage.http, incident=worst, by=by, door=door, secret=secret)
    assert status == 200, "Slack's request is signed as Slack signs"
    await stage.director.reach(at + TOLD_BY)
    return await seen(app, stage.world, incident=worst, by=by, at=at)


async def _spend(stage: Stage, program: Program) -> Asked:
    """One model call of a program. What is refused is told by the telemetry; who asks tries again later."""
    return await ask(stage.app, stage.thief, program)


async def _curtain(stage: Stage) -> Played:
    """The summary, and the report of the worst incident."""
    app = stage.app
    found = await app.incidents.recent(1_000)
    worst = max(found, key=lambda incident: (incident.severity, incident.kind == "security", incident.count))
    report = app.home / "reports" / f"{worst.id}.md"
    report.parent.mkdir(mode=0o700, exist_ok=True)
    delivered = await app.outbox.of_incident(worst.id)
    report.write_text(markdown(worst, deliveries=delivered), encoding="utf-8")
    received = {name: counted.received for name, counted in stage.world.tallies().items() if name != "attack"}
    summary = stage.tally.summary("demo", budget=usd(BUDGET), report=str(report), received=received)
    summary["answered"] = _answer_summary(stage)
    summary["stop"] = _stop_summary(stage)
    lines = {name: counted.first_line for name, counted in stage.world.tallies().items()}
    return Played(summary=summary, first_lines=lines, report=report)


def _answer_summary(stage: Stage) -> dict[str, Any]:
    """What the other services knew after somebody had acknowledged in Slack."""
    told = stage.answered
    assert told is not None, "somebody answers in the story"
    return {
        "incident": told.incident,
        "by": told.by,
        "via": "slack",
        "pagerduty": told.pagerduty,
        "jira": told.jira,
        "jira_status": told.jira_status,
        "escalation": told.escalation,
        "escalation_steps": told.steps,
    }


def _stop_summary(stage: Stage) -> dict[str, Any]:
    """How the emergency stop and its return went: the grade, what was stopped, and the calls that passed at each share."""
    climb = stage.climb
    assert climb is not None, "the story ends with a return"
    return {
        "id": climb.stop.id,
        "grade": climb.stop.plan.grade.name,
        "scope": dict(climb.stop.plan.scope),
        "targets": len(climb.stop.touched),
        "state": climb.stop.state,
        "ramp": [
            {"share_percent": share, "calls_tried": climb.tried[share], "calls_made": climb.made[share]}
            for share in climb.tried
        ],
    }
