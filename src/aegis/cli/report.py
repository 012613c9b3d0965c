"""`aegis report`: written reports from the record."""

from __future__ import annotations

from pathlib import Path

import click

from aegis.cli.commands import Group
from aegis.cli.session import Session, say, session, show


@click.group(
    cls=Group,
    name="report",
    examples=("aegis report incident inc_01J... --out report.md", "aegis report cost --days 30 --out costs.html"),
    lazy={
        "cost": ("aegis.cli.report_cost:command", "What the last days cost, and what was avoided."),
        "weekly": ("aegis.cli.report_weekly:command", "The week in figures, shown or sent by mail."),
    },
)
def group() -> None:
    """Reports, written from what is on record."""


@group.command("incident")
@click.argument("incident_id")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A new file instead of stdout.")
def incident(incident_id: str, out: Path | None) -> None:
    """The report of one incident, in Markdown."""
    import anyio

    anyio.run(_write, session(), incident_id, out)


async def _write(run: Session, incident_id: str, out: Path | None) -> None:
    from aegis.cli.reading import incident_of, reading
    from aegis.core.errors import BadInput
    from aegis.incidents.report import markdown
    from aegis.stores.outbox import SqliteOutbox

    async with reading(run) as database:
        incident = await incident_of(database, incident_id)
        text = markdown(incident, deliveries=await SqliteOutbox(database).of_incident(incident_id))
    if out is None:
        show(text)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise BadInput(
            f"{out} is there already; what people wrote into it is not overwritten", code="exists"
        ) from error
    say(f"written: {out}")
