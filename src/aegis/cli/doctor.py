"""`aegis doctor`: what is wrong, found by looking, and the command that goes on from there."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, session, show, show_json
from aegis.core.errors import AegisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aegis.app.doctor import Finding, Kind

EXITS: dict[Kind, Exit] = {"config": Exit.CONFIG, "remote": Exit.REMOTE, "later": Exit.TEMPORARY, "note": Exit.OK}
"""What each kind of finding ends with; the first of this order that was found counts."""


@click.command(cls=Speaking, examples=("aegis doctor", "aegis doctor --json"))
@json_option
def command(as_json: bool) -> int:
    """Too many model calls? Calls that fail? Metrics missing? No pages? Looks, and says what to do next. Exit code 3 when
    the configuration is to be changed, 6 when a service fails, 75 when calls are refused for now.
    """
    import anyio

    return anyio.run(_examine, session(), as_json)


async def _examine(run: Session, as_json: bool) -> int:
    from aegis.app.doctor import Patient, examine
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.stores.ledger import SqliteLedger

    config, clock = run.config(), SystemClock()
    async with AsyncExitStack() as opened:
        database = None
        if config.store.path(run.home).exists():
            database = await opened.enter_async_context(reading(run))
        patient = Patient(
            config=config,
            database=database,
            ledger=SqliteLedger(database, clock) if database else None,
            now=clock.now(),
            resolve=run.resolver(config).resolve,
            scrape=lambda: _scraped(run),
        )
        found = await examine(patient)
    bad = [one for one in found if one.bad]
    if as_json:
        rows = [
            {"topic": one.topic, "bad": one.bad, "kind": one.kind, "text": one.text, "next": one.next} for one in found
        ]
        show_json("doctor", ok=not bad, findings=rows)
    else:
        _tell(run, found)
    return next((code for kind, code in EXITS.items() if any(one.kind == kind for one in found)), Exit.OK)


def _tell(run: Session, found: Sequence[Finding]) -> None:
    topic = ""
    for one in found:
        if one.topic != topic:
            topic = one.topic
            show(f"{topic}:")
        show(run.masked(f"  {'WRONG' if one.bad else 'fine '}  {one.text}"))
        if one.next and one.bad:
            show(f"         next: {one.next}")
    wrong = sum(one.bad for one in found)
    show(f"{wrong} to look at" if wrong else "nothing is wrong that can be seen from here")


async def _scraped(run: Session) -> str | None:
    """What /metrics of the running Aegis answers."""
    from aegis.cli.beside import fetch, is_busy

    if not is_busy(run.home):
        return None
    try:
        return await fetch(run, "/metrics")
    except AegisError:
        return ""
