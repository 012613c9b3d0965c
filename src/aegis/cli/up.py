"""`aegis up`: intake, the incident path, metrics and the dashboard, in one process."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from aegis.cli.commands import Speaking
from aegis.cli.session import Session, say, session
from aegis.core.errors import AegisError
from aegis.core.telemetry import Happened, LoopFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aegis.app.reloading import Reloading
    from aegis.web.server import Face

STOPS = (signal.SIGINT, signal.SIGTERM)
HANGUP = tuple(getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name))
"""Read the configuration again; from a terminal that was closed it is the end, as it always was."""


@click.command(cls=Speaking, examples=("aegis up", "aegis up --set server.listen=127.0.0.1:9000"))
@click.option("--sandbox", is_flag=True, help="Send to the sandbox instead of the real services.")
def command(sandbox: bool) -> None:
    """Take events, work incidents, show the dashboard. Stops cleanly on Ctrl-C or SIGTERM; reads its configuration
    again on SIGHUP.
    """
    import anyio

    backend = {"use_uvloop": sys.platform != "win32"}
    anyio.run(_up, session(), sandbox, backend_options=backend)


async def _up(run: Session, sandbox: bool) -> None:
    import anyio

    from aegis.app.auditing import config_facts
    from aegis.app.reloading import Reloading
    from aegis.cli.beside import keep_address
    from aegis.cli.books import who
    from aegis.cli.opened import opened
    from aegis.core.addresses import is_loopback
    from aegis.core.errors import ConfigError
    from aegis.web.access import Access
    from aegis.web.serving import listen, serving

    server = run.config().server
    if not is_loopback(server.host) and not (run.config().accounts.elsewhere or await _has_accounts(run)):
        raise ConfigError(f"server.listen: without accounts only loopback is served, not {server.host}")
    if not is_loopback(server.host) and not server.public_url.startswith("https://"):
        raise ConfigError(
            "server.public_url: has to be https:// where not only loopback is served: passwords pass there"
        )
    listener = listen(server.host, server.port)
    address = server.public_url or f"http://{server.host}:{listener.getsockname()[1]}"
    _log_to_stderr(run)
    async with opened(run, sandbox=sandbox, observers=(_logged,), link_base=address) as (app, world):
        from aegis.web.server import create

        await app.audit.note(who(run), "config.loaded", config_facts(run.config()))
        access = Access.in_folder(app.home)
        here = server.host if is_loopback(server.host) else "127.0.0.1"
        keep_address(app.home, f"http://{here}:{listener.getsockname()[1]}")
        public = urlsplit(server.public_url).hostname
        resolve = run.resolver(run.config()).resolve
        reloading = None if world else Reloading(app, read=run.read_again, resolve=resolve)
        face = create(
            app,
            access=access,
            hosts=frozenset([public] if public else []),
            received=world.tallies if world else None,
            reloading=reloading,
        )
        signs_in = "/sign-in" if await access.has_accounts() else access.sign_in_path()
        with anyio.open_signal_receiver(*STOPS, *HANGUP) as signals:
            async with serving(face, listener), anyio.create_task_group() as tasks:
                tasks.start_soon(app.run)
                tasks.start_soon(_settle, face)
                say(f"Aegis listens on {address}")
                say(f"Sign in{'' if signs_in == '/sign-in' else ' once'}: {address}{signs_in}")
                await _told_to_stop(signals, reloading)
                tasks.cancel_scope.cancel()


async def _told_to_stop(signals: AsyncIterator[signal.Signals], reloading: Reloading | None) -> None:
    """Read the configuration again as often as somebody asks, until one of `STOPS` comes."""
    async for one in signals:
        if one in STOPS or reloading is None or sys.stdin.isatty():
            break
        await _reload(reloading)
    say("stopping")


async def _reload(reloading: Reloading) -> None:
    """Read the configuration again; a wrong one is told, and the old goes on."""
    try:
        done = await reloading.reload(by="SIGHUP")
    except AegisError as wrong:
        say(f"the configuration was not taken over, the old one goes on:\n{wrong}")
        return
    say(f"configuration read again: {', '.join(done.taken) or 'nothing has changed'}")
    for path in done.waits:
        say(f"{path} holds from the next start on")


async def _settle(face: Face) -> None:
    """Load what was left for later, then let the process settle."""
    from aegis.app.memory import settle

    await face.warm()
    settle()


async def _has_accounts(run: Session) -> bool:
    from aegis.stores.accounts import SqliteAccounts
    from aegis.stores.database import Database

    path = run.config().store.path(run.home)
    if not path.exists():
        return False
    database = await Database.open(path)
    try:
        return await SqliteAccounts(database).any()
    finally:
        await database.close()


def _log_to_stderr(run: Session) -> None:
    """From now on every log record of the process goes to stderr, without secrets: lines for people, else JSON."""
    from datetime import UTC, datetime

    from aegis.secrets.logs import set_up

    redactor = run.secrets(run.config()).redactor
    set_up(sys.stderr, redactor=redactor, now=lambda: datetime.now(UTC), as_json=not sys.stderr.isatty())


def _logged(happened: Happened) -> None:
    if isinstance(happened, LoopFailed):
        logging.getLogger("aegis.loops").error("%s failed: %s\n%s", happened.loop, happened.message, happened.trace)
