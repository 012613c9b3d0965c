"""`aegis spend`: what each service came to."""

from __future__ import annotations

from datetime import timedelta

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, session, show, show_json


@click.command(cls=Speaking, examples=("aegis spend", "aegis spend --days 7 --json"))
@click.option("--days", type=click.IntRange(1, 3_650), help="Only the last days, today included (UTC).")
@json_option
def command(days: int | None, as_json: bool) -> None:
    """Calls, refusals and cost by service, from the ledger."""
    import anyio

    anyio.run(_spend, session(), days, as_json)


async def _spend(run: Session, days: int | None, as_json: bool) -> None:
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.core.budgets import BudgetBook
    from aegis.core.money import format_usd, show_usd
    from aegis.governor.account import Account
    from aegis.stores.ledger import SqliteLedger

    clock = SystemClock()
    since = (clock.now() - timedelta(days=days - 1)).date() if days else None
    async with reading(run) as database:
        account = Account(SqliteLedger(database, clock), BudgetBook(()), clock, lambda _row: 0)
        found = sorted(await account.spent(since), key=lambda spend: -spend.cost)
    total = sum(spend.cost for spend in found)
    if as_json:
        rows = [
            {
                "service": s.service,
                "calls": s.calls,
                "cached": s.cached,
                "refused": s.refused,
                "cost_usd": format_usd(s.cost),
            }
            for s in found
        ]
        show_json("spend", total_usd=format_usd(total), services=rows)
        return
    for s in found:
        cost = show_usd(s.cost, decimals=4)
        show(f"{s.service:<12} {s.calls:>8} calls {s.cached:>6} cached {s.refused:>6} refused {cost:>14}")
    show(f"{'total':<12} {show_usd(total, decimals=4):>52}")
