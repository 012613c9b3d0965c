"""`aegis breaker`: which services are cut off because they fail or run away, and what would cut one off."""

from __future__ import annotations

from typing import Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.gates import Gates, gates, span
from aegis.cli.session import session, show, show_json


@click.group(cls=Group, name="breaker", examples=("aegis breaker list", "aegis breaker explain anthropic"))
def group() -> None:
    """Circuit breakers: a service that keeps failing, or costs too much too fast, is left alone for a while."""


@group.command("list", examples=("aegis breaker list", "aegis breaker list --json"))
@json_option
def list_(as_json: bool) -> None:
    """The breaker of every service."""
    import anyio

    found = anyio.run(gates, session())
    rows = [_row(found, service) for service in found.names()]
    if as_json:
        show_json("breakers", running=found.running, breakers=rows)
        return
    for row in rows:
        show(f"{row['service']:<12} {row['state']:<12} {row['why']}".rstrip())


@group.command("explain", examples=("aegis breaker explain anthropic", "aegis breaker explain anthropic --json"))
@click.argument("service")
@json_option
def explain(service: str, as_json: bool) -> None:
    """What opens the breaker of SERVICE, and how it stands."""
    import anyio

    found = anyio.run(gates, session())
    found.policy(service)
    row = _row(found, service)
    if as_json:
        show_json("breaker", running=found.running, **row)
        return
    show(f"{service}: {row['state']}" + (f" ({row['why']})" if row["why"] else ""))
    if row["state"] == "off":
        return
    show(f"  opens after {row['failures']} failures in a row")
    show(f"  opens when {row['failure_percent']} % of at least {row['volume']} calls within {row['span']} failed")
    if row["cost_usd"] is not None:
        show(f"  opens when more than {row['cost_usd']} USD were spent within {row['cost_span']}")
    show(f"  stays open for {row['recovery']}, then lets one call try")


def _row(found: Gates, service: str) -> dict[str, Any]:
    from aegis.core.money import format_usd

    policy = found.policy(service).breaker
    if policy is None:
        return {"service": service, "state": "off", "why": ""}
    return {
        "service": service,
        "state": found.now(service, "breaker") or ("closed" if found.running else "not running"),
        "why": found.now(service, "why") or "",
        "failures": policy.failures,
        "failure_percent": policy.failure_percent,
        "volume": policy.volume,
        "span": span(policy.span_ms),
        "cost_usd": None if policy.cost is None else format_usd(policy.cost),
        "cost_span": span(policy.cost_span_ms),
        "recovery": span(policy.recovery_ms),
    }
