"""`aegis notify`: does a message arrive? Sends one that says it is a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.config.settings import Config
    from aegis.core.notifications import Notification, Receipt

METERED = ("sms", "phone")
"""These are billed, so they pass the governor and its store."""


@click.group(cls=Group, name="notify", examples=("aegis notify test slack", "aegis notify test sms --to +14155550100"))
def group() -> None:
    """Send a test message to a configured service."""


@group.command("test")
@click.argument("service")
@click.option(
    "--to",
    default="",
    help="One address, member or number instead of those in the configuration (email, slack, sms, phone).",
)
@json_option
def test(service: str, to: str, as_json: bool) -> int:
    """Send one harmless message, marked as a test, to SERVICE, and print what it answered. What the test opens (a page,
    a ticket) is closed again. Text messages and calls are billed. When it did not take it, the reason and exit code 5 (our key) or 6.
    """
    import anyio

    here = session()
    config = here.config()
    receipt = anyio.run(_send, here, config, service, to, as_json)
    if as_json:
        show_json("notify_test", service=service, delivered=True, remote_id=receipt.remote_id, note=receipt.note)
    else:
        handle = f" ({receipt.remote_id})" if receipt.remote_id else ""
        show(f"delivered{handle}" + (f": {receipt.note}" if receipt.note else ""))
    return Exit.OK


async def _send(here: Session, config: Config, service: str, to: str, quiet: bool) -> Receipt:
    from aegis.app.system import SystemClock, random_ids
    from aegis.app.trying import connected, find_messenger, find_notifier, harmless, send_test

    clock = SystemClock()
    new_id = random_ids(clock)
    told = harmless(service, at=clock.now(), new_id=new_id)
    if service in METERED:
        return await _metered(here, service, to, told, quiet)
    resolve = here.resolver(config).resolve
    async with connected(config, home=here.home, resolve=resolve, clock=clock, new_id=new_id) as (parts, _http):
        if to:
            messenger = find_messenger(service, to, parts.messengers)
            _announce(service, to, told, quiet)
            return await messenger.send(to, told)
        notifier = find_notifier(service, parts.notifiers)
        _announce(service, "", told, quiet)
        return await send_test(notifier, told)


async def _metered(here: Session, service: str, to: str, told: Notification, quiet: bool) -> Receipt:
    """By the same way as a real alarm: what costs money is asked of the governor first."""
    from aegis.app.trying import find_messenger
    from aegis.cli.opened import opened

    async with opened(here) as (app, _world):
        people = (to,) if to else tuple(getattr(app.messengers.get(service), "recipients", ()))
        if service in app.messengers and not people:
            raise BadInput(f"nobody is told by {service} in the configuration; name somebody with --to", code="nobody")
        receipt = None
        for person in people or ("",):
            messenger = find_messenger(service, person, tuple(app.messengers.values()))
            _announce(service, person, told, quiet)
            receipt = await messenger.send(person, told)
        assert receipt is not None, "there is somebody"
        return receipt


def _announce(service: str, to: str, told: Notification, quiet: bool) -> None:
    if not quiet:
        say(f"sending to {service}{f' ({to})' if to else ''}: Test: {told.title}")
