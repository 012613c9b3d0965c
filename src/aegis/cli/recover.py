"""`aegis recover`: the return of what was stopped by a plan: checks, then 10, 50 and 100 % of the calls."""

from __future__ import annotations

import click

from aegis.cli.books import who
from aegis.cli.commands import Group, json_option
from aegis.cli.emergencies import chosen, desk, plan_row, show_stop, taken_further
from aegis.cli.session import Session, say, session, show_json
from aegis.core.errors import BadInput

_WORDS_MAX = 1_000
_stop_option = click.option(
    "--stop", "stop_id", default="", metavar="ID", help="Which stop; not needed for the only one."
)


@click.group(
    cls=Group,
    name="recover",
    invoke_without_command=True,
    examples=("aegis recover --approver grace --root-cause 'a loop in the importer, fixed'", "aegis recover status"),
)
@_stop_option
@click.option("--approver", default="", metavar="NAME", help="Who says that it may return.")
@click.option("--root-cause", default="", metavar="TEXT", help="What it was, and why it is over.")
@json_option
@click.pass_context
def group(context: click.Context, stop_id: str, approver: str, root_cause: str, as_json: bool) -> None:
    """Give back what was stopped. First it is looked at what has to be so; then 10, 50 and 100 % of the calls are admitted,
    each as long as its gates want; a breach goes one step back, a second one stops again.
    """
    import anyio

    if context.invoked_subcommand is None:
        anyio.run(_recover, session(), stop_id, approver.strip(), root_cause.strip()[:_WORDS_MAX], as_json)


@group.command("status", examples=("aegis recover status",))
@_stop_option
@json_option
def status(stop_id: str, as_json: bool) -> None:
    """How a stop and its return stand."""
    import anyio

    async def look(run: Session) -> None:
        async with desk(run) as here:
            found = await chosen(here, stop_id)
        if as_json:
            show_json("stop", **plan_row(found), history=[words for _, words in found.said])
        else:
            show_stop(found)

    anyio.run(look, session())


async def _recover(run: Session, stop_id: str, approver: str, root_cause: str, as_json: bool) -> None:
    async with desk(run) as here:
        found = await chosen(here, stop_id)
        await here.orders.recover(found.id, by=who(run), approver=approver, root_cause=root_cause)
        after = await taken_further(run, here, found.id, state="returning")
    if as_json:
        show_json("stop", **plan_row(after))
    else:
        show_stop(after)
    if after.state == "returning":
        say("A running Aegis takes it through the ramp: aegis recover status")
    elif after.state == "stopped":
        raise BadInput(after.said[-1][1], code="not_ready")
