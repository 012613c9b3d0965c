"""`aegis account` and `aegis token`: who may come in over the network, and as what."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from aegis.cli.books import who
from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput
from aegis.core.roles import ROLES
from aegis.core.secret import Secret

if TYPE_CHECKING:
    from aegis.app.accounts import Accounts
    from aegis.core.roles import RoleName

T = TypeVar("T")
STDIN_CHARS_MAX = 4_096
_role = click.option("--role", type=click.Choice(ROLES), required=True, help="What it may do.")


@click.group(cls=Group, name="account", examples=("aegis account add ann --role admin", "aegis account list"))
def account() -> None:
    """Local accounts. With the first one the dashboard and the API ask who you are."""


@account.command("add", examples=("aegis account add ann --role admin", "aegis account add bo --role viewer < FILE"))
@click.argument("name")
@_role
def add(name: str, role: RoleName) -> None:
    """Make an account. The password is asked for, or read from stdin. The first account has to be an admin."""
    run = session()
    _with(lambda accounts: accounts.add(name, role, _password(name, ask=run.ask), by=who(run)))
    show(f"{name} is {role}")


@account.command("list", examples=("aegis account list", "aegis account list --json"))
@json_option
def list_(as_json: bool) -> None:
    """Every account and its role."""
    from aegis.core.wording import rfc3339

    found = _with(lambda accounts: accounts.kept.all())
    if as_json:
        rows = [
            {
                "name": one.name,
                "role": one.role,
                "created_at": rfc3339(one.created_at),
                "disabled": bool(one.disabled_at),
            }
            for one in found
        ]
        show_json("accounts", accounts=rows)
        return
    for one in found:
        show(f"{one.name:<20} {one.role:<14} {'disabled' if one.disabled_at else ''}".rstrip())
    if not found:
        say("No accounts: only this machine is served, by the one-time sign-in address")


@account.command("role", examples=("aegis account role bo operator",))
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
def role_(name: str, role: RoleName) -> None:
    """Give an account another role; it counts at once."""
    run = session()
    _with(lambda accounts: accounts.set_role(name, role, by=who(run)))
    show(f"{name} is {role}")


@account.command("password", examples=("aegis account password bo", "aegis account password bo < FILE"))
@click.argument("name")
def password(name: str) -> None:
    """Set a new password; whoever is signed in with the account is signed out."""
    run = session()
    _with(lambda accounts: accounts.set_password(name, _password(name, ask=run.ask), by=who(run)))
    show(f"{name} has a new password")


@account.command("disable", examples=("aegis account disable bo",))
@click.argument("name")
def disable(name: str) -> None:
    """Nobody signs in with it any more; its sessions and tokens end at once."""
    run = session()
    _with(lambda accounts: accounts.disable(name, by=who(run)))
    show(f"{name} is disabled")


@click.group(cls=Group, name="token", examples=("aegis token create ann --expires 90d", "aegis token list"))
def token() -> None:
    """API tokens of accounts: `Authorization: Bearer aegt_...`."""


@token.command("create", examples=("aegis token create ann --role viewer --expires 30d",))
@click.argument("name", metavar="ACCOUNT")
@click.option("--role", type=click.Choice(ROLES), help="A lesser role than the account's.")
@click.option("--expires", default="90d", show_default=True, help="How long it may be used.")
@json_option
def create(name: str, role: RoleName | None, expires: str, as_json: bool) -> None:
    """Make a token. It is shown now and never again."""
    from aegis.config.scalars import duration
    from aegis.core.wording import rfc3339

    run = session()
    try:
        lasts = timedelta(milliseconds=duration(expires))
    except ValueError as error:
        raise BadInput(f"--expires {error}", code="bad_value") from error
    made, secret = _with(lambda accounts: accounts.make_token(name, role, lasts=lasts, by=who(run)))
    if as_json:
        show_json(
            "token",
            id=made.id,
            account=name,
            role=made.role,
            expires_at=rfc3339(made.expires_at),
            token=secret.reveal(),
        )
        return
    show(secret.reveal())
    say(f"{made.id} of {name}, {made.role}, until {rfc3339(made.expires_at)}. It is shown only now.")


@token.command("list", examples=("aegis token list", "aegis token list --json"))
@json_option
def tokens(as_json: bool) -> None:
    """Every token, without itself."""
    from aegis.core.wording import rfc3339

    rows = [
        {
            "id": one.id,
            "account": one.account,
            "role": one.role,
            "expires_at": rfc3339(one.expires_at),
            "revoked_at": rfc3339(one.revoked_at) if one.revoked_at else None,
        }
        for one in _with(lambda accounts: accounts.kept.tokens())
    ]
    if as_json:
        show_json("tokens", tokens=rows)
        return
    for row in rows:
        end = f"revoked {row['revoked_at']}" if row["revoked_at"] else f"until {row['expires_at']}"
        show(f"{row['id']}  {row['account']:<20} {row['role']:<14} {end}")
    if not rows:
        say("No tokens: aegis token create ACCOUNT")


@token.command("revoke", examples=("aegis token revoke 3f9a11c0d2e4",))
@click.argument("token_id", metavar="ID")
def revoke(token_id: str) -> None:
    """End a token now."""
    run = session()
    _with(lambda accounts: accounts.revoke_token(token_id, by=who(run)))
    show(f"{token_id} is revoked")


def _password(name: str, *, ask: bool) -> Secret:
    if not sys.stdin.isatty():
        return Secret(sys.stdin.read(STDIN_CHARS_MAX).removesuffix("\n").removesuffix("\r"))
    if not ask:
        raise BadInput(f"give the password on stdin: aegis account password {name} < FILE")
    return Secret(click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True, err=True))


def _with(work: Callable[[Accounts], Awaitable[T]]) -> T:
    """Do something with the accounts of this session's store, made if need be."""
    import anyio

    async def inside() -> T:
        async with _accounts(session()) as accounts:
            return await work(accounts)

    return cast("T", anyio.run(cast("Any", inside)))


@asynccontextmanager
async def _accounts(run: Session) -> AsyncIterator[Accounts]:
    from aegis.app.auditing import accounts_of
    from aegis.app.system import SystemClock
    from aegis.stores.database import Database

    config, home = run.config(), run.make_home()
    database = await Database.open(config.store.path(home))
    try:
        yield accounts_of(config, home, database, SystemClock())
    finally:
        await database.close()
