"""`aegis demo cost`: the cost optimiser at work on a sandboxed AWS."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import show_json
from aegis.core.money import format_usd, usd


@click.command(cls=Speaking, name="cost", examples=("aegis demo cost", "aegis demo cost --json"))
@json_option
def command(as_json: bool) -> None:
    """Watch Athena and Bedrock stay within their quotas: cache, model choice, throttle, emergency, recommendations,
    dashboard. AWS is the sandbox on this machine; needs boto3 (the extra `aws`), but no account and no key.
    """
    import anyio

    anyio.run(_run, as_json)


async def _run(as_json: bool) -> None:
    from aegis.rehearsal.cost import desk, play

    async with desk() as here:
        played = await play(here)
    if as_json:
        show_json("demo-cost", **_exact(played))
        return
    from rich.console import Console

    from aegis.rehearsal.cost_printing import show

    show(Console(highlight=False, width=None if sys.stdout.isatty() else 120), played)


def _exact(value: Any, *, money: bool = False) -> Any:
    """The same with money as decimal text: nine decimals are a nano-dollar, which is all that the ledger knows."""
    match value:
        case dict():
            return {name: _exact(part, money=money or str(name).endswith("_usd")) for name, part in value.items()}
        case list():
            return [_exact(part, money=money) for part in value]
        case float() if money:
            return format_usd(usd(Decimal(value).quantize(Decimal("1e-9"))))
    return value
