"""`aegis demo`: the recorded attack against the sandbox."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import session, show_json

PORT = 8787
STORY_SECONDS_PER_SECOND = 24
"""The story's 24 minutes take a minute to watch."""
LONGEST_PAUSE_SECONDS = 2.0
FOLDER_MARK = ".aegis-demo"
"""Stands in a demo's folder: only a folder with it is emptied for the next demo."""


@click.group(
    cls=Group,
    name="demo",
    invoke_without_command=True,
    examples=("aegis demo", "aegis demo --fast --seed 7 --json", "aegis demo cost"),
    lazy={"cost": ("aegis.cli.demo_cost:command", "Watch AWS stay within its quotas.")},
)
@click.option("--fast", is_flag=True, help="Play without pauses, then end.")
@click.option("--seed", default=7, show_default=True, help="The same seed tells exactly the same story.")
@click.option("--exit", "leave", is_flag=True, help="End when the story ends instead of leaving the dashboard up.")
@click.option("--port", default=PORT, show_default=True, help="Where the dashboard listens (a free one if taken).")
@json_option
def command(fast: bool, seed: int, leave: bool, port: int, as_json: bool) -> None:
    """Watch a recorded attack unfold: detected, paged, analysed, its spend stopped and given back. Nothing leaves this machine."""
    import anyio

    from aegis.cli.opened import alone

    if click.get_current_context().invoked_subcommand:
        return
    home = _folder(seed)
    with alone(home):
        _empty(home)
        anyio.run(_run, home, seed, port, fast or as_json, leave or fast or as_json, as_json)


def _folder(seed: int) -> Path:
    """A state folder at the same place for the same seed, so that everything in it has the same name: below `--home`
    or `AEGIS_HOME` where one is given, else among the temporary files.
    """
    run = session()
    given = run.home_flag or run.env.get("AEGIS_HOME")
    base = run.make_home() if given else Path(tempfile.gettempdir()) / f"aegis-demo-{_user()}"
    home = base / f"seed-{seed}"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def _empty(home: Path) -> None:
    """Begin anew: remove what an earlier demo left. Raises `ConfigError` for a folder that is not a demo's."""
    from aegis.cli.opened import LOCK_FILE
    from aegis.core.errors import ConfigError

    kept = {FOLDER_MARK, LOCK_FILE}
    found = [entry for entry in home.iterdir() if entry.name not in kept]
    if found and not (home / FOLDER_MARK).exists():
        raise ConfigError(f"{home} is not a folder of the demo; move it away")
    (home / FOLDER_MARK).touch()
    for entry in found:
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _user() -> str:
    import getpass

    return getpass.getuser()


async def _run(home: Path, seed: int, port: int, fast: bool, leave: bool, as_json: bool) -> None:
    import anyio
    from rich.console import Console

    from aegis.rehearsal.demo import Shown, play, staged
    from aegis.rehearsal.printing import Printer
    from aegis.web.access import Access
    from aegis.web.server import create
    from aegis.web.serving import serving

    width = None if sys.stdout.isatty() else 120
    printer = Printer(Console(stderr=as_json, highlight=False, quiet=as_json, width=width))
    shown = Shown(
        observer=printer, chapter=printer.chapter, told=printer.stop, answered=printer.answered, pause=_pause(fast)
    )
    _log_to(home / "demo.log")
    listener = _listen(port)
    access = Access.in_folder(home)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    printer.opening(address + access.sign_in_path())
    async with staged(home, seed=seed, link_base=address, shown=shown) as stage:
        face = create(
            stage.app,
            access=access,
            banner="Demo: every service is the sandbox, nothing leaves this machine.",
            received=stage.world.tallies,
        )
        async with serving(face, listener):
            played = await play(stage, seed=seed, shown=shown, face=address)
            if as_json:
                summary = dict(played.summary)
                show_json(summary.pop("schema").split(".")[1].split("/")[0], **summary)
                return
            printer.table(played.summary, played.first_lines)
            printer.closing(played.summary, played.report)
            if not leave:
                print(f"\nThe dashboard stays up: {address}  (Ctrl-C ends)", file=sys.stderr, flush=True)
                await anyio.sleep_forever()


def _log_to(file: Path) -> None:
    """What Aegis logs stands in a file of the demo's folder: the terminal belongs to the story."""
    from datetime import UTC, datetime

    from aegis.secrets.logs import set_up
    from aegis.secrets.redaction import Redactor

    set_up(file.open("a", encoding="utf-8"), redactor=Redactor(), now=lambda: datetime.now(UTC))


def _pause(fast: bool) -> Callable[[timedelta], Awaitable[None]]:
    """How long a stretch of the story feels: not at all, or 24 times as fast as it was."""
    import anyio
    import anyio.lowlevel

    async def pause(stretch: timedelta) -> None:
        if fast:
            await anyio.lowlevel.checkpoint()
        else:
            seconds = stretch.total_seconds() / STORY_SECONDS_PER_SECOND
            await anyio.sleep(min(max(seconds, 0), LONGEST_PAUSE_SECONDS))

    return pause


def _listen(port: int) -> socket.socket:
    from aegis.core.errors import ConfigError
    from aegis.web.serving import listen

    try:
        return listen("127.0.0.1", port)
    except ConfigError:
        return listen("127.0.0.1", 0)
