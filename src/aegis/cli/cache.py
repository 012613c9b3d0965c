"""`aegis cache`: how long answers are used again, how often they were, and what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.gates import span
from aegis.cli.session import Session, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.governor.account import Spend


@click.group(cls=Group, name="cache", examples=("aegis cache list", "aegis cache explain anthropic"))
def group() -> None:
    """The response cache: the same question within the time costs nothing."""


@group.command("list", examples=("aegis cache list", "aegis cache list --json"))
@json_option
def list_(as_json: bool) -> None:
    """Every service: how long its answers hold, and how many calls they answered."""
    import anyio

    rows, kept = anyio.run(_read, session())
    if as_json:
        show_json("cache", **kept, services=rows)
        return
    for row in rows:
        show(f"{row['service']:<12} kept {row['keep']:<6} {row['answered']:>8} answered {row['asked']:>8} asked")
    show(f"{kept['answers']} answers hold, {kept['bytes']:,} bytes")


@group.command("explain", examples=("aegis cache explain anthropic", "aegis cache explain anthropic --json"))
@click.argument("service")
@json_option
def explain(service: str, as_json: bool) -> None:
    """Whether an answer of SERVICE is used again, for how long, and how often it was."""
    import anyio

    rows, _ = anyio.run(_read, session())
    row = next((row for row in rows if row["service"] == service), None)
    if row is None:
        names = ", ".join(row["service"] for row in rows)
        raise BadInput(f"there is no service {service[:64]}; the services are {names}", code="no_such_service")
    if as_json:
        show_json("cache-service", **row)
        return
    if row["keep"] == "never":
        show(f"{service}: answers are never used again")
    else:
        show(f"{service}: an answer may be used again for {row['keep']}, for the same model, operation and evidence")
    show(f"  {row['answered']} of {row['answered'] + row['asked']} calls were answered for nothing")


async def _read(run: Session) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """A row for each service, and what the store keeps. Without a store everything is zero."""
    from aegis.app.services import policies
    from aegis.cli.books import books
    from aegis.stores.spending import answers_kept

    config = run.config()
    found = policies(config)
    spent: dict[str, Spend] = {}
    count = size = 0
    if config.store.path(run.home).exists():
        async with books(run) as here:
            spent = {spend.service: spend for spend in await here.account.spent()}
            count, size, _ = await answers_kept(here.database, here.clock.now())
    rows = [
        {
            "service": service,
            "keep": span(found[service].cache_ms) if service in found and found[service].cache_ms else "never",
            "answered": spent[service].cached if service in spent else 0,
            "asked": spent[service].calls if service in spent else 0,
        }
        for service in sorted({*found, *spent})
    ]
    return rows, {"answers": count, "bytes": size}
