"""`aegis key`: virtual keys for the gateway. A key is shown once, when it is made; afterwards only its name and id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.app.keydesk import KeyDesk, MadeKey
    from aegis.core.virtualkeys import VirtualKey
    from aegis.core.windows import WindowKind
    from aegis.stores.keys import SqliteKeys

F = TypeVar("F", bound=Callable[..., Any])
_WINDOWS: Mapping[str, WindowKind] = {"daily": "day", "weekly": "week", "monthly": "month"}


@click.group(cls=Group, name="key", examples=("aegis key create ci-bot --daily 5.00", "aegis key list"))
def group() -> None:
    """Virtual keys: what programs hold instead of a vendor's key."""


_RIGHTS = (
    click.option("--team", metavar="NAME", help="The team whose budget it counts to as well."),
    click.option("--expires", metavar="TIME", help="How long it may be used: 12h, 30d."),
    click.option("--model", "models", multiple=True, metavar="PATTERN", help="Only these models: 'claude-haiku-*'."),
    click.option("--route", "routes", multiple=True, metavar="NAME", help="Only these: messages, chat.completions."),
    click.option("--from", "addresses", multiple=True, metavar="RANGE", help="Only from these addresses: 10.0.0.0/8."),
    click.option("--daily", metavar="USD", help="Its own budget of a day."),
    click.option("--weekly", metavar="USD", help="Its own budget of a week."),
    click.option("--monthly", metavar="USD", help="Its own budget of a month."),
    click.option("--rate", metavar="COUNT/TIME", help="Requests in a time: 60/minute."),
    click.option("--parallel", type=click.IntRange(0, 100_000), help="Requests at one time; 0: any."),
    click.option("--output-tokens", type=click.IntRange(0, 1_000_000), help="The cap of a request that has none."),
    click.option("--cache", metavar="WHICH", help="Answers that may be used again: never, deterministic, always."),
    click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Joins the scope of its calls."),
)


def rights_options(function: F) -> F:
    for option in reversed(_RIGHTS):
        function = option(function)
    return function


@group.command(
    "create",
    examples=("aegis key create ci-bot --team build --daily 5.00 --model 'claude-haiku-*' --rate 60/minute",),
)
@click.argument("name")
@rights_options
@json_option
def create(name: str, as_json: bool, **options: Any) -> None:
    """Make a key. It is shown now and never again."""
    import anyio

    async def work() -> MadeKey:
        async with key_desk(session()) as (desk, now, _):
            return await desk.create(name, **read_rights(options, now))

    _show(anyio.run(work), as_json)


@group.command("rotate", examples=("aegis key rotate ci-bot", "aegis key rotate ci-bot --grace 1h"))
@click.argument("name")
@click.option("--grace", default="", metavar="TIME", help="How long the old key may still be used.")
@json_option
def rotate(name: str, grace: str, as_json: bool) -> None:
    """Make a new key with the same name, rights and budget; the old one ends, at once or after --grace."""
    import anyio

    async def work() -> MadeKey:
        async with key_desk(session()) as (desk, _, _keys):
            return await desk.rotate(name, grace=_span(grace) if grace else timedelta(0))

    _show(anyio.run(work), as_json)


@group.command("revoke", examples=("aegis key revoke ci-bot", "aegis key revoke 7Q2M9XKD --json"))
@click.argument("name")
@json_option
def revoke(name: str, as_json: bool) -> None:
    """End every key of NAME, or the one with that id. A running gateway ends its streams within a second."""
    import anyio

    async def work() -> int:
        async with key_desk(session()) as (desk, _, _keys):
            return await desk.revoke(name)

    ended = anyio.run(work)
    if as_json:
        show_json("key-revoked", name=name, ended=ended)
    else:
        show(f"{name}: {ended} revoked")


@group.command("limits", examples=("aegis key limits ci-bot --daily 2.00 --rate 10/minute",))
@click.argument("name")
@rights_options
@json_option
def limits(name: str, as_json: bool, **options: Any) -> None:
    """Change what the keys of NAME may do, or show it. What is not named stays; `none` takes a limit away."""
    import anyio

    async def work() -> Any:
        async with key_desk(session()) as (desk, now, _):
            keys = await desk.of(name)
            rights = read_rights(options, now, had=keys[-1])
            return await desk.limit(name, **rights) if rights else keys

    keys = anyio.run(work)
    if as_json:
        show_json("key-limits", keys=[_row(key) for key in keys])
        return
    for key in keys:
        show(f"{key.name:<20} {key.id}  {_told(key)}")


@group.command("list", examples=("aegis key list", "aegis key list --json"))
@click.option("--all", "everything", is_flag=True, help="Also those that were revoked or expired.")
@json_option
def list_(everything: bool, as_json: bool) -> None:
    """Every key by name: never the key itself."""
    import anyio

    async def work() -> Any:
        async with key_desk(session()) as (_, now, keys):
            return [key for key in await keys.all() if everything or key.standing(now)], now

    found, now = anyio.run(work)
    if as_json:
        show_json("keys", keys=[_row(key) | {"live": key.live(now)} for key in found])
        return
    for key in found:
        state = "" if key.live(now) else f"held by {key.held}  " if key.standing(now) else "ended  "
        show(f"{key.name:<20} {key.id}  {state}{_told(key)}")
    if not found:
        say("No keys yet: aegis key create NAME")


