"""`aegis outbox`: deliveries that wait or failed."""

from __future__ import annotations

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json

LISTED = 100
REPLAYED_MAX = 10_000


@click.group(cls=Group, name="outbox", examples=("aegis outbox list", "aegis outbox replay inc_01J...:slack:1"))
def group() -> None:
    """Deliveries: what waits, what failed; replay or drop it."""


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """How many deliveries each service has in which state, and every dead letter."""
    import anyio

    anyio.run(_list, session(), as_json)


async def _list(run: Session, as_json: bool) -> None:
    from aegis.cli.reading import reading
    from aegis.stores.outbox import SqliteOutbox

    async with reading(run) as database:
        outbox = SqliteOutbox(database)
        counts, dead = await outbox.counts(), await outbox.dead(LISTED)
    letters = [{"id": d.id, "service": d.service, "attempts": d.attempts, "error": d.last_error} for d in dead]
    if as_json:
        show_json("outbox", counts={service: dict(states) for service, states in counts.items()}, dead=letters)
        return
    for service, states in counts.items():
        show(f"{service:<12} " + ", ".join(f"{count} {state}" for state, count in states.items()))
    for letter in letters:
        show(f"dead: {letter['id']}  after {letter['attempts']} attempts: {letter['error']}")
    if not counts:
        show("Nothing was queued yet.")


@group.command("replay")
@click.argument("delivery_id", required=False)
@click.option("--service", help="All dead letters of this service, the newest 10,000.")
def replay(delivery_id: str | None, service: str | None) -> int:
    """Send a dead letter again, or all of one service; `aegis up` does it at its next turn."""
    import anyio

    if (delivery_id is None) == (service is None):
        raise click.UsageError("Name a delivery, or a service with --service.")
    if service is not None:
        return anyio.run(_replay_all, session(), service)
    return anyio.run(_decide, session(), str(delivery_id), "replay")


async def _replay_all(run: Session, service: str) -> int:
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.stores.outbox import SqliteOutbox

    async with reading(run) as database:
        outbox, now = SqliteOutbox(database), SystemClock().now()
        letters = [letter for letter in await outbox.dead(REPLAYED_MAX) if letter.service == service]
        again = [await outbox.replay(letter.id, now=now) for letter in letters]
    overtaken = len(again) - sum(again)
    say(
        f"{service}: {sum(again)} are sent again"
        + (f", {overtaken} were overtaken by newer messages" * bool(overtaken))
    )
    return Exit.OK if again else Exit.NOT_FOUND


@group.command("drop")
@click.argument("delivery_id")
def drop(delivery_id: str) -> int:
    """Give a dead letter up for good."""
    import anyio

    return anyio.run(_decide, session(), delivery_id, "drop")


async def _decide(run: Session, delivery_id: str, what: str) -> int:
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.stores.outbox import SqliteOutbox

    async with reading(run) as database:
        outbox = SqliteOutbox(database)
        if what == "replay":
            done = await outbox.replay(delivery_id, now=SystemClock().now())
        else:
            done = await outbox.drop(delivery_id)
    missing = "no dead letter, or a newer message of its incident took its place; see `aegis outbox list`"
    say(f"{delivery_id}: {'done' if done else missing}")
    return Exit.OK if done else Exit.NOT_FOUND
