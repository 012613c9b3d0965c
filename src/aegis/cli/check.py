"""`aegis check`: is everything ready? Reads configuration, secrets and store; changes and sends nothing. With `--live`
every configured service is asked too, at no cost and without effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import AegisError, ConfigError
from aegis.core.references import Reference
from aegis.core.secret import Secret

if TYPE_CHECKING:
    from aegis.app.trying import Tried
    from aegis.config.settings import Config

Found: TypeAlias = tuple[str, str, str]
"""Where (file:line:column), which value, and what is wrong."""


@click.command(cls=Speaking, examples=("aegis check", "aegis check --live --json"))
@click.option("--quiet", is_flag=True, help="Only the exit code.")
@click.option("--live", is_flag=True, help="Ask every configured service whether it is there and knows our key.")
@json_option
def command(*, quiet: bool, live: bool, as_json: bool) -> int:
    """Check configuration, secret references and store. Exit code 3 when something is wrong; with --live exit code 6
    when a service does not answer as it should. Nothing is posted, nothing is billed.
    """
    from aegis.config.problems import InvalidConfig, dotted

    here = session()
    try:
        config = here.config()
    except InvalidConfig as error:
        found = [(str(problem.place), dotted(problem.path), problem.message) for problem in error.found]
        return _report(found, (), error.shown(), quiet=quiet, as_json=as_json)
    except ConfigError as error:
        return _report([("", "", line) for line in error.problems], (), str(error), quiet=quiet, as_json=as_json)
    found = [*_secrets(here, config), *_rules(config), *_state(here, config)]
    text = "\n".join(" ".join(part for part in (where, path, "-", message) if part) for where, path, message in found)
    warnings = config.warnings if found else (*config.warnings, *_unused_rules(config))
    asked = _ask(here, config) if live and not found else None
    return _report(found, warnings, text, quiet=quiet, as_json=as_json, asked=asked)


def _ask(here: Session, config: Config) -> Sequence[Tried]:
    import anyio

    from aegis.app.system import SystemClock, random_ids
    from aegis.app.trying import ask_all, connected

    async def ask() -> Sequence[Tried]:
        clock, resolve = SystemClock(), here.resolver(config).resolve
        new_id = random_ids(clock)
        async with connected(config, home=here.home, resolve=resolve, clock=clock, new_id=new_id) as (parts, http):
            return await ask_all(config, parts, http, resolve=resolve, clock=clock)

    return anyio.run(ask)


def _report(
    found: list[Found],
    warnings: tuple[str, ...],
    text: str,
    *,
    quiet: bool,
    as_json: bool,
    asked: Sequence[Tried] | None = None,
) -> Exit:
    failing = [one for one in asked or () if not one.ok]
    if as_json:
        from dataclasses import asdict

        problems = [{"where": where, "path": path, "message": message} for where, path, message in found]
        live = {} if asked is None else {"services": [asdict(one) for one in asked]}
        show_json("check", ok=not (found or failing), problems=problems, warnings=list(warnings), **live)
    elif asked is not None and not quiet:
        _show(asked, warnings, failing)
    elif not quiet:
        for warning in warnings:
            say(f"warning: {warning}", colour="yellow")
        if found:
            say(text)
            say(f"{len(found)} to put right", bold=True, colour="red")
        else:
            show("ok")
    if found:
        return Exit.CONFIG
    return Exit.REMOTE if failing else Exit.OK


def _show(asked: Sequence[Tried], warnings: tuple[str, ...], failing: Sequence[Tried]) -> None:
    for warning in warnings:
        say(f"warning: {warning}", colour="yellow")
    for one in asked:
        state = ("ok" if one.asked else "not asked") if one.ok else "FAILS"
        show(f"{one.service:<12} {state:<10} {one.text}")
    if failing:
        say(f"{len(failing)} to put right", bold=True, colour="red")
    else:
        show("ok")


def _secrets(here: Session, config: Config) -> Iterator[Found]:
    """Every reference is looked up, and every connector that has its secrets says whether it can use them."""
    try:
        resolver = here.secrets(config).resolver
    except ConfigError as error:
        yield "", "", str(error)
        return
    resolved: dict[Reference, Secret | None] = {}
    for path, reference in config.references().items():
        try:
            resolved[reference] = resolver.resolve(reference)
        except ConfigError as error:
            resolved[reference] = None
            yield config.origin(path), path, str(error)
    yield from _connectors(config, resolved.get)


def _connectors(config: Config, secret: Callable[[Reference], Secret | None]) -> Iterator[Found]:
    from aegis.connectors import registry

    for name, written in config.connectors.items():
        values = {key: secret(value) if isinstance(value, Reference) else value for key, value in written.items()}
        if None in values.values():
            continue  # already told
        try:
            registry.load(name).Config(**values)
        except ConfigError as error:
            section = (
                "connectors" if any(e.path.startswith(f"connectors.{name}.") for e in config.entries) else "services"
            )
            place = next((e.origin for e in config.entries if e.path.startswith(f"{section}.{name}.")), "")
            yield place, f"{section}.{name}", str(error)


def _rules(config: Config) -> Iterator[Found]:
    for folder in config.detection.rules:
        if not folder.is_dir():
            yield config.origin("detection.rules"), "detection.rules", f"{folder} is no folder"


def _unused_rules(config: Config) -> tuple[str, ...]:
    """Every rule that cannot be used, and why: the others work without it, so this is only a warning."""
    from aegis.incidents.detection import Detector
    from aegis.incidents.rules.pack import load_pack

    rules = config.detection
    return tuple(str(one) for one in Detector(load_pack(rules.rules, shipped=rules.shipped, off=rules.off)).problems)


def _state(here: Session, config: Config) -> Iterator[Found]:
    """The state folder and the store in it, if they exist: a first start makes them."""
    path = config.store.path(here.home)
    try:
        if here.home.exists():
            here.make_home()
        if path.exists():
            _check_store(str(path))
    except AegisError as error:
        yield config.origin("store.url"), "", str(error)


def _check_store(path: str) -> None:
    """Raises `StoreError` for a store that is damaged, foreign or too new. Nothing is migrated."""
    import sqlite3

    from aegis.core.errors import StoreError
    from aegis.stores.handles import open_reader
    from aegis.stores.schema import APPLICATION_ID, shipped

    try:
        reader = open_reader(path)
        try:
            ours = reader.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            damage = [str(row[0]) for row in reader.execute("PRAGMA quick_check(1)")]
            newest = reader.execute("SELECT max(version) FROM schema_versions").fetchone()[0] if ours else 0
        finally:
            reader.close()
    except sqlite3.Error as error:
        raise StoreError(f"The store {path} cannot be read: {error}") from error
    if not ours:
        raise StoreError(f"The store {path} belongs to another program: point store.url at a file of its own")
    if damage != ["ok"]:
        raise StoreError(f"The store {path} is damaged ({damage[0]}): restore the newest backup")
    if (newest or 0) > max(migration.version for migration in shipped()):
        raise StoreError(f"The store {path} was written by a newer Aegis: install that version again")
