"""`aegis queue`: how many calls wait for each service, for what, and how many may."""

from __future__ import annotations

from typing import Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.gates import Gates, gates, span
from aegis.cli.session import session, show, show_json


@click.group(cls=Group, name="queue", examples=("aegis queue list", "aegis queue explain anthropic"))
def group() -> None:
    """Queues: a call that a rate or breaker tells to come back later waits by priority until its own deadline."""


@group.command("list", examples=("aegis queue list", "aegis queue list --json"))
@json_option
def list_(as_json: bool) -> None:
    """The queue of every service."""
    import anyio

    found = anyio.run(gates, session())
    rows = [_row(found, service) for service in found.names()]
    if as_json:
        show_json("queues", running=found.running, queues=rows)
        return
    for row in rows:
        waiting = "not running" if row["waiting"] is None else f"{row['waiting']} waiting"
        show(f"{row['service']:<12} {waiting:<14} at most {row['waiting_max']:>7,}   rate {_rate(row)}")


@group.command("explain", examples=("aegis queue explain anthropic", "aegis queue explain anthropic --json"))
@click.argument("service")
@json_option
def explain(service: str, as_json: bool) -> None:
    """How calls for SERVICE wait, and for what."""
    import anyio

    found = anyio.run(gates, session())
    found.policy(service)
    row = _row(found, service)
    if as_json:
        show_json("queue", running=found.running, **row)
        return
    show(f"{service}: " + ("not running" if row["waiting"] is None else f"{row['waiting']} calls wait"))
    show(f"  at most {row['waiting_max']:,} wait; then the lowest priority makes room for a higher one, or is refused")
    show(f"  every {row['ages_every']} of waiting raise a call by one priority, up to HIGH")
    show(f"  they wait for the rate: {_rate(row)}")


def _row(found: Gates, service: str) -> dict[str, Any]:
    policy = found.policy(service)
    return {
        "service": service,
        "waiting": found.now(service, "waiting") if service in found.live else (0 if found.running else None),
        "waiting_max": policy.waiting_max,
        "ages_every": span(policy.age_ms),
        "rates": [
            {"count": rate.count, "per": span(rate.per_ms), "kind": rate.kind, "refill": rate.refill}
            for rate in policy.rates
        ],
        "room": found.now(service, "room"),
    }


def _rate(row: dict[str, Any]) -> str:
    if not row["rates"]:
        return "none"
    texts = [
        f"{rate['refill']} per {rate['per']}, bursts of {rate['count']}"
        if rate["kind"] == "token"
        else f"{rate['count']} per {rate['per']}"
        for rate in row["rates"]
    ]
    room = "" if row["room"] is None else f", room for {row['room']} now"
    return " and ".join(texts) + room
