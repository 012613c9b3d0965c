"""`aegis throttle`: which budgets slow calls down as they fill, and how far they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.gates import span
from aegis.cli.session import Session, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.core.budgets import Budget

STEPS = ("light", "moderate", "heavy", "block")


@click.group(cls=Group, name="throttle", examples=("aegis throttle list", "aegis throttle explain athena-scan"))
def group() -> None:
    """Throttles: the fuller a budget, the longer the space between calls, low priorities first."""


@group.command("list", examples=("aegis throttle list", "aegis throttle list --json"))
@json_option
def list_(as_json: bool) -> None:
    """Every budget with a throttle, and the step that it is at."""
    import anyio

    rows = anyio.run(_rows, session())
    if as_json:
        show_json("throttles", throttles=rows)
        return
    for row in rows:
        show(f"{row['budget']:<16} {row['window']:<8} {row['used_percent']:>3} % used   {row['step']}")
    if not rows:
        show("no budget has a throttle")


@group.command("explain", examples=("aegis throttle explain athena-scan", "aegis throttle explain athena-scan --json"))
@click.argument("budget")
@json_option
def explain(budget: str, as_json: bool) -> None:
    """From which share of BUDGET on calls are spaced out, by how much, and who feels it how."""
    import anyio

    rows = [row for row in anyio.run(_rows, session()) if row["budget"].partition(" [")[0] == budget]
    if not rows:
        raise BadInput(f"no budget {budget[:64]} has a throttle; see `aegis throttle list`", code="no_such_throttle")
    if as_json:
        show_json("throttle", lines=rows)
        return
    for row in rows:
        show(f"{row['budget']} ({row['window']}): {row['used_percent']} % used, step {row['step']}")
    for step in STEPS:
        at = rows[0]["steps"][step]
        space = "LOW and MEDIUM calls are refused" if at["space"] is None else f"{at['space']} between two calls"
        show(f"  from {at['from_percent']} %: {space}")
    show("  HIGH feels one step less, LOW one step more, CRITICAL none; the limit itself holds for all")


async def _rows(run: Session) -> list[dict[str, Any]]:
    from aegis.cli.books import books, named

    config = run.config()
    if not config.store.path(run.home).exists():
        curved = [budget for budget in config.budgets if budget.throttle is not None]
        return [_row(b, b.name, w.window.kind, 0, w.emergency) for b in curved for w in b.windows]
    async with books(run) as here:
        curves = {budget.name: budget for budget in here.book.budgets if budget.throttle is not None}
        found = await here.account.balances()
    return [
        _row(curves[b.budget], named(b), b.window, b.settled + b.held, b.limit) for b in found if b.budget in curves
    ]


def _row(budget: Budget, name: str, window: str, used: int, limit: int) -> dict[str, Any]:
    from aegis.core.throttles import ThrottleStep

    curve = budget.throttle
    assert curve is not None, "only budgets with a throttle come here"
    steps = {
        name: {
            "from_percent": getattr(curve, name),
            "space": None if (space := curve.space_ms(ThrottleStep[name.upper()])) is None else span(space),
        }
        for name in STEPS
    }
    return {
        "budget": name,
        "window": window,
        "used_percent": used * 100 // max(1, limit),
        "step": curve.step(used, limit).name.lower(),
        "steps": steps,
    }
