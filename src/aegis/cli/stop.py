"""`aegis stop` and `aegis resume`: no more calls of a scope, and calls again. A running Aegis obeys within a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.books import books, who
from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.core.ledger import Switch

_WORDS_MAX = 200
"""Characters of a reason: it is shown with every call that is refused for it."""


def _scope(pairs: tuple[str, ...]) -> dict[str, str]:
    """`key=red` and the like as a scope. Raises `UsageError`."""
    from aegis.config.sections.budgets import SCOPES

    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name not in SCOPES or not equals or not value:
            raise click.UsageError(f"--scope {pair[:64]} must be NAME=VALUE with a NAME of {', '.join(SCOPES)}")
        found[name] = value
    return found


_scope_option = click.option(
    "--scope", "pairs", multiple=True, metavar="NAME=VALUE", help="Only these calls: key=NAME."
)
_all_option = click.option("--all", "everything", is_flag=True, help="All calls.")


@click.command(cls=Speaking, examples=("aegis stop --scope key=ci-bot --reason stolen", "aegis stop"))
@_scope_option
@_all_option
@click.option("--reason", default="", help="Why: everybody whose call is refused is told.")
@json_option
def stop(pairs: tuple[str, ...], everything: bool, reason: str, as_json: bool) -> None:
    """Admit no more calls of a scope until somebody resumes it. Calls under way end by themselves. Without --scope and
    --all: show what is stopped.
    """
    import anyio

    if not pairs and not everything:
        anyio.run(_list, session(), as_json)
        return
    if pairs and everything:
        raise click.UsageError("either --scope or --all")
    if not reason.strip():
        raise click.UsageError("--reason is needed: everybody whose call is refused is told")
    anyio.run(_turn, session(), _scope(pairs), reason.strip()[:_WORDS_MAX], True, as_json)


@click.command(cls=Speaking, examples=("aegis resume --scope key=ci-bot", "aegis resume --all"))
@_scope_option
@click.option("--all", "everything", is_flag=True, help="Everything that is stopped.")
@click.option("--reason", default="", help="Why, for the record.")
@json_option
def resume(pairs: tuple[str, ...], everything: bool, reason: str, as_json: bool) -> None:
    """Admit calls of a stopped scope again."""
    import anyio

    if bool(pairs) == everything:
        raise click.UsageError("either --scope or --all; `aegis stop` shows what is stopped")
    anyio.run(_turn, session(), None if everything else _scope(pairs), reason.strip()[:_WORDS_MAX], False, as_json)


async def _turn(run: Session, scope: dict[str, str] | None, reason: str, stopped: bool, as_json: bool) -> None:
    """Turn one switch, or with `scope` None every one that is on."""
    from aegis.core.ledger import Switch

    async with books(run, make=True) as here:
        on = [switch for switch in await here.ledger.switches() if switch.stopped]
        scopes = [switch.scope for switch in on] if scope is None else [scope]
        if not stopped and scope is not None and all(switch.scope != scope for switch in on):
            raise BadInput(f"{_text(scope)} is not stopped; `aegis stop` shows what is", code="no_such_stop")
        at_ms = int(here.clock.now().timestamp() * 1_000)
        said = f"{reason} ({who(run)})" if reason else f"by {who(run)}"
        for one in scopes:
            await here.ledger.turn(Switch(scope=one, stopped=stopped, reason=said, at_ms=at_ms))
        left = [switch for switch in await here.ledger.switches() if switch.stopped]
    if as_json:
        show_json("stopped", stopped=[_row(switch) for switch in left])
        return
    for one in scopes:
        show(f"{_text(one)}: {'no call is admitted any more' if stopped else 'calls are admitted again'}")
    if not scopes:
        show("nothing was stopped")


async def _list(run: Session, as_json: bool) -> None:
    async with books(run) as here:
        on = [switch for switch in await here.ledger.switches() if switch.stopped]
    if as_json:
        show_json("stopped", stopped=[_row(switch) for switch in on])
        return
    for switch in on:
        show(f"{_row(switch)['at']}  {_text(switch.scope)}: {switch.reason}")
    if not on:
        show("nothing is stopped; to stop all calls: aegis stop --all --reason WHY")


def _row(switch: Switch) -> dict[str, Any]:
    from datetime import UTC, datetime, timedelta

    from aegis.web.views import stamp

    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=switch.at_ms)
    return {"scope": dict(switch.scope), "reason": switch.reason, "at": stamp(at)}


def _text(scope: Mapping[str, str]) -> str:
    from aegis.governor.switch import scope_text

    return scope_text(scope)
