"""`aegis recover`: the return of what was stopped by a plan: checks, then 10, 50 and 100 % of the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aegis.cli.acting import acting, known, system_user
from aegis.cli.commands import Group, json_option
from aegis.cli.emergencies import Desk, chosen, desk, needs_account, plan_row, show_stop, taken_further
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput
from aegis.core.stops import Grade

if TYPE_CHECKING:
    from aegis.core.stops import Stop

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
        if await needs_account(here, found.plan.grade > Grade.G2):
            await _ask(run, here, found, root_cause, as_json)
            return
        by = await known(run, here, "operate") or system_user()
        await here.orders.recover(found.id, by=by, approver=approver, root_cause=root_cause)
        await follow(run, here, found.id, as_json)


async def _ask(run: Session, here: Desk, stop: Stop, root_cause: str, as_json: bool) -> None:
    """Credentials and programs, where there are accounts: it counts when the account of another person agrees."""
    from aegis.app.returns import ask
    from aegis.stores.accounts import SqliteAccounts

    if not root_cause:
        raise BadInput("a return needs --root-cause", code="not_approved")
    by = await acting(run, here, "operate")
    kept, now = SqliteAccounts(here.database), here.clock.now()
    asked = await ask(kept, here.orders, stop, by=by, root_cause=root_cause, new_id=here.new_id, now=now)
    assert asked is not None, "it is beyond what one person may return"
    if as_json:
        show_json("approval", id=asked.id, stop=stop.id, by=by)
        return
    show(asked.id)
    say(f"This waits for a second person: aegis approve {asked.id}")


async def follow(run: Session, here: Desk, stop_id: str, as_json: bool) -> None:
    """See a return off, as far as it goes at once, and show how it stands. Raises `BadInput` when it was broken off."""
    after = await taken_further(run, here, stop_id, state="returning")
    if as_json:
        show_json("stop", **plan_row(after))
    else:
        show_stop(after)
    if after.state == "returning":
        say("A running Aegis takes it through the ramp: aegis recover status")
    elif after.state in ("stopped", "stopping"):
        raise BadInput(after.said[-1][1], code="not_ready")
