"""`aegis incident`: incidents in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, session, show, show_json

if TYPE_CHECKING:
    from aegis.core.lifecycle import Verb

LISTED = 50


@click.group(cls=Group, name="incident", examples=("aegis incident list", "aegis incident ack inc_01J..."))
def group() -> None:
    """Incidents: list, show, acknowledge, resolve, reopen, note, assign."""


@group.command("list")
@click.option("--limit", default=LISTED, show_default=True, help="How many, newest first.")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """The newest incidents."""
    import anyio

    anyio.run(_list, session(), limit, as_json)


async def _list(run: Session, limit: int, as_json: bool) -> None:
    from aegis.cli.reading import reading
    from aegis.stores.incidents import SqliteIncidents
    from aegis.web.views import incident_row

    async with reading(run) as database:
        rows = [incident_row(incident) for incident in await SqliteIncidents(database).recent(limit)]
    if as_json:
        show_json("incidents", incidents=rows)
        return
    for row in rows:
        show(
            f"{row['id']}  {row['severity']:<8}  {row['status']:<12}  {row['count']:>5}x  {row['title']} ({row['about']})"
        )
    if not rows:
        show("No incident yet. Try: aegis event import FILE")


@group.command("show")
@click.argument("incident_id")
@json_option
def show_incident(incident_id: str, as_json: bool) -> None:
    """One incident: analysis, findings, evidence, timeline."""
    import anyio

    anyio.run(_show, session(), incident_id, as_json)


async def _show(run: Session, incident_id: str, as_json: bool) -> None:
    from aegis.cli.reading import incident_of, reading
    from aegis.incidents.compose import document
    from aegis.incidents.report import markdown

    async with reading(run) as database:
        incident = await incident_of(database, incident_id)
    if as_json:
        values = dict(document(incident))
        values.pop("schema")
        show_json("incident", **values)
    else:
        show(markdown(incident))


def _change(verb: str, line: str, *, name: str = "", hidden: bool = False) -> click.Command:
    """A command that changes an incident's status."""

    @click.argument("incident_id")
    @click.option("--reason", default="", help="Why, for the timeline.")
    @json_option
    def command(incident_id: str, reason: str, as_json: bool) -> None:
        import anyio

        anyio.run(_say, session(), verb, incident_id, reason, as_json)

    return group.command(name or verb, help=line, hidden=hidden)(command)


def _written(verb: str, argument: str, line: str) -> click.Command:
    """A command that writes something on an incident."""

    @click.argument("incident_id")
    @click.argument("text", metavar=argument)
    @json_option
    def command(incident_id: str, text: str, as_json: bool) -> None:
        import anyio

        anyio.run(_say, session(), verb, incident_id, text, as_json)

    return group.command(verb, help=line)(command)


async def _say(run: Session, verb: str, incident_id: str, text: str, as_json: bool) -> None:
    """Say it to the Aegis that runs, or open one for it."""
    from aegis.cli.beside import ask, is_busy
    from aegis.cli.books import who

    if is_busy(run.home):
        word = {"by": who(run), "via": "cli", "text": text}
        row: Mapping[str, Any] = await ask(run, "POST", f"/api/incidents/{quote(incident_id, safe='')}/{verb}", word)
    else:
        row = await _say_here(run, verb, incident_id, text)
    if as_json:
        keys = ("id", "title", "severity", "status", "assignee", "version")
        show_json("incident-changed", **{key: row[key] for key in keys if key in row})
    elif verb == "note":
        show(f"{row['id']}: noted")
    else:
        show(f"{row['id']} is {row['status']}{' with ' + row['assignee'] if verb == 'assign' else ''}")


async def _say_here(run: Session, verb: str, incident_id: str, text: str) -> Mapping[str, Any]:
    from aegis.cli.books import who
    from aegis.cli.opened import opened
    from aegis.web.views import incident_document

    async with opened(run) as (app, _):
        changed = await app.desk.say(incident_id, cast("Verb", verb), by=who(run), via="cli", text=text)
        await app.finish(wait_ms=0)
    return incident_document(changed)


ack = _change("acknowledge", "Take an incident on: whoever was to be woken next is not.", name="ack")
acknowledge = _change("acknowledge", "The same as ack.", hidden=True)
resolve = _change("resolve", "The incident is over: pages and issues are closed.")
reopen = _change("reopen", "The incident is not over, or nobody works on it any more.")
note = _written("note", "TEXT", "Write into the timeline; nobody is told.")
assign = _written("assign", "NAME", "Put a name on the incident.")
