"""`aegis event`: events from files, through the whole path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from aegis.cli.commands import Group, Speaking, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json

DELIVERY_WAIT_MS = 60_000
"""How long an import waits for services that are slow; what is left then is sent by `aegis up`."""
LISTED = 50


@click.group(
    cls=Group,
    name="event",
    examples=("aegis event import auth.log", "aegis event import --at /event --sandbox rows.jsonl.xz"),
)
def group() -> None:
    """Events: bring them in; see what could not be read."""


@group.command(
    "import",
    cls=Speaking,
    examples=(
        "aegis event import /var/log/auth.log",
        "aegis event import cloudtrail.json.gz --sandbox --json",
    ),
)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path)
)
@click.option("--at", "pointer", metavar="POINTER", help="Where in each row the event stands, such as /event.")
@click.option("--sandbox", is_flag=True, help="Send to the sandbox instead of the real services.")
@json_option
def import_(files: tuple[Path, ...], pointer: str | None, sandbox: bool, as_json: bool) -> int:
    """Work events from files: JSON, JSON lines (plain, .gz, .xz), CloudTrail, syslog, access logs, Windows as JSON.

    Lines that cannot be read are counted and kept aside with file and line number. Importing a file again adds nothing.
    """
    import anyio

    return anyio.run(_import, session(), files, pointer, sandbox, as_json)


async def _import(run: Session, files: tuple[Path, ...], pointer: str | None, sandbox: bool, as_json: bool) -> int:
    from aegis.cli.opened import opened
    from aegis.rehearsal.summary import Tally

    tally = Tally()
    async with opened(run, sandbox=sandbox, observers=(tally,)) as (app, world):
        import anyio

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            with _progress(files, quiet=as_json) as advance:
                for file in files:
                    taken = await app.take_file(file, at=pointer, progress=advance)
                    if taken.rejected or not as_json:
                        _tell(file, taken.accepted, taken.duplicates, len(taken.rejected))
            await app.rest(wait_ms=DELIVERY_WAIT_MS)
            tasks.cancel_scope.cancel()
        left = await app.finish(wait_ms=0)
        received = {name: counted.received for name, counted in world.tallies().items()} if world else None
        received = (
            {name: n for name, n in (received or {}).items() if name not in ("attack", "prometheus")} if world else None
        )
        daily = next((b.emergency for budget in app.config.budgets for b in budget.windows if budget.unit == "usd"), 0)
        summary = tally.summary("import", budget=daily, report="", received=received)
    if as_json:
        summary.pop("schema")
        show_json("import", **summary)
    else:
        _sums(summary, left)
    return Exit.OK


def _tell(file: Path, accepted: int, duplicates: int, rejected: int) -> None:
    known = f", {duplicates} known already" if duplicates else ""
    aside = f", {rejected} lines set aside (see `aegis event rejected`)" if rejected else ""
    say(f"{file}: {accepted} events{known}{aside}")


@group.command("rejected")
@click.option("--limit", default=LISTED, show_default=True, help="How many, newest first.")
@json_option
def rejected(limit: int, as_json: bool) -> None:
    """Lines that could not be read, with file, line number and reason."""
    import anyio

    anyio.run(_rejected, session(), limit, as_json)


async def _rejected(run: Session, limit: int, as_json: bool) -> None:
    from aegis.cli.reading import reading
    from aegis.core.wording import rfc3339
    from aegis.stores.lookups import SqliteLookups

    async with reading(run) as database:
        lines = await SqliteLookups(database).lines(limit)
    if as_json:
        rows = [
            {"file": o.file, "line": o.line, "code": o.code, "reason": o.reason, "text": o.text, "at": rfc3339(o.at)}
            for o in lines
        ]
        show_json("rejected", lines=rows)
        return
    for one in lines:
        show(f"{one.file}:{one.line} {one.code} - {one.reason}")
    if not lines:
        show("No line was set aside.")


def _sums(summary: dict[str, object], left: int) -> None:
    incidents = summary["incidents"]
    assert isinstance(incidents, dict)
    counted = ", ".join(f"{count} {name}" for name, count in reversed(incidents.items()) if count) or "none"
    say(f"{summary['detections']} detections, incidents: {counted}; spent ${summary['spent_usd']}", bold=True)
    if left:
        say(f"{left} deliveries still wait; `aegis up` sends them, `aegis outbox list` shows them", colour="yellow")


@contextmanager
def _progress(files: tuple[Path, ...], *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar over the bytes of the files, when a person watches."""
    if quiet or not sys.stderr.isatty():
        yield lambda _bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("events"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("import", total=sum(file.stat().st_size for file in files))
        yield lambda more: bar.advance(task, more)