@asynccontextmanager
async def key_desk(run: Session) -> AsyncIterator[tuple[KeyDesk, datetime, SqliteKeys]]:
    import secrets

    from aegis.app.auditing import audit_of
    from aegis.app.keydesk import KeyDesk
    from aegis.app.keyring import pepper
    from aegis.app.system import SystemClock
    from aegis.cli.books import who
    from aegis.stores.database import Database
    from aegis.stores.keys import SqliteKeys
    from aegis.web.gateway.routes import NAMES

    config, clock = run.config(), SystemClock()
    home = run.make_home()
    database = await Database.open(config.store.path(home))
    try:
        keys = SqliteKeys(database)
        desk = KeyDesk(
            keys,
            clock=clock,
            pepper=pepper(home),
            randbits=secrets.randbits,
            routes=NAMES,
            noted=audit_of(config, home, database, clock).note,
            who=who(run),
        )
        yield desk, clock.now(), keys
    finally:
        await database.close()


def read_rights(options: Mapping[str, Any], now: datetime, *, had: VirtualKey | None = None) -> dict[str, Any]:
    """The options that were given as fields of a key; `none` as no limit. Raises `BadInput`."""
    from aegis.config import scalars

    rights: dict[str, Any] = {}
    for name in ("models", "routes", "addresses"):
        if options[name]:
            rights[name] = () if options[name] == ("none",) else options[name]
    for name in ("team", "parallel", "output_tokens", "cache"):
        if options.get(name) is not None:
            rights[name] = "" if options[name] == "none" else options[name]
    if options["expires"]:
        rights["expires_at"] = None if options["expires"] == "none" else now + _span(options["expires"])
    if options["rate"]:
        rights["rate"] = None if options["rate"] == "none" else _scalar(scalars.rate, "--rate", options["rate"])
    if options["tags"]:
        pairs = [tag.partition("=") for tag in options["tags"] if tag != "none"]
        rights["tags"] = {tag: value for tag, _, value in pairs}
    windows = _windows(options, had)
    return rights if windows is None else rights | {"windows": windows}


def _windows(options: Mapping[str, Any], had: VirtualKey | None) -> tuple[Any, ...] | None:
    from aegis.config import scalars
    from aegis.core.budgets import Amounts
    from aegis.core.windows import WindowPolicy

    given = {kind: options[name] for name, kind in _WINDOWS.items() if options[name]}
    if not given:
        return None
    windows = {amounts.window.kind: amounts for amounts in (had.windows if had else ())}
    for kind, text in given.items():
        if text == "none":
            windows.pop(kind, None)
        else:
            limit = _scalar(scalars.amount, "an amount", text)
            windows[kind] = Amounts(window=WindowPolicy(kind=kind), emergency=limit)
    return tuple(windows.values())


def _span(text: str) -> timedelta:
    from aegis.config import scalars

    return timedelta(milliseconds=_scalar(scalars.duration, "a time", text))


def _scalar(parse: Callable[[str], Any], what: str, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise BadInput(f"{what} {error}", code="bad_value") from error


def _show(made: MadeKey, as_json: bool) -> None:
    if as_json:
        show_json("key", **_row(made.key), key=made.secret.reveal())
        return
    say(f"{made.key.name} ({made.key.id}): this key is shown once, keep it where only its program reads it.")
    show(made.secret.reveal())


def _row(key: VirtualKey) -> dict[str, Any]:
    from aegis.core.money import format_usd
    from aegis.core.wording import rfc3339

    return {
        "name": key.name,
        "id": key.id,
        "team": key.team,
        "created_at": rfc3339(key.created_at),
        "expires_at": rfc3339(key.expires_at) if key.expires_at else None,
        "revoked_at": rfc3339(key.revoked_at) if key.revoked_at else None,
        "held": bool(key.held),
        "models": list(key.models),
        "routes": list(key.routes),
        "addresses": list(key.addresses),
        "budgets": [{"window": one.window.kind, "limit_usd": format_usd(one.emergency)} for one in key.windows],
        "rate": None if key.rate is None else {"count": key.rate.count, "per_ms": key.rate.per_ms},
        "parallel": key.parallel,
        "output_tokens": key.output_tokens,
        "tags": dict(key.tags),
    }


def _told(key: VirtualKey) -> str:
    """What a key may do, in one line."""
    from aegis.core.money import show_usd

    parts = [f"team {key.team}"] if key.team else []
    parts += [f"{show_usd(one.emergency)}/{one.window.kind}" for one in key.windows]
    parts += [f"{key.rate.count} in {key.rate.per_ms // 1_000} s"] if key.rate else []
    parts += [f"models {', '.join(key.models)}"] if key.models else []
    parts += [f"routes {', '.join(key.routes)}"] if key.routes else []
    parts += [f"from {', '.join(key.addresses)}"] if key.addresses else []
    parts += [f"until {key.expires_at:%Y-%m-%d %H:%M} UTC"] if key.expires_at else []
    return "; ".join(parts) or "no limits of its own"
