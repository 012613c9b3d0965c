"""`aegis simulate`: what the recorded calls and incidents would have come to under another policy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, session, show, show_json

if TYPE_CHECKING:
    from aegis.rehearsal.comparing import Compared


@click.command(
    cls=Speaking,
    examples=("aegis simulate --policy stricter.yaml", "aegis simulate --policy stricter.yaml --days 30 --json"),
)
@click.option(
    "--policy",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file like aegis.yaml: its budgets, services, prices and routes are tried.",
)
@click.option(
    "--days", type=click.IntRange(1, 366), default=7, show_default=True, help="Days of the record, up to now."
)
@json_option
def command(policy: Path, days: int, as_json: bool) -> None:
    """Play the record under the configuration in force and under another one, and say the difference in dollars, refusals,
    waiting, missed analyses and messages. Nothing is sent and nothing of the real ledger changes.
    """
    import anyio

    from aegis.rehearsal.comparing import document, lines

    compared = anyio.run(_compared, session(), policy, days)
    if as_json:
        show_json("simulation", **document(compared))
    else:
        show("\n".join(lines(compared)))


async def _compared(run: Session, policy: Path, days: int) -> Compared:
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.config.load import load
    from aegis.governor.pricing import load_prices
    from aegis.rehearsal.comparing import compare

    now, until = run.config(), SystemClock().now()
    then = load(policy, run.env, run.overrides)
    folder = run.home if run.home.exists() else None
    sides = [(config, load_prices(folder, config.prices)) for config in (now, then)]
    async with reading(run) as database:
        return await compare(database, until - timedelta(days=days), until, *sides)
