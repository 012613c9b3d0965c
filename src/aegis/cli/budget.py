"""`aegis budget`: how every budget stands, and whether one crossed a level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, session, show, show_json

if TYPE_CHECKING:
    from aegis.core.budgets import Balance

EXITS = {"warning": Exit.WARNING, "critical": Exit.CRITICAL, "emergency": Exit.EMERGENCY}


@click.group(cls=Group, name="budget", examples=("aegis budget list", "aegis budget check || echo over a level"))
def group() -> None:
    """Budgets: limits, what is settled and held, levels crossed."""


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every budget in its current window."""
    import anyio

    from aegis.web.views import balance_row

    rows = [balance_row(balance) for balance in anyio.run(balances, session())]
    if as_json:
        show_json("budgets", budgets=rows)
        return
    for row in rows:
        line = f"{row['name']:<16} {row['window']:<8} {row['settled']:>12} of {row['limit']:<14}"
        show(f"{line} {row['state']:<24} resets {row['resets']}")


@group.command("check")
@json_option
def check(as_json: bool) -> int:
    """Exit with 10, 11 or 12 when a budget is at its warning, critical or emergency level; 0 when none is."""
    import anyio

    found = anyio.run(balances, session())
    worst = max((EXITS[level] for balance in found for level in balance.crossed), default=Exit.OK)
    crossed = [
        f"{balance.budget} ({balance.window}): {', '.join(balance.crossed)}" for balance in found if balance.crossed
    ]
    if as_json:
        show_json("budget-check", exit=int(worst), crossed=crossed)
    else:
        show("\n".join(crossed) or "no budget has crossed a level")
    return worst


async def balances(run: Session) -> Sequence[Balance]:
    """How every budget of the configuration stands in the store. Empty windows where there is no store yet."""
    from aegis.app.services import quotas
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.core.budgets import BudgetBook
    from aegis.governor.account import Account
    from aegis.stores.ledger import SqliteLedger

    config, clock = run.config(), SystemClock()
    async with reading(run) as database:
        book = BudgetBook((*config.budgets, *quotas(config)))
        return await Account(SqliteLedger(database, clock), book, clock, lambda _row: 0).balances()
