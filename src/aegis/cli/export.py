"""`aegis export`: the bill, the journal and incidents in the forms that other programs read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group
from aegis.cli.session import Session, say, session, show

if TYPE_CHECKING:
    from datetime import date

    from aegis.stores.database import Database

DAYS = click.IntRange(1, 3_650)


@click.group(
    cls=Group,
    name="export",
    examples=(
        "aegis export focus --days 31 --out november.csv",
        "aegis export calls --format jsonl",
        "aegis export incidents --format ocsf --out findings.jsonl",
    ),
)
def group() -> None:
    """The bill (FOCUS), the journal of calls (CSV, JSON lines), incidents (OCSF, CloudEvents, JSON lines)."""


days_option = click.option("--days", type=DAYS, default=31, show_default=True, help="Days (UTC), today included.")
out_option = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of stdout; it is replaced."
)


@group.command("focus")
@days_option
@click.option("--focus-version", "version", type=click.Choice(["1.2", "1.4"]), default="1.2", show_default=True)
@click.option("--account", default="aegis", show_default=True, help="What stands as BillingAccountId.")
@out_option
def focus(days: int, version: Any, account: str, out: Path | None) -> None:
    """The bill as FOCUS, CSV: a row for each hour, service, model, meter, key, team, purpose and incident. The sum of its
    BilledCost is the ledger's total to the nano-dollar.
    """
    import anyio

    anyio.run(_focus, session(), days, version, account, out)


@group.command("calls")
@days_option
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@out_option
def calls(days: int, form: str, out: Path | None) -> None:
    """The journal: every call that ended, how, for whom, and what it cost."""
    import anyio

    anyio.run(_calls, session(), days, form, out)


@group.command("incidents")
@days_option
@click.option(
    "--format", "form", type=click.Choice(["ocsf", "cloudevents", "jsonl"]), default="jsonl", show_default=True
)
@click.option("--source", default="/aegis", show_default=True, help="What names this installation in CloudEvents.")
@out_option
def incidents(days: int, form: str, source: str, out: Path | None) -> None:
    """Incidents that opened in these days, one JSON object a line: OCSF Detection Findings, CloudEvents of their timelines,
    or `aegis.incident/1`.
    """
    import anyio

    anyio.run(_incidents, session(), days, form, source, out)


async def _focus(run: Session, days: int, version: Any, account: str, out: Path | None) -> None:
    from aegis.app.exporting import charges_of
    from aegis.core.money import show_usd
    from aegis.core.sheets import csv_lines
    from aegis.finance.focus import columns, rows
    from aegis.governor.pricing import load_prices

    prices = load_prices(run.home if run.home.exists() else None, run.config().prices)
    async with _written(run, days, out) as (database, first, last, write):
        found = await charges_of(database, prices, first, last)
        write(csv_lines(columns(version), rows(found, version, account=account)))
    if out is not None:
        total = show_usd(sum(charge.cost for charge in found), decimals=4)
        say(f"written: {out} ({len(found)} rows, {total})")


async def _calls(run: Session, days: int, form: str, out: Path | None) -> None:
    from aegis.app.exporting import CALL_COLUMNS, call_rows
    from aegis.core.sheets import csv_lines, json_lines

    async with _written(run, days, out) as (database, first, last, write):
        if form == "csv":
            write(csv_lines(CALL_COLUMNS, ()))
        async for page in call_rows(database, first, last):
            write(json_lines(page) if form == "jsonl" else list(csv_lines(CALL_COLUMNS, page))[1:])
    if out is not None:
        say(f"written: {out}")


async def _incidents(run: Session, days: int, form: str, source: str, out: Path | None) -> None:
    from aegis.app.exporting import incident_documents
    from aegis.core.sheets import json_lines

    async with _written(run, days, out) as (database, first, last, write):
        async for page in incident_documents(database, first, last, form, source=source):
            write(json_lines(page))
    if out is not None:
        say(f"written: {out}")


@asynccontextmanager
async def _written(run: Session, days: int, out: Path | None) -> AsyncIterator[tuple[Database, date, date, Any]]:
    """The store, the span, and what takes lines: a file that is replaced whole once all of it is there, or stdout."""
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading

    last = SystemClock().now().date()
    first = last - timedelta(days=days - 1)
    async with reading(run) as database:
        if out is None:
            yield database, first, last, _to_stdout
            return
        beside = out.with_name(f".{out.name}.part")
        try:
            with beside.open("w", encoding="utf-8", newline="") as file:
                yield database, first, last, file.writelines
            beside.replace(out)
        finally:
            beside.unlink(missing_ok=True)


def _to_stdout(lines: Iterable[str]) -> None:
    for line in lines:
        show(line.rstrip("\r\n"))
