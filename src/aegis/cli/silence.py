"""`aegis silence`: hold messages back for a while, with an owner, a reason and an end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json

if TYPE_CHECKING:
    from aegis.core.silences import Silence
    from aegis.stores.database import Database

LISTED = 200


@click.group(
    cls=Group,
    name="silence",
    examples=(
        'aegis silence add host=web-* --for 2h --reason "deploy 4.2"',
        'aegis silence add team=payments --every "sun 02:00-04:00 Europe/Berlin" --for 90d --reason "weekly patching"',
    ),
)
def group() -> None:
    """Hold back what is told about incidents. A running Aegis obeys within a second."""


@group.command("add")
@click.argument("matchers", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option("--for", "length", default="", metavar="DURATION", help="How long: 2h, 3d.")
@click.option("--until", default="", metavar="TIME", help="Or until when: 2026-12-01T06:00+01:00.")
@click.option("--from", "begins", default="", metavar="TIME", help="From when on; now unless said.")
@click.option(
    "--every", default="", metavar="WINDOW", help='Only in windows of the week: "sat,sun 22:00-06:00 Europe/Berlin".'
)
@click.option("--owner", default="", help="Who answers for it; you unless said.")
@click.option("--reason", required=True, help="Why: it is shown on everything that is held back.")
@click.option("--except-critical", "critical_passes", is_flag=True, help="CRITICAL incidents are told all the same.")
@json_option
def add(matchers: tuple[str, ...], as_json: bool, **wanted: Any) -> None:
    """Hold back what all matchers fit, every severity, escalations too. Log platforms are told all the same."""
    import anyio

    anyio.run(_add, session(), matchers, wanted, as_json)


async def _add(run: Session, matchers: tuple[str, ...], wanted: dict[str, Any], as_json: bool) -> None:
    from aegis.app.auditing import audit_of
    from aegis.app.system import SystemClock
    from aegis.cli.books import who
    from aegis.stores.silences import SqliteSilences

    now = SystemClock().now()
    made = _made(matchers, {**wanted, "owner": wanted["owner"] or who(run)}, now)
    async with _store(run) as database:
        await SqliteSilences(database).add(made, now=now)
        facts = {"silence": made.id, "reason": made.reason, "what": " ".join(one.text() for one in made.matchers)}
        await audit_of(run.config(), run.home, database, SystemClock()).note(who(run), "silence.added", facts)
    if as_json:
        show_json("silence", **row(made, now))
    else:
        show(f"{made.id}: {line(made, now)}")


def _made(matchers: tuple[str, ...], wanted: dict[str, Any], now: datetime) -> Silence:
    from aegis.app.silencing import silence_of
    from aegis.app.system import SystemClock, random_ids

    return silence_of(
        random_ids(SystemClock())("sil"),
        now=now,
        matchers=matchers,
        owner=wanted["owner"],
        reason=wanted["reason"],
        length=wanted["length"],
        until=wanted["until"],
        begins=wanted["begins"],
        every=wanted["every"],
        critical_passes=wanted["critical_passes"],
    )


@group.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@json_option
def list_(everything: bool, as_json: bool) -> None:
    """Silences in force and planned, with what they have held back so far."""
    import anyio

    anyio.run(_list, session(), everything, as_json)


async def _list(run: Session, everything: bool, as_json: bool) -> None:
    from aegis.app.system import SystemClock
    from aegis.stores.silences import SqliteSilences

    now = SystemClock().now()
    async with _store(run) as database:
        silences = SqliteSilences(database)
        found = await silences.newest(LISTED) if everything else await silences.in_force(now)
    if as_json:
        show_json("silences", silences=[row(one, now) for one in found])
        return
    for one in found:
        show(f"{one.id}: {line(one, now)}")
    if not found:
        show("Nothing is silenced.")


@group.command("expire")
@click.argument("silence_id")
def expire(silence_id: str) -> int:
    """End a silence now: what it held back is told, if the incident is still open."""
    import anyio

    return anyio.run(_expire, session(), silence_id)


async def _expire(run: Session, silence_id: str) -> int:
    from aegis.app.auditing import audit_of
    from aegis.app.system import SystemClock
    from aegis.cli.books import who
    from aegis.stores.silences import SqliteSilences

    async with _store(run) as database:
        done = await SqliteSilences(database).end(silence_id, now=SystemClock().now())
        if done:
            log = audit_of(run.config(), run.home, database, SystemClock())
            await log.note(who(run), "silence.ended", {"silence": silence_id})
    say(f"{silence_id}: {'over' if done else 'no silence in force; see `aegis silence list`'}")
    return Exit.OK if done else Exit.NOT_FOUND


@group.command("explain")
@click.argument("name", metavar="SILENCE|INCIDENT")
@json_option
def explain(name: str, as_json: bool) -> None:
    """What a silence holds back now, or what holds an incident back."""
    import anyio

    anyio.run(_explain, session(), name, as_json)


async def _explain(run: Session, name: str, as_json: bool) -> None:
    from aegis.app.silencing import held_by, matching
    from aegis.app.system import SystemClock
    from aegis.cli.reading import incident_of
    from aegis.stores.incidents import SqliteIncidents
    from aegis.stores.silences import SqliteSilences

    now = SystemClock().now()
    async with _store(run) as database:
        silences = SqliteSilences(database)
        found = await silences.get(name)
        if found is not None:
            held = held_by(found, await SqliteIncidents(database).unresolved())
        else:
            incident = await incident_of(database, name)
            fits = matching(incident, await silences.in_force(now), run.config().teams)
    if found is not None:
        if as_json:
            show_json("silence", **row(found, now), incidents=[{"id": i.id, "title": i.title} for i in held])
            return
        show(f"{found.id}: {line(found, now)}")
        for one in held:
            show(f"  holds back {one.id} {one.severity.name} {one.title}")
        return
    hold = incident.held
    if as_json:
        words = {"kind": hold.kind, "by": hold.by, "why": hold.why, "messages": hold.messages} if hold else None
        show_json("incident-silences", id=incident.id, held=words, silences=[row(one, now) for one in fits])
        return
    show(
        f"{incident.id}: {f'held back by {hold.why}, {hold.messages} messages so far' if hold else 'nothing holds it back'}"
    )
    for silence in fits:
        show(f"  fits {silence.id} ({silence.state(now)}): {line(silence, now)}")


@asynccontextmanager
async def _store(run: Session) -> AsyncIterator[Database]:
    """The store, made where there is none yet: a silence may come before the first event."""
    from aegis.stores.database import Database

    database = await Database.open(run.config().store.path(run.make_home()))
    try:
        yield database
    finally:
        await database.close()


def line(silence: Silence, now: datetime) -> str:
    """A silence in one line."""
    what = " ".join(one.text() for one in silence.matchers)
    when = f"{silence.starts_at:%Y-%m-%d %H:%M} to {silence.over_at:%Y-%m-%d %H:%M} UTC"
    often = f", {silence.schedule.text()}" if silence.schedule else ""
    critical = ", but for CRITICAL" if silence.critical_passes else ""
    who = f"{silence.owner}: {silence.reason}"
    return f"{what}{critical} | {silence.state(now)} | {when}{often} | {who} | {silence.held} held back"


def row(silence: Silence, now: datetime) -> dict[str, Any]:
    """A silence as JSON values."""
    from aegis.web.quiet import silence_row

    return silence_row(silence, now)
