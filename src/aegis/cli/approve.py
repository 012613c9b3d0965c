"""`aegis approve`: the second person agrees to what somebody else asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aegis.cli.acting import acting
from aegis.cli.books import Books, books, exact
from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, say, session, show, show_json

if TYPE_CHECKING:
    from aegis.stores.accounts import Approval


@click.command(cls=Speaking, name="approve", examples=("aegis approve", "aegis approve apr_01J..."))
@click.argument("approval_id", metavar="[ID]", default="")
@json_option
def approve(approval_id: str, as_json: bool) -> None:
    """Agree to what somebody else asked for; without ID: what waits."""
    import anyio

    anyio.run(_approve if approval_id else _waiting, session(), approval_id, as_json)


async def _waiting(run: Session, _none: str, as_json: bool) -> None:
    from aegis.core.wording import rfc3339
    from aegis.stores.accounts import SqliteAccounts

    async with books(run) as here:
        found = await SqliteAccounts(here.database).waiting(here.clock.now())
    rows = [{"id": one.id, "what": one.what, "by": one.asked_by, "until": rfc3339(one.expires_at)} for one in found]
    if as_json:
        show_json("approvals", approvals=rows)
        return
    for row in rows:
        show(f"{row['id']}  {row['what']}  asked by {row['by']}, until {row['until']}")
    if not rows:
        say("Nothing waits for a second person")


async def _approve(run: Session, approval_id: str, as_json: bool) -> None:
    from aegis.app.approving import STOP_RETURN, asked_for
    from aegis.stores.accounts import SqliteAccounts

    async with books(run) as here:
        found = await asked_for(SqliteAccounts(here.database), approval_id)
        if found.what != STOP_RETURN:
            await _budget(run, here, found, as_json)
            return
    await _return(run, found, as_json)


async def _budget(run: Session, here: Books, found: Approval, as_json: bool) -> None:
    from aegis.app.approving import agree, set_agreed
    from aegis.stores.accounts import SqliteAccounts

    by = await acting(run, here, "budget")
    kept, facts = SqliteAccounts(here.database), {"approval": found.id, "asked_by": found.asked_by}
    await agree(kept, found, by=by, now=here.clock.now())
    await here.audit.note(by, "budget.approving", facts)
    word, budget = await set_agreed(here.lookups, here.written, found, by=by, now=here.clock.now())
    amount = "default" if word.amount is None else str(exact(word.amount, budget.unit))
    facts |= {"budget": word.budget, "window": word.window, "level": word.level, "amount": amount}
    await here.audit.note(by, "budget.approved", facts)
    if as_json:
        show_json(
            "approved", id=found.id, budget=word.budget, window=word.window, level=word.level, amount=amount, by=by
        )
        return
    show(f"{word.budget} ({word.window}): {word.level} {amount}, asked for by {found.asked_by}")


async def _return(run: Session, found: Approval, as_json: bool) -> None:
    """A stop returns when the second person agrees."""
    from aegis.app.approving import agree, return_of
    from aegis.cli.emergencies import desk
    from aegis.cli.recover import follow
    from aegis.stores.accounts import SqliteAccounts

    stop_id, root_cause = return_of(found)
    async with desk(run) as here:
        by = await acting(run, here, "operate")
        await agree(SqliteAccounts(here.database), found, by=by, now=here.clock.now())
        await here.orders.recover(stop_id, by=found.asked_by, approver=by, root_cause=root_cause)
        await follow(run, here, stop_id, as_json)
