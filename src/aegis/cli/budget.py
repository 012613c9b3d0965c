"""`aegis budget`: how every budget stands, whether one crossed a level, and what a person set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from aegis.cli.books import Books, books, exact, named, who
from aegis.cli.commands import Group, json_option
from aegis.cli.exits import Exit
from aegis.cli.explain import explain
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.app.overrides import Override
    from aegis.core.budgets import Balance, Level
    from aegis.core.windows import WindowKind

EXITS = {"warning": Exit.WARNING, "critical": Exit.CRITICAL, "emergency": Exit.EMERGENCY}
WINDOWS: Mapping[str, WindowKind] = {"daily": "day", "weekly": "week", "monthly": "month", "rolling": "rolling"}


@click.group(cls=Group, name="budget", examples=("aegis budget list", "aegis budget check || echo over a level"))
def group() -> None:
    """Budgets: limits, what is settled and held, levels crossed."""


@group.command("list", examples=("aegis budget list", "aegis budget list --json"))
@json_option
def list_(as_json: bool) -> None:
    """Every budget in its current window."""
    import anyio

    from aegis.web.views import balance_row

    found = anyio.run(balances, session())
    rows = [balance_row(balance) | {"part": balance.part} for balance in found]
    if as_json:
        show_json("budgets", budgets=rows)
        return
    for balance, row in zip(found, rows, strict=True):
        line = f"{named(balance):<16} {row['window']:<8} {row['settled']:>12} of {row['limit']:<14}"
        show(f"{line} {row['state']:<24} resets {row['resets']}")


@group.command("check", examples=("aegis budget check", "aegis budget check --json || echo over a level"))
@json_option
def check(as_json: bool) -> int:
    """Exit with 10, 11 or 12 when a budget is at its warning, critical or emergency level, with 12 too while everything is
    stopped; 0 when none is.
    """
    import anyio

    found, stopped = anyio.run(_standing, session())
    at_level = [(balance, levels) for balance in found if (levels := _levels(balance))]
    exits = [EXITS[level] for _, levels in at_level for level in levels]
    worst = max([*exits, *([Exit.EMERGENCY] if stopped else [])], default=Exit.OK)
    crossed = [f"{named(balance)} ({balance.window}): {', '.join(levels)}" for balance, levels in at_level]
    crossed += [f"everything is stopped: {reason}" for reason in stopped]
    if as_json:
        show_json("budget-check", exit=int(worst), crossed=crossed)
    else:
        show("\n".join(crossed) or "no budget has crossed a level")
    return worst


async def _standing(run: Session) -> tuple[Sequence[Balance], Sequence[str]]:
    """How every budget stands, and why everything is stopped, if it is."""
    async with books(run) as here:
        stopped = [one.reason for one in await here.ledger.switches() if one.stopped and one.grade and not one.scope]
        return await here.account.balances(), stopped


def _levels(balance: Balance) -> Sequence[Level]:
    """The levels that were crossed, and those that a lowered amount has put below what is spent."""
    return [level for level, amount in balance.levels.items() if level in balance.crossed or balance.settled >= amount]


@group.command(
    "set",
    examples=(
        "aegis budget set everything daily emergency 4.00",
        "aegis budget set everything daily emergency default",
    ),
)
@click.argument("name")
@click.argument("window", type=click.Choice([*WINDOWS]))
@click.argument("level", type=click.Choice([*EXITS]))
@click.argument("amount")
@json_option
def setexact(name: str, window: str, level: Level, amount: str, as_json: bool) -> None:
    """Set one AMOUNT of a budget over what the configuration says, in dollars or units of its meter; `default` takes
    that back. Kept in the store with who and when; aegis.yaml stays as it is. A running Aegis takes it over within a
    second. Below what is spent already, nothing more is admitted.
    """
    import anyio

    anyio.run(_set, session(), name, WINDOWS[window], level, amount, as_json)


async def _set(run: Session, name: str, window: WindowKind, level: Level, text: str, as_json: bool) -> None:
    from aegis.app.approving import needs_two
    from aegis.app.overrides import Override, add
    from aegis.config.scalars import units
    from aegis.web.views import amount as shown
    from aegis.web.views import stamp

    async with books(run, make=True) as here:
        unit = next((budget.unit for budget in here.written if budget.name == name), "usd")
        try:
            amount = None if text == "default" else units(text, unit)
        except ValueError as error:
            raise BadInput(f"AMOUNT {error}", code="bad_amount") from error
        word = Override(budget=name, window=window, level=level, amount=amount, by=who(run), at=here.clock.now())
        above = here.config.accounts.two_people_above
        if await needs_two(here.lookups, here.written, word, above):
            await _ask(run, here, word, as_json)
            return
        set_to = {"budget": name, "window": window, "level": level, "amount": text}
        await here.audit.note(word.by, "budget.setting", set_to)
        budget = await add(here.lookups, here.written, word)
        await here.audit.note(word.by, "budget.set", set_to)
    levels = next((dict(one.levels()) for one in budget.windows if one.window.kind == window), {})
    now = {one: exact(units_, unit) for one, units_ in levels.items()}
    if as_json:
        show_json("budget-set", budget=name, window=window, unit=unit, levels=now, by=word.by, at=stamp(word.at))
        return
    show(f"{name} ({window}): {', '.join(f'{one} {shown(units_, unit)}' for one, units_ in levels.items())}")


async def _ask(run: Session, here: Books, word: Override, as_json: bool) -> None:
    """More than one person may set alone: put it on record until a second one agrees."""
    from aegis.app.approving import ask
    from aegis.app.system import random_ids
    from aegis.cli.acting import acting
    from aegis.stores.accounts import SqliteAccounts

    by, now = await acting(run, here, "budget"), here.clock.now()
    asked = await ask(SqliteAccounts(here.database), word, new_id=random_ids(here.clock), by=by, now=now)
    await here.audit.note(by, "budget.asked", {"approval": asked.id, "budget": word.budget, "window": word.window})
    if as_json:
        show_json("approval", id=asked.id, budget=word.budget, by=by)
        return
    show(asked.id)
    say(f"This waits for a second person: aegis approve {asked.id}")


@group.command("overrides", examples=("aegis budget overrides", "aegis budget overrides --json"))
@json_option
def overrides(as_json: bool) -> None:
    """What people set by `aegis budget set`, oldest first: who, when, what."""
    import anyio

    anyio.run(_overrides, session(), as_json)


async def _overrides(run: Session, as_json: bool) -> None:
    from aegis.app.overrides import SETTING, read
    from aegis.web.views import stamp

    async with books(run) as here:
        words = read(await here.lookups.setting(SETTING))
        names = {budget.name: budget.unit for budget in here.written}
    rows = [
        {
            "budget": word.budget,
            "window": word.window,
            "level": word.level,
            "amount": None if word.amount is None else exact(word.amount, names.get(word.budget, "usd")),
            "by": word.by,
            "at": stamp(word.at),
        }
        for word in words
    ]
    if as_json:
        show_json("budget-overrides", overrides=rows)
        return
    for row in rows:
        amount = "default" if row["amount"] is None else row["amount"]
        show(f"{row['at']}  {row['by']:<12} {row['budget']} ({row['window']}) {row['level']} {amount}")
    if not rows:
        say("Nothing was set: every amount is that of the configuration")


group.add_command(explain)


async def balances(run: Session) -> Sequence[Balance]:
    """How every budget in force stands in the store. Raises `BadInput` where there is no store yet."""
    async with books(run) as here:
        return await here.account.balances()
