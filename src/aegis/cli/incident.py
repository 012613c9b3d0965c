"""`aegis incident`: incidents in the terminal."""

from __future__ import annotations

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, session, show, show_json

LISTED = 50


@click.group(cls=Group, name="incident", examples=("aegis incident list", "aegis incident show inc_01J..."))
def group() -> None:
    """Incidents: list, show, acknowledge, resolve, reopen."""


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


def _change(name: str, line: str) -> click.Command:
    """A command that changes an incident's status."""

    @click.argument("incident_id")
    @json_option
    def command(incident_id: str, as_json: bool) -> None:
        import anyio

        anyio.run(_changed, session(), name, incident_id, as_json)

    return group.command(name, help=line)(command)


async def _changed(run: Session, name: str, incident_id: str, as_json: bool) -> None:
    import getpass

    from aegis.cli.opened import opened
    from aegis.web.views import incident_row

    async with opened(run) as (app, _):
        verbs = {
            "acknowledge": app.pipeline.acknowledge,
            "resolve": app.pipeline.resolve,
            "reopen": app.pipeline.reopen,
        }
        changed = await verbs[name](incident_id, by=getpass.getuser())
        await app.finish(wait_ms=0)
    row = incident_row(changed)
    if as_json:
        show_json("incident-changed", **row)
    else:
        show(f"{row['id']} is {row['status']}")


acknowledge = _change("acknowledge", "Take an incident on: everybody who was told hears that somebody works on it.")
resolve = _change("resolve", "The incident is over: pages and issues are closed.")
reopen = _change("reopen", "The incident is not over.")
