"""`aegis spend`: what each service came to, or each key, model, incident or severity."""

from __future__ import annotations

from datetime import timedelta

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, session, show, show_json
from aegis.core.costs import NAMES


def names_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Names with commas between them; None when none were asked for."""
    if value is None:
        return None
    names = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'}; known are {', '.join(NAMES)}")
    return names


@click.command(cls=Speaking, examples=("aegis spend", "aegis spend --by key,model --days 7 --json"))
@click.option("--days", type=click.IntRange(1, 3_650), help="Only the last days, today included (UTC).")
@click.option("--by", "names", callback=names_of, metavar="NAMES", help=f"Break down by any of {', '.join(NAMES)}.")
@json_option
def command(days: int | None, names: tuple[str, ...] | None, as_json: bool) -> None:
    """Calls, refusals and cost by service, from the ledger."""
    import anyio

    if names is None:
        anyio.run(_spend, session(), days, as_json)
    else:
        anyio.run(_spend_by, session(), names, days, as_json)


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
        account = Account(SqliteLedger(database, clock), BudgetBook(()), clock, dict)
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


async def _spend_by(run: Session, names: tuple[str, ...], days: int | None, as_json: bool) -> None:
    """From the journal, where each call says for whom it was asked; a call under way is not in it yet."""
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.core.money import format_usd, show_usd
    from aegis.stores.spending import spent_on

    today = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with reading(run) as database:
        found = await spent_on(database, names, today - timedelta(days=days - 1) if days else None)
    total = sum(group.cost for group in found)
    if as_json:
        rows = [
            {
                **dict(zip(names, group.values, strict=True)),
                "calls": group.calls,
                "cached": group.cached,
                "refused": group.refused,
                "cost_usd": format_usd(group.cost),
            }
            for group in found
        ]
        show_json("spend", total_usd=format_usd(total), by=list(names), rows=rows)
        return
    widths = [max([len(name), *(len(group.values[n]) for group in found)]) for n, name in enumerate(names)]
    show("  ".join(f"{name:<{width}}" for name, width in zip(names, widths, strict=True)).rstrip())
    for group in found:
        what = "  ".join(f"{value:<{width}}" for value, width in zip(group.values, widths, strict=True))
        cost = show_usd(group.cost, decimals=4)
        show(f"{what} {group.calls:>8} calls {group.cached:>6} cached {group.refused:>6} refused {cost:>14}")
    show(f"total {show_usd(total, decimals=4)}")
