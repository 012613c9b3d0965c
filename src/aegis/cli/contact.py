"""`aegis contact` and `aegis oncall`: who can be told, who is on call, and whether a message arrives."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Group, Speaking, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, session, show, show_json

if TYPE_CHECKING:
    from aegis.core.escalations import Roster

SHIFTS_MAX = 100


@click.group(cls=Group, name="contact", examples=("aegis contact list", "aegis contact test team-lead --by sms"))
def group() -> None:
    """People who can be told alone: list them, send one a test."""


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every contact: roles, channels, quiet hours, who is on call now."""
    from aegis.web.quiet import contact_rows

    run = session()
    roster, now = roster_of(run), moment_of(run, "")
    rows = contact_rows(roster, now)
    if as_json:
        show_json("contacts", contacts=rows)
        return
    for row in rows:
        words = [", ".join(row["channels"]) or "no channel that a connector carries", row["tier"], *row["roles"]]
        words += [f"on call ({', '.join(row['on_call'])})"] if row["on_call"] else []
        words += ["quiet hours now"] if row["quiet"] else []
        show(f"{row['name']:<20} {row['title']:<24} {'; '.join(words)}")
    if not rows:
        show("No contacts. They stand under contacts in aegis.yaml; see docs/escalation.md")


@group.command("test")
@click.argument("name")
@click.option("--by", default="", help="Only by this channel: email, webhook, slack, pagerduty, sms or phone.")
@json_option
def test(name: str, by: str, as_json: bool) -> int:
    """Send a contact a message that says it is a test, by each of their channels. Texts and calls cost money."""
    import anyio

    return anyio.run(_test, session(), name, by, as_json)


async def _test(run: Session, name: str, by: str, as_json: bool) -> int:
    from urllib.parse import quote

    from aegis.cli.beside import ask, is_busy

    if is_busy(run.home):
        answer = await ask(run, "POST", f"/api/contacts/{quote(name, safe='')}/test?by={quote(by, safe='')}")
        sent = answer["sent"]
    else:
        from aegis.app.people import tell_test
        from aegis.cli.opened import opened

        async with opened(run) as (app, _):
            sent = await tell_test(app, name, by=by)
    if as_json:
        show_json("contact-test", sent=sent)
    else:
        for one in sent:
            show(f"{name} by {one['channel']}: {'ok' if one['ok'] else 'FAILED'}, {one['text']}")
    return Exit.OK if all(one["ok"] for one in sent) else Exit.REMOTE


@click.command(cls=Speaking, name="oncall", examples=("aegis oncall", "aegis oncall --at 2026-12-24T20:00+01:00"))
@click.option("--at", default="", metavar="TIME", help="At this time, with its offset; now unless said.")
@click.option("--shifts", default=1, show_default=True, type=click.IntRange(1, SHIFTS_MAX), help="How many shifts on.")
@json_option
def oncall(at: str, shifts: int, as_json: bool) -> int:
    """Who is on call: first, second, and until when."""
    from aegis.web.quiet import oncall_rows

    run = session()
    rows = oncall_rows(roster_of(run), moment_of(run, at), shifts=shifts)
    if as_json:
        show_json("oncall", oncall=rows)
        return Exit.OK
    for row in rows:
        second = f", then {row['secondary']}" if row["secondary"] else ""
        show(f"{row['rotation']:<16} {row['primary']}{second}  from {row['since']} until {row['until']}")
    if not rows:
        show("No rotations. They stand under rotations in aegis.yaml; see docs/escalation.md")
    return Exit.OK


def roster_of(run: Session) -> Roster:
    """The people of this configuration, and the channels that its connectors offer."""
    from dataclasses import replace

    from aegis.app.people import usable_channels
    from aegis.app.spend_telling import spend_chains

    config = run.config()
    chains = (*spend_chains(config.actions, config.roster), *config.roster.chains)
    return replace(config.roster, usable=usable_channels(config), chains=chains)


def moment_of(run: Session, text: str) -> datetime:
    """A time that was given, or now. Raises `UsageError`."""
    from aegis.app.silencing import moment
    from aegis.app.system import SystemClock

    try:
        if text:
            return moment(text)
    except ValueError as error:
        raise click.UsageError(f"--at {error}") from None
    return (run.machine.clock if run.machine else SystemClock()).now()
