"""`aegis anomaly`: spending that was not as usual, and what drove it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.core.anomalies import Episode


@click.group(cls=Group, name="anomaly", examples=("aegis anomaly list", "aegis anomaly explain ano_01J..."))
def group() -> None:
    """Anomalies that a running Aegis found in spending."""


@group.command("list", examples=("aegis anomaly list", "aegis anomaly list --limit 10 --json"))
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most so many.")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """The newest anomalies, newest first."""
    import anyio

    from aegis.app.spendwatch import episode_row, title
    from aegis.core.wording import when

    found = anyio.run(_newest, session(), limit)
    if as_json:
        show_json("anomalies", anomalies=[episode_row(one) for one in found])
        return
    for one in found:
        state = "over" if one.closed_at else "open"
        show(f"{one.id}  {when(one.opened_at)}  {state:<5} {title(one)}  {one.incident}".rstrip())
    if not found:
        show("no anomaly was found")


@group.command("explain", examples=("aegis anomaly explain ano_01J...",))
@click.argument("anomaly_id", metavar="ID")
@json_option
def explain(anomaly_id: str, as_json: bool) -> None:
    """What each detector saw, what is usual, and what drove it."""
    import anyio

    from aegis.app.spendwatch import driven, episode_row, title
    from aegis.core.money import show_usd
    from aegis.core.wording import when

    one = anyio.run(_one, session(), anomaly_id)
    if as_json:
        show_json("anomaly", **episode_row(one))
        return
    show(f"{one.id}: {title(one)}" + (f" (incident {one.incident})" if one.incident else ""))
    show(f"opened {when(one.opened_at)}, " + (f"over {when(one.closed_at)}" if one.closed_at else "still open"))
    for alarm in one.alarms:
        spent, usual = show_usd(alarm.cost, decimals=4), show_usd(alarm.usual, decimals=4)
        show(f"\n{alarm.detector} on {alarm.about}, {when(alarm.since)} to {when(alarm.until)}: {alarm.reason}")
        show(f"  {spent} instead of {usual}")
        for driver in alarm.drivers:
            show(f"  {driven(driver)}")


async def _newest(run: Session, limit: int) -> Sequence[Episode]:
    from aegis.cli.reading import reading
    from aegis.stores.anomalies import SqliteAnomalies

    async with reading(run) as database:
        return await SqliteAnomalies(database).newest(limit)


async def _one(run: Session, anomaly_id: str) -> Episode:
    from aegis.cli.reading import reading
    from aegis.stores.anomalies import SqliteAnomalies

    async with reading(run) as database:
        found = await SqliteAnomalies(database).get(anomaly_id)
    if found is None:
        raise BadInput(
            f"there is no anomaly {anomaly_id[:64]}; `aegis anomaly list` shows them", code="no_such_anomaly"
        )
    return found
