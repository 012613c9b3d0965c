"""`aegis audit`: who did what and when, and whether anybody has changed the record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.core.audits import AuditEntry
    from aegis.emergency.audit import AuditLog

LISTED = 1_000


@click.group(cls=Group, name="audit", examples=("aegis audit log --since 24h", "aegis audit verify"))
def group() -> None:
    """The audit log: stops, budgets, keys, silences, sign-ins, restores; append-only, each entry bound to the one before."""


@group.command("log", examples=("aegis audit log", "aegis audit log --since 7d --json"))
@click.option("--since", default="", metavar="TIME", help="Not older than this: 24h, 7d.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, LISTED), help="How many at most.")
@json_option
def log(since: str, limit: int, as_json: bool) -> None:
    """The newest entries, newest first."""
    import anyio

    from aegis.core.wording import rfc3339

    entries = anyio.run(_entries, session(), since, limit)
    if as_json:
        show_json(
            "audit",
            entries=[
                {
                    "seq": one.seq,
                    "at": rfc3339(one.at),
                    "who": one.who,
                    "what": one.what,
                    "facts": dict(one.facts),
                    "hash": one.hash,
                }
                for one in entries
            ],
        )
        return
    for one in entries:
        facts = "  ".join(f"{name}={value}" for name, value in one.facts.items())
        show(f"{one.seq:>6}  {rfc3339(one.at)}  {one.who:<12} {one.what:<20} {facts}")
    if not entries:
        say("Nothing is on record")


@group.command("verify", examples=("aegis audit verify", "aegis audit verify --json"))
@json_option
def verify(as_json: bool) -> int:
    """Recompute the chain, and compare its head with the copy in the file. Exits 1 when anything was changed."""
    import anyio

    broken, (seq, hashed) = anyio.run(_verify, session())
    if as_json:
        show_json("audit-verified", whole=not broken, entries=seq, head=hashed, broken=list(broken))
    else:
        for words in broken:
            show(words)
        if not broken:
            show(f"{seq} entries, each follows the one before it; the last is {hashed[:16]}")
    return Exit.UNEXPECTED if broken else Exit.OK


async def _entries(run: Session, since: str, limit: int) -> Sequence[AuditEntry]:
    from aegis.app.system import SystemClock
    from aegis.config.scalars import duration
    from aegis.stores.times import to_us

    try:
        since_us = to_us(SystemClock().now()) - duration(since) * 1_000 if since else 0
    except ValueError as error:
        raise BadInput(f"--since {error}", code="bad_value") from error
    async with _log(run) as audit:
        return await audit.entries(since_us=since_us, limit=limit)


async def _verify(run: Session) -> tuple[Sequence[str], tuple[int, str]]:
    async with _log(run) as audit:
        return await audit.verify(), await audit.head()


@asynccontextmanager
async def _log(run: Session) -> AsyncIterator[AuditLog]:
    from aegis.app.auditing import audit_of
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading

    async with reading(run) as database:
        yield audit_of(run.config(), run.home, database, SystemClock())
