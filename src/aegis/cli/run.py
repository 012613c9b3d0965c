"""`aegis run -- COMMAND`: a program behind the gateway, with a key of its own, that an emergency stop can reach."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Speaking
from aegis.cli.key import key_desk, read_rights, rights_options
from aegis.cli.session import Session, say, session

if TYPE_CHECKING:
    from aegis.app.keydesk import MadeKey
    from aegis.core.ports import Clock
    from aegis.stores.database import Database

_TAKEN_AWAY = ("ANTHROPIC_AUTH_TOKEN", "OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT", "OPENAI_PROJECT_ID")
"""Variables of the vendors' clients that would go past the key (a second credential) or name an account of theirs."""
_NAME_MAX = 40
"""Characters of the program's name in the key's: with what is around it a name stays below 64."""

_LOOKS, _LOOK_MS, _QUIET = 50, 100, 6
"""How often it is looked whether its last calls are in the ledger, which hears of them four times a second."""


@click.command(
    cls=Speaking,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    examples=("aegis run -- python agent.py", "aegis run --daily 5.00 --team build --tag env=ci -- npm test"),
)
@click.option("--name", default="", metavar="NAME", help="The key's name in budgets and reports; else made up.")
@rights_options
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def command(name: str, words: tuple[str, ...], **options: Any) -> int:
    """Run a program with OPENAI_BASE_URL, ANTHROPIC_BASE_URL and a fresh virtual key in its environment. It is registered
    while it runs, so that `aegis stop` can end exactly it; its key ends with it. Prints what it spent to stderr and ends
    with its exit code.
    """
    import anyio

    return anyio.run(_run, session(), name, words, options)


async def _run(run: Session, name: str, words: Sequence[str], options: Mapping[str, Any]) -> int:
    from aegis.app.launching import launch
    from aegis.app.system import SystemClock
    from aegis.core.errors import AegisError
    from aegis.core.workloads import Workload
    from aegis.emergency.actuators.linux import Linux
    from aegis.emergency.actuators.processes import MARK
    from aegis.stores.workloads import SqliteWorkloads

    clock, address, program = SystemClock(), _gateway(run), _program(words)
    await _sweep(run, clock)
    began = clock.now()
    made = await _key(run, name or f"run-{program}-{secrets.token_hex(3)}", options)
    run_id = f"run_{secrets.token_hex(12)}"

    async def register(pid: int) -> None:
        machine = Linux()
        found = machine.look(pid)
        if found is None:
            raise AegisError(f"{program} ended before it began")
        workload = Workload(
            id=run_id,
            pid=pid,
            started=found.started,
            boot=machine.boot(),
            command=program,
            key=made.key.name,
            team=made.key.team,
            labels=made.key.tags,
            registered_at=began,
        )
        database = await _store(run)
        try:
            await SqliteWorkloads(database).register(workload)
        finally:
            await database.close()

    code: int | None = None
    try:
        code = await launch(words, {**_environment(run, address, made), MARK: run_id}, register)
    finally:
        await _end(run, made, run_id, code, clock, began)
    return code


def _program(words: Sequence[str]) -> str:
    """The program's name as a key's may hold it."""
    plain = "".join(
        one if one.isascii() and (one.isalnum() or one in "._-") else "-" for one in PurePath(words[0]).name
    )
    return plain[:_NAME_MAX].lstrip("._-") or "program"


def _gateway(run: Session) -> str:
    """Where the running gateway of this state folder listens, or would. Raises `ConfigError`."""
    from aegis.cli.beside import ADDRESS_FILE, is_busy
    from aegis.core.errors import ConfigError

    config = run.config()
    if not config.gateway.upstreams:
        raise ConfigError("gateway.upstreams: there is no gateway; see docs/gateway.md")
    if is_busy(run.home):
        return (run.home / ADDRESS_FILE).read_text(encoding="ascii").strip()
    say("No Aegis runs on this state folder: calls will fail until `aegis up` does.")
    return f"http://{config.server.host}:{config.server.port}"


def _environment(run: Session, address: str, made: MadeKey) -> dict[str, str]:
    key = made.secret.reveal()
    kept = {name: value for name, value in run.env.items() if name not in _TAKEN_AWAY}
    return kept | {
        "OPENAI_BASE_URL": f"{address}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": address,
        "ANTHROPIC_API_KEY": key,
    }


async def _key(run: Session, name: str, options: Mapping[str, Any]) -> MadeKey:
    async with key_desk(run) as (desk, now, _):
        return await desk.create(name, **read_rights(options, now))


async def _store(run: Session) -> Database:
    from aegis.stores.database import Database

    return await Database.open(run.config().store.path(run.make_home()))


async def _end(run: Session, made: MadeKey, run_id: str, code: int | None, clock: Clock, began: datetime) -> None:
    """Take the program off the register, end its key, say what it spent. A store that fails here changes no exit code."""
    from aegis.core.errors import StoreError
    from aegis.core.money import show_usd
    from aegis.stores.spending import spent_on, under_way
    from aegis.stores.workloads import SqliteWorkloads

    try:
        await _revoke(run, made.key.id)
        database = await _store(run)
        try:
            await SqliteWorkloads(database).end(run_id, exit_code=code, now=clock.now())
            quiet = 0
            for _ in range(_LOOKS):
                quiet = 0 if await under_way(database, "key", made.key.name) else quiet + 1
                if quiet > _QUIET:
                    break
                await clock.sleep_ms(_LOOK_MS)
            found = [one for one in await spent_on(database, ("key",), began) if one.values == (made.key.name,)]
        finally:
            await database.close()
    except StoreError as error:
        say(f"What {made.key.name} spent is not known: {error}", colour="red")
        return
    calls, refused = sum(one.calls for one in found), sum(one.refused for one in found)
    cost = show_usd(sum(one.cost for one in found), decimals=4)
    say(f"{made.key.name}: {calls} calls, {refused} refused, {cost} spent")


async def _revoke(run: Session, key: str) -> None:
    from aegis.core.errors import BadInput

    async with key_desk(run) as (desk, _, _keys):
        with suppress(BadInput):  # somebody ended it already
            await desk.revoke(key)


async def _sweep(run: Session, clock: Clock) -> None:
    """Take programs off the register whose `aegis run` was killed before it could, and end their keys."""
    from aegis.emergency.actuators.processes import Processes, target_of
    from aegis.stores.workloads import SqliteWorkloads

    database = await _store(run)
    try:
        workloads = SqliteWorkloads(database)
        processes = Processes(workloads, clock=clock, how="end", grace_ms=0)
        gone = [one for one in await workloads.running() if await processes.status(target_of(one, "end")) == "gone"]
        for one in gone:
            await workloads.end(one.id, exit_code=None, now=clock.now())
    finally:
        await database.close()
    for one in gone:
        await _revoke(run, one.key)
