"""`aegis report weekly`: the week in figures, shown, written or sent by mail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Speaking
from aegis.cli.session import Session, say, session, show

if TYPE_CHECKING:
    from datetime import datetime

    from aegis.core.outlets import Written


@click.command(
    "weekly",
    cls=Speaking,
    examples=("aegis report weekly", "aegis report weekly --send", "aegis report weekly --out week.html"),
)
@click.option(
    "--send", is_flag=True, help="Send it by mail now, to `reports.weekly.to` or to the connector's own addresses."
)
@click.option("--to", multiple=True, metavar="ADDRESS", help="With --send: these addresses instead.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file: .html, else Markdown."
)
def command(send: bool, to: tuple[str, ...], out: Path | None) -> None:
    """The seven whole days before today: what they cost beside the week before, what each budget comes to, what was avoided.
    The configuration's `reports.weekly` sends it every week of itself.
    """
    import anyio

    made = anyio.run(_made, session())
    if out is not None:
        out.write_text(made.html if out.suffix.lower() in (".html", ".htm") else made.text, encoding="utf-8")
        say(f"written: {out}")
    if send:
        note = anyio.run(_send, session(), made, to)
        say(f"sent{f'; {note}' if note else ''}")
    if out is None and not send:
        show(made.text.rstrip("\n"))


async def _made(run: Session) -> Written:
    from aegis.app.weekly import week_of
    from aegis.cli.books import books
    from aegis.finance.weekly import written
    from aegis.governor.pricing import load_prices
    from aegis.stores.spend_hours import SpendHours

    async with books(run) as here:
        now: datetime = here.clock.now()
        await SpendHours(here.database).catch_up(now, pages=50)
        prices, balances = load_prices(run.home, here.config.prices), await here.account.balances()
        week = await week_of(here.database, prices, now, here.book.budgets, balances)
        return written(week, f"by hand {now.isoformat()}")


async def _send(run: Session, report: Written, to: tuple[str, ...]) -> str:
    from aegis.app.system import SystemClock, random_ids
    from aegis.app.trying import connected
    from aegis.core.errors import BadInput
    from aegis.core.outlets import Mailbox

    config, clock = run.config(), SystemClock()
    resolve = run.resolver(config).resolve
    async with connected(config, home=run.home, resolve=resolve, clock=clock, new_id=random_ids(clock)) as (parts, _):
        mailbox = next((one for one in parts.connectors if isinstance(one, Mailbox)), None)
        if mailbox is None:
            raise BadInput("no mail can be sent: add connectors.email to the configuration", code="no_mail")
        return await mailbox.deliver(report, to or (config.weekly.to if config.weekly else ()))
