"""`aegis reconcile`: the ledger beside the providers' own bills, day by day, and what is to be taken over from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json

DAYS: Final = 7
PROVIDERS: Final = ("anthropic", "openai", "aws", "twilio", "virustotal")
WAIT_MS: Final = 2_000
"""How long a command without a running Aegis waits for what it opened to be told; the rest leaves with the next one."""


@click.command(
    cls=Speaking,
    examples=(
        "aegis reconcile",
        "aegis reconcile --days 14 --provider anthropic --json",
        "aegis reconcile --apply",
    ),
)
@click.option("--days", type=click.IntRange(1, 31), default=DAYS, show_default=True, help="Whole days before today.")
@click.option(
    "--provider", "providers", type=click.Choice(PROVIDERS), multiple=True, help="Only this bill; repeatable."
)
@click.option(
    "--apply",
    "apply_",
    is_flag=True,
    help="Take over what was found: book what was spent outside, settle unknown charges.",
)
@click.option("--sandbox", is_flag=True, help="The sandbox stands in for every provider.")
@json_option
def command(days: int, providers: tuple[str, ...], apply_: bool, sandbox: bool, as_json: bool) -> int:
    """Ask the providers what each day cost and compare it with the ledger. Nothing is changed without --apply; what is
    taken over is on the audit log. AWS charges a cent for the question and is asked only when it is named in
    reconcile.providers.
    """
    import anyio

    told = anyio.run(_run, session(), days, providers, apply_, sandbox)
    if as_json:
        show_json("reconcile", **told)
    else:
        _show(told, applied=apply_)
    return Exit.REMOTE if told["problems"] and not told["days"] else Exit.OK


async def _run(run: Session, days: int, providers: Sequence[str], apply_: bool, sandbox: bool) -> dict[str, Any]:
    from aegis.cli.beside import ask, is_busy

    if not sandbox and is_busy(run.home):
        wanted = {"days": days, "providers": list(providers), "apply": apply_}
        told = await ask(run, "POST", "/api/reconcile", wanted)
        told.pop("schema", None)
        return told
    return await _here(run, days, providers, apply_, sandbox)


async def _here(run: Session, days: int, providers: Sequence[str], apply_: bool, sandbox: bool) -> dict[str, Any]:
    """In this process, since no Aegis runs on the state folder."""
    from aegis.app.reconciling import ran_row
    from aegis.cli.acting import acting
    from aegis.cli.books import books
    from aegis.cli.opened import opened

    by = "sandbox"
    if not sandbox:
        async with books(run, make=True) as here:
            by = await acting(run, here, "budget" if apply_ else "read")
    async with opened(run, sandbox=sandbox) as (app, _):
        assert app.reconciling is not None, "an opened Aegis can compare"
        ran = await app.reconciling.run(days=days, by=by, providers=providers, apply="all" if apply_ else "nothing")
        await app.finish(wait_ms=WAIT_MS)
        return ran_row(ran)


def _show(told: Mapping[str, Any], *, applied: bool) -> None:
    for row in told["days"]:
        show(_line(row))
        if row["cause"] not in (None, "provisional"):
            show(f"{'':<12}{row['cause_text']}")
        if proposal := _proposal(row):
            show(f"{'':<12}{proposal}")
    for provider, why in told["problems"].items():
        say(f"{provider}: {why}", colour="red")
    if not told["days"] and not told["problems"]:
        say("no bill to compare with: docs/reconcile.md says which keys are needed")
    booked, refunded = told["booked_usd"], told["refunded_usd"]
    if applied:
        say(f"booked ${booked}, given back ${refunded}", bold=True)
    elif any(_proposal(row) for row in told["days"]):
        say("aegis reconcile --apply takes this over", bold=True)


def _line(row: Mapping[str, Any]) -> str:
    billed, ledger, drift = (_amount(row, name) for name in ("billed", "ledger", "drift"))
    who = row["service"] if row["service"] == row["provider"] else f"{row['provider']}/{row['service']}"
    again = ", restated" if row["restated"] else ""
    return (
        f"{row['day']}  {who:<14} bill {billed:>12}  ledger {ledger:>12}  drift {drift:>12} "
        f"({row['drift_percent']} %)  {row['state']}{again}"
    )


def _proposal(row: Mapping[str, Any]) -> str:
    words = [
        f"{verb} {_amount(row, name)}"
        for name, verb in (("to_book", "to book as spent outside:"), ("to_refund", "to give back:"))
        if row[_key(row, name)] not in (0, "0.00")
    ]
    return ", ".join(words)


def _amount(row: Mapping[str, Any], name: str) -> str:
    from aegis.core.money import show_usd, usd

    value = row[_key(row, name)]
    return show_usd(usd(value), decimals=4) if row["meter"] == "usd" else f"{value:,} {row['meter']}"


def _key(row: Mapping[str, Any], name: str) -> str:
    return f"{name}_usd" if row["meter"] == "usd" else name
