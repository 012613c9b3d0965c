"""`aegis db`: backups of everything Aegis keeps, looked at by restoring them, and put back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, ask_passphrase, say, session, show, show_json

if TYPE_CHECKING:
    from aegis.app.backing import BackupKeys
    from aegis.config.settings import Config

LEDGER = {
    "taken over": "What was spent since the backup stays spent: the ledger of the store that was replaced went on.",
    "summed": "The two stores had gone their own ways: what both spent in one window is summed.",
    "filled": (
        "What was spent since the backup is not known, so every window that is open now is full and opens anew at its "
        "end. If you know that nothing was spent, restore again with --nothing-spent-since; if less than all, set the "
        "limit with aegis budget set."
    ),
    "as in the backup": "As you said, nothing was spent since the backup: its ledger holds.",
}


@click.group(cls=Group, name="db", examples=("aegis db backup", "aegis db verify FILE"))
def group() -> None:
    """Back up, verify and restore: store, secrets, configuration, rules and logs in one encrypted file."""


@group.command("backup", examples=("aegis db backup", "aegis db backup --to /mnt/backups --json"))
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="The folder to write to.")
@json_option
def backup(to: Path | None, as_json: bool) -> None:
    """Write a backup and check it by opening it again. Aegis may run meanwhile."""
    import anyio

    from aegis.app.backing import back_up, folder_of
    from aegis.app.system import SystemClock, random_ids

    run = session()
    config, home = run.config(), run.make_home()
    keys, folder = _keys(run, config, ask=True), to or folder_of(config, home)

    async def work() -> tuple[Path, int, int]:
        made, manifest = await back_up(
            config, home, keys, to=folder, new_id=random_ids(SystemClock())("sto"), now=datetime.now(UTC)
        )
        return made, len(manifest.members), sum(manifest.rows.values())

    made, files, rows = anyio.run(work)
    if as_json:
        show_json("backup-made", file=str(made), bytes=made.stat().st_size, files=files, rows=rows, verified=True)
        return
    show(f"{made}")
    say(f"{files} files, {rows} rows, {made.stat().st_size:,} bytes; opened again and found whole")


@group.command("verify", examples=("aegis db verify aegis-20261121T150000Z.aegisbak",))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Restore FILE elsewhere, look at it through and through, and forget it. Changes nothing."""
    import anyio

    from aegis.app.backing import verify as look

    run = session()
    keys = _keys(run, run.config())
    manifest = anyio.run(look, file, run.make_home(), keys)
    if as_json:
        show_json(
            "backup-verified",
            file=str(file),
            made_at=manifest.made_at,
            aegis=manifest.aegis,
            files=len(manifest.members),
            rows=sum(manifest.rows.values()),
        )
        return
    show(f"{file.name} is whole: made {manifest.made_at} by Aegis {manifest.aegis}, {len(manifest.members)} files")


@group.command("restore", examples=("aegis db restore aegis-20261121T150000Z.aegisbak",))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--nothing-spent-since", is_flag=True, help="No provider was paid since the backup was made.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def restore(file: Path, nothing_spent_since: bool, yes: bool, as_json: bool) -> None:
    """Put FILE back in place of what is there, which is kept beside it. Refused while an Aegis works on the state folder.
    What providers were paid is never taken back.
    """
    import anyio

    from aegis.app.backing import put_back
    from aegis.app.system import SystemClock, random_ids
    from aegis.cli.books import who
    from aegis.cli.opened import alone

    run = session()
    config, home = run.config(), run.make_home()
    keys = _keys(run, config)
    if run.ask and not yes and sys.stdin.isatty():
        click.confirm(f"Replace the store and secrets in {home}?", abort=True, err=True)
    with alone(home):
        done = anyio.run(
            lambda: put_back(
                config,
                home,
                keys,
                file,
                who=who(run),
                new_id=random_ids(SystemClock())("sto"),
                now=datetime.now(UTC),
                filled=not nothing_spent_since,
            )
        )
    if as_json:
        show_json(
            "backup-restored",
            made_at=done.made_at,
            ledger=done.ledger,
            unreadable=done.why or None,
            files=done.files,
            replaced=str(done.replaced) if done.replaced else None,
            laid=str(done.laid) if done.laid else None,
        )
        return
    show(f"restored the backup of {done.made_at}")
    say(LEDGER[done.ledger])
    if done.why:
        say(f"The store that was there could not be read: {done.why}")
    if done.replaced:
        say(f"What was there before stands in {done.replaced}")
    if done.laid:
        say(f"Configuration and rules stand in {done.laid}; yours were left as they are")


def _keys(run: Session, config: Config, *, ask: bool = False) -> BackupKeys:
    """What opens backups here. A person is asked for a passphrase where nothing is configured and one can answer."""
    from aegis.app.backing import backup_keys

    may_ask = run.ask and sys.stdin.isatty()
    secrets = run.secrets(config)
    asking = (lambda new: ask_passphrase(new and ask)) if may_ask else None
    return backup_keys(config, secrets.keys, secrets.resolver.resolve, asking)
