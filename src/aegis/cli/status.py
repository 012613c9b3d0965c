"""`aegis status` and `aegis top`: how everything stands, once or again and again. A running Aegis is asked; else its store."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, say, session, show, show_json

if TYPE_CHECKING:
    from rich.console import RenderableType

LEAST_SECONDS, MOST_SECONDS = 1, 60
"""Between two looks: more often says nothing new, more seldom is no live view."""
ROWS: Final = 12
COLOURS: Final = {"CRITICAL": "bold red", "HIGH": "red", "MEDIUM": "yellow", "LOW": "blue"}
TONES: Final = {"good": "green", "high": "red", "critical": "bold red", "soft": "dim"}


@click.command(cls=Speaking, examples=("aegis status", "aegis status --json"))
@json_option
def status(as_json: bool) -> None:
    """One screen: health, what is stopped, budgets, breakers, throttles, queue, open incidents."""
    import anyio

    found = anyio.run(look, session())
    if as_json:
        show_json("status", **{name: value for name, value in found.items() if name != "schema"})
        return
    for line in lines(found):
        show(line)
    if not found["running"]:
        say("No Aegis runs on this state folder: this is what its store says. Start it with: aegis up")


@click.command(cls=Speaking, examples=("aegis top", "aegis top --every 5"))
@click.option(
    "--every", default=2, show_default=True, type=click.IntRange(LEAST_SECONDS, MOST_SECONDS), help="Seconds."
)
@click.option("--looks", default=0, type=click.IntRange(0, 1_000_000), help="End after so many looks; 0: at Ctrl-C.")
def top(every: int, looks: int) -> None:
    """The same, live. On a terminal that cannot be drawn on: once."""
    import anyio

    run = session()
    if not sys.stdout.isatty() or run.env.get("TERM") in (None, "", "dumb"):
        for line in lines(anyio.run(look, run)):
            show(line)
        return
    anyio.run(_live, run, every, looks)


async def _live(run: Session, every: int, looks: int) -> None:
    import anyio
    from rich.live import Live

    done = 0
    with Live(screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(await look(run)), refresh=True)
            done += 1
            if done == looks:
                return
            await anyio.sleep(every)


async def look(run: Session) -> Mapping[str, Any]:
    """How everything stands, as `aegis.status/1`. Raises `StoreError`, `ServiceError` and `ConfigError`."""
    from aegis.cli.beside import ask, is_busy

    if is_busy(run.home):
        return await ask(run, "GET", "/api/status")
    return await _from_store(run)


async def _from_store(run: Session) -> Mapping[str, Any]:
    """What the store alone knows: no breakers, no buckets, no queue."""
    from aegis import __version__
    from aegis.cli.books import books
    from aegis.governor.switch import scope_text
    from aegis.stores.incident_list import UNRESOLVED, SqliteIncidentList, Wanted
    from aegis.stores.outbox import SqliteOutbox
    from aegis.web.dashboard.rows import standing
    from aegis.web.views import balance_row, stamp

    async with books(run) as here:
        listing = SqliteIncidentList(here.database)
        counted = standing(await listing.counts())
        worst = await listing.page(Wanted(status=UNRESOLVED, worst_first=True), ROWS)
        return {
            "schema": "aegis.status/1",
            "version": __version__,
            "at": stamp(here.clock.now()),
            "running": False,
            "health": "not running",
            "failing": {},
            "stopped": [
                {"scope": scope_text(one.scope), "reason": one.reason, "grade": f"G{one.grade}", "percent": one.percent}
                for one in await here.ledger.switches()
                if one.stopped
            ],
            "budgets": [balance_row(line) for line in await here.account.balances()],
            "services": [],
            "queue": 0,
            "deliveries_waiting": await SqliteOutbox(here.database).undelivered(),
            "incidents_open": counted["unresolved"],
            "incidents_urgent": counted["urgent"],
            "incidents": [
                {
                    "id": one.id,
                    "severity": one.severity.name,
                    "status": one.status.value,
                    "title": one.title,
                    "count": one.count,
                }
                for one in worst
            ],
        }


def lines(found: Mapping[str, Any]) -> Sequence[str]:
    """The screen as plain lines."""
    stopped = [f"{one['scope']} ({one['grade']}: {one['reason']})" for one in found["stopped"]]
    told = [
        f"aegis {found['version']}  {found['health']}"
        + "".join(f"; {name}: {why}" for name, why in found["failing"].items()),
        f"calls      {'STOPPED: ' + '; '.join(stopped) if stopped else 'admitted'}",
        f"incidents  {found['incidents_open']} open, {found['incidents_urgent']} of them HIGH or CRITICAL",
        f"waiting    {found['queue']} calls, {found['deliveries_waiting']} deliveries",
        "",
    ]
    told += [
        f"{b['name']:<20} {b['window']:<8} {b['settled']:>14} of {b['limit']:<18} {b['state']}"
        for b in found["budgets"]
    ]
    told += [""] if found["budgets"] else ["no budget: add one under budgets: in aegis.yaml", ""]
    for one in found["services"]:
        told.append(
            f"{one['name']:<14} {one['state']:<24} done {one['done']:>7}  waiting {one['waiting']:>5}  {_gates(one)}"
        )
    told += [""] if found["services"] else []
    told += [
        f"{one['severity']:<9} {one['status']:<13} {one['count']:>5}x  {one['title']}  {one['id']}"
        for one in found["incidents"]
    ]
    return [line.rstrip() for line in told[:-1] if told] if told[-1] == "" else [line.rstrip() for line in told]


def _gates(service: Mapping[str, Any]) -> str:
    gates = service.get("gates")
    if not gates:
        return ""
    room = f", {gates['room']} of {gates['rate']} free" if gates["rate"] is not None else ""
    throttle = f", throttle {gates['throttle']}" if gates["throttle"] != "none" else ""
    return f"breaker {gates['breaker']}{throttle}{room}"


def screen(found: Mapping[str, Any]) -> RenderableType:
    """The screen for a terminal that can be drawn on."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head, *rest = lines({**found, "budgets": [], "services": [], "incidents": []})[:4]
    top_lines = [
        Text(head, style="bold"),
        *(Text(line, style="bold red" if "STOPPED" in line else "") for line in rest),
    ]
    budgets = Table("budget", "window", "spent", "limit", "state", box=None, header_style="dim", pad_edge=False)
    for one in found["budgets"][:ROWS]:
        budgets.add_row(
            Text(one["name"]),
            one["window"],
            one["settled"],
            one["limit"],
            Text(one["state"], TONES.get(one["tone"], "")),
        )
    services = Table("service", "state", "done", "waiting", "gates", box=None, header_style="dim", pad_edge=False)
    for one in found["services"][:ROWS]:
        state = Text(one["state"], TONES.get(one["tone"], ""))
        services.add_row(Text(one["name"]), state, str(one["done"]), str(one["waiting"]), Text(_gates(one)))
    incidents = Table("severity", "status", "seen", "incident", box=None, header_style="dim", pad_edge=False)
    for one in found["incidents"][:ROWS]:
        severity = Text(one["severity"], COLOURS.get(one["severity"], ""))
        incidents.add_row(
            severity, one["status"], f"{one['count']}x", Text(one["title"], no_wrap=True, overflow="ellipsis")
        )
    return Group(*top_lines, Text(), incidents, Text(), budgets, Text(), services)
