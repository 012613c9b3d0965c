"""`aegis stop` and `aegis resume`: no more calls of a scope, and calls again. A running Aegis obeys within a second.

With `--grade` a stop is planned first: what it would do, exactly, and then applied as it was planned, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.acting import acting, known, system_user
from aegis.cli.books import books, who
from aegis.cli.commands import Group, Speaking, json_option
from aegis.cli.emergencies import desk, needs_account, plan_row, scope_text, show_plan, show_stop, stamp, taken_further
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput, StoreError

if TYPE_CHECKING:
    from aegis.core.ledger import Switch
    from aegis.emergency.audit import AuditLog
    from aegis.emergency.planning import Order

_WORDS_MAX = 200
"""Characters of a reason: it is shown with every call that is refused for it."""
_HISTORY = 50


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


@click.group(
    cls=Group,
    name="stop",
    invoke_without_command=True,
    examples=(
        "aegis stop --scope key=ci-bot --reason stolen",
        "aegis stop --grade 2 --all --reason 'runaway bill'",
        "aegis stop apply stp_01J...",
        "aegis stop",
    ),
)
@_scope_option
@_all_option
@click.option("--reason", default="", help="Why: everybody whose call is refused is told.")
@click.option(
    "--grade", type=click.IntRange(0, 4), help="Plan a stop: 0 slow, 1 admissions, 2 keys, 3 providers, 4 programs."
)
@click.option("--dry-run", is_flag=True, help="Show the plan and keep nothing.")
@click.option("--yes", is_flag=True, help="Apply the plan at once.")
@click.option("--for", "span", default="", metavar="TIME", help="Give it back by itself after this long: 2h.")
@click.option("--percent", type=click.IntRange(1, 99), default=50, help="What grade 0 leaves of the rates.")
@click.option("--pool", default="", metavar="USD", help="What CRITICAL calls may spend all the same.")
@click.option("--cancel", is_flag=True, help="End calls that are under way, too.")
@json_option
@click.pass_context
def stop(context: click.Context, /, pairs: tuple[str, ...], everything: bool, as_json: bool, **options: Any) -> None:
    """Admit no more calls of a scope until somebody gives them back. Calls under way end by themselves.

    With --grade a plan is made, shown and kept for ten minutes: `aegis stop apply PLAN` does exactly that. Without --scope
    and --all: show what is stopped.
    """
    import anyio

    if context.invoked_subcommand is not None:
        return
    if not pairs and not everything:
        anyio.run(_list, session(), as_json)
        return
    if pairs and everything:
        raise click.UsageError("either --scope or --all")
    reason = options["reason"].strip()[:_WORDS_MAX]
    if not reason:
        raise click.UsageError("--reason is needed: everybody whose call is refused is told")
    if options["grade"] is None:
        anyio.run(_turn, session(), _scope(pairs), reason, True, as_json)
        return
    anyio.run(_plan, session(), _scope(pairs), {**options, "reason": reason}, as_json)


@stop.command("apply", examples=("aegis stop apply stp_01J...",))
@click.argument("plan")
@click.option("--break-glass", is_flag=True, help="One person alone: everybody is told so.")
@json_option
def apply(plan: str, break_glass: bool, as_json: bool) -> None:
    """Do exactly what PLAN says. It is refused when it is older than ten minutes, was changed, or needs a second person."""
    import anyio

    anyio.run(_apply, session(), plan, break_glass, as_json)


@stop.command("retry", examples=("aegis stop retry stp_01J...",))
@click.argument("stop_id", metavar="STOP")
@json_option
def retry(stop_id: str, as_json: bool) -> None:
    """Try again what STOP could not stop: the same targets, as they were planned."""
    import anyio

    anyio.run(_retry, session(), stop_id, as_json)


@stop.command("history", examples=("aegis stop history",))
@json_option
def history(as_json: bool) -> None:
    """Every turn of a switch, newest first, and the stops that were planned."""
    import anyio

    anyio.run(_history, session(), as_json)


@click.command(cls=Speaking, examples=("aegis resume --scope key=ci-bot", "aegis resume --all"))
@_scope_option
@click.option("--all", "everything", is_flag=True, help="Everything that is stopped.")
@click.option("--reason", default="", help="Why, for the record.")
@json_option
def resume(pairs: tuple[str, ...], everything: bool, reason: str, as_json: bool) -> None:
    """Admit calls of a stopped scope again. What was stopped by a plan returns with `aegis recover`."""
    import anyio

    if bool(pairs) == everything:
        raise click.UsageError("either --scope or --all; `aegis stop` shows what is stopped")
    anyio.run(_turn, session(), None if everything else _scope(pairs), reason.strip()[:_WORDS_MAX], False, as_json)


async def _plan(run: Session, scope: dict[str, str], options: Mapping[str, Any], as_json: bool) -> None:
    """Make a plan and show it; keep it, and with --yes apply it."""
    async with desk(run) as here:
        by = await known(run, here, "operate")
        made = await here.orders.plan(_order(by or system_user(), scope, options))
        if not options["dry_run"]:
            if by is None and await needs_account(here, bool(made.plan.second_person)):
                by = await acting(run, here, "operate")
            await here.orders.keep(made)
        if not as_json:
            show_plan(made.plan)
        if options["yes"] and not options["dry_run"]:
            await here.orders.apply(made.id, by=made.plan.by)
            made = await taken_further(run, here, made.id, state="stopping")
    if as_json:
        show_json("stop", **plan_row(made), kept=not options["dry_run"])
    elif options["dry_run"]:
        say("Nothing was kept or done.")
    elif options["yes"]:
        show_stop(made)
    else:
        show(f"plan {made.id}  sha256 {made.hashed[:16]}")
        say(f"To do exactly this within ten minutes: aegis stop apply {made.id}")


def _order(by: str, scope: dict[str, str], options: Mapping[str, Any]) -> Order:
    from datetime import UTC, datetime

    from aegis.config import scalars
    from aegis.core.stops import Grade
    from aegis.emergency.planning import Order

    def read(parse: Any, what: str) -> int:
        try:
            return int(parse(options[what])) if options[what] else 0
        except ValueError as error:
            raise BadInput(f"--{'for' if what == 'span' else what} {error}", code="bad_value") from error

    span = read(scalars.duration, "span")
    return Order(
        grade=Grade(options["grade"]),
        scope=scope,
        reason=options["reason"],
        by=by,
        percent=options["percent"],
        expires_ms=int(datetime.now(UTC).timestamp() * 1_000) + span if span else 0,
        pool=read(scalars.amount, "pool"),
        cancel=options["cancel"],
    )


async def _apply(run: Session, plan: str, break_glass: bool, as_json: bool) -> None:
    async with desk(run) as here:
        asked = await here.stops.get(plan)
        two_people = bool(asked.plan.second_person) and not break_glass
        strict = await needs_account(here, two_people)
        by = await (acting if strict else known)(run, here, "operate") or system_user()
        await here.orders.apply(plan, by=by, broken_glass=break_glass)
        done = await taken_further(run, here, plan, state="stopping")
    if as_json:
        show_json("stop", **plan_row(done))
    else:
        show_stop(done)


async def _retry(run: Session, stop_id: str, as_json: bool) -> None:
    async with desk(run) as here:
        await here.orders.retry(stop_id, by=await known(run, here, "operate") or system_user())
        done = await taken_further(run, here, stop_id, state="stopping")
    if as_json:
        show_json("stop", **plan_row(done))
    else:
        show_stop(done)


async def _history(run: Session, as_json: bool) -> None:
    async with desk(run) as here:
        turns, stops = await here.ledger.turns(_HISTORY), await here.stops.newest(_HISTORY)
    if as_json:
        rows = [{**_row(turn), "stopped": turn.stopped} for turn in turns]
        show_json("stop-history", turns=rows, stops=[plan_row(one) for one in stops])
        return
    for turn in turns:
        word = f"{turn.percent} %" if turn.percent else "stopped" if turn.stopped else "open"
        show(f"{_row(turn)['at']}  {scope_text(turn.scope)}: {word}  {turn.reason}")
    for one in stops:
        show(f"{stamp(one.plan.at_ms)}  {one.id}  {one.state}  {one.plan.grade.name} {scope_text(one.plan.scope)}")
    if not turns and not stops:
        show("nothing was ever stopped")


async def _turn(run: Session, scope: dict[str, str] | None, reason: str, stopped: bool, as_json: bool) -> None:
    """Turn one switch, or with `scope` None every one that is on."""
    from aegis.core.ledger import Switch

    async with books(run, make=True) as here:
        on = [switch for switch in await here.ledger.switches() if switch.stopped]
        planned = [switch for switch in on if switch.stop and scope in (None, switch.scope)]
        if planned and scope is not None:
            raise BadInput(f"{scope_text(scope)} was stopped by {planned[0].stop}: aegis recover", code="planned")
        scopes = [switch.scope for switch in on if not switch.stop] if scope is None else [scope]
        if not stopped and scope is not None and all(switch.scope != scope for switch in on):
            raise BadInput(f"{scope_text(scope)} is not stopped; `aegis stop` shows what is", code="no_such_stop")
        at_ms = int(here.clock.now().timestamp() * 1_000)
        said = f"{reason} ({who(run)})" if reason else f"by {who(run)}"
        for one in scopes:
            facts = {"scope": scope_text(one), "reason": reason}
            await _intend(here.audit, who(run), stopped, facts)
            await here.ledger.turn(Switch(scope=one, stopped=stopped, reason=said, at_ms=at_ms, by=who(run)))
            await here.audit.note(who(run), "switch.stopped" if stopped else "switch.resumed", facts)
        left = [switch for switch in await here.ledger.switches() if switch.stopped]
    if as_json:
        show_json("stopped", stopped=[_row(switch) for switch in left])
        return
    for one in scopes:
        show(f"{scope_text(one)}: {'no call is admitted any more' if stopped else 'calls are admitted again'}")
    for switch in planned:
        say(f"{scope_text(switch.scope)} stays stopped by {switch.stop}: aegis recover")
    if not scopes:
        show("nothing was stopped" if not planned else "nothing was turned")


async def _intend(audit: AuditLog, by: str, stopped: bool, facts: Mapping[str, str]) -> None:
    """What is about to be turned goes on record first. A log that cannot be written keeps nothing from being stopped."""
    try:
        await audit.note(by, "switch.stopping" if stopped else "switch.resuming", facts)
    except StoreError as error:
        if not stopped:
            raise
        say(f"This is not on the audit log: {error}")


async def _list(run: Session, as_json: bool) -> None:
    async with books(run) as here:
        on = [switch for switch in await here.ledger.switches() if switch.stopped]
    if as_json:
        show_json("stopped", stopped=[_row(switch) for switch in on])
        return
    for switch in on:
        more = f"  ({switch.stop}, {switch.percent} % admitted)" if switch.stop else ""
        more = more if switch.grade else f"  (throttled to {switch.percent} %)"
        show(f"{_row(switch)['at']}  {scope_text(switch.scope)}: {switch.reason}{more}")
    if not on:
        show("nothing is stopped; to stop all calls: aegis stop --all --reason WHY")


def _row(switch: Switch) -> dict[str, Any]:
    return {
        "scope": dict(switch.scope),
        "reason": switch.reason,
        "at": stamp(switch.at_ms),
        "grade": f"G{switch.grade}",
        "percent": switch.percent,
        "by": switch.by,
        "stop": switch.stop,
        "expires_at": stamp(switch.expires_ms) if switch.expires_ms else None,
    }
