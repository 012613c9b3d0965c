"""`aegis report`: written reports from the record."""

from __future__ import annotations

import click

from aegis.cli.commands import Group


@click.group(
    cls=Group,
    name="report",
    examples=("aegis report incident inc_01J... --out report.md", "aegis report cost --days 30 --out costs.html"),
    lazy={
        "incident": ("aegis.cli.report_incident:incident", "The report of one incident, in Markdown, HTML or JSON."),
        "write": ("aegis.cli.report_incident:write", "What people add to it: root cause, prevention, lessons."),
        "cost": ("aegis.cli.report_cost:command", "What the last days cost, and what was avoided."),
        "weekly": ("aegis.cli.report_weekly:command", "The week in figures, shown or sent by mail."),
    },
)
def group() -> None:
    """Reports, written from what is on record."""
