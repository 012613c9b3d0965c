"""`aegis inbound`: which webhooks are taken, where they have to be sent, and whether the way in works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json

if TYPE_CHECKING:
    from aegis.config.settings import Config


@click.group(cls=Group, name="inbound", examples=("aegis inbound list", "aegis inbound test pagerduty"))
def group() -> None:
    """Webhooks from other services: addresses to register, and a test of each."""


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every sender that can be taken, whether it is configured, and the address to register there."""
    from aegis.web.inbound.senders import SENDERS

    config = session().config()
    rows = [{"sender": name, "configured": name in config.inbound, "url": _url(config, name)} for name in SENDERS]
    if as_json:
        show_json("inbound", senders=rows, links=bool(config.server.public_url))
        return
    for row in rows:
        show(f"{row['sender']:<13} {'on ' if row['configured'] else 'off'}  {row['url']}")
    if not config.server.public_url:
        say("Set server.public_url to the https address that these services reach Aegis by.", colour="yellow")


@group.command("test")
@click.argument("sender")
@json_option
def test(sender: str, as_json: bool) -> int:
    """Send a correctly signed example over loopback, to the Aegis that runs or to one for the moment. It opens nothing."""
    import anyio

    run = session()
    config = run.config()
    status, code = anyio.run(_tested, run, sender)
    took = status in (200, 202)
    if as_json:
        show_json("inbound-test", sender=sender, url=_url(config, sender), ok=took, status=status, code=code)
    else:
        show(f"Register at {sender}: {_url(config, sender)}")
        show(f"A signed example was {'taken' if took else f'refused: {code}'} ({status})")
    return Exit.OK if took else Exit.REMOTE


def _url(config: Config, sender: str) -> str:
    server = config.server
    return f"{server.public_url or f'http://{server.host}:{server.port}'}/inbound/{sender}"


async def _tested(run: Session, sender: str) -> tuple[int, str]:
    """The status that the example was answered with, and the code of a refusal. Raises `ConfigError`."""
    from aegis.app.inbound import senders
    from aegis.app.system import SystemClock
    from aegis.cli.beside import ADDRESS_FILE, is_busy
    from aegis.core.errors import ConfigError
    from aegis.web.inbound.examples import example
    from aegis.web.inbound.routes import door_of

    config = run.config()
    if sender not in config.inbound:
        raise ConfigError(f"inbound.{sender} is not configured: see docs/inbound.md")
    found = senders(config, run.resolver(config).resolve)
    made = example(sender, door_of(found[sender]), SystemClock().now())
    if is_busy(run.home):
        address = (run.home / ADDRESS_FILE).read_text().strip()
        return await _sent(address, sender, made)
    return await _sent_to_a_moment(run, sender, made)


async def _sent_to_a_moment(run: Session, sender: str, made: Any) -> tuple[int, str]:
    """Open an Aegis for this one request."""
    from aegis.cli.opened import opened
    from aegis.web.access import Access
    from aegis.web.server import create
    from aegis.web.serving import listen, serving

    async with opened(run) as (app, _):
        face = create(app, access=Access.in_folder(app.home))
        async with serving(face, listen("127.0.0.1", 0)) as address:
            return await _sent(address, sender, made)


async def _sent(address: str, sender: str, made: Any) -> tuple[int, str]:
    import json

    from aegis.app.system import SystemClock
    from aegis.core.ports import HttpRequest
    from aegis.transport.http import OutboundHttp

    http = OutboundHttp(clock=SystemClock(), observer=lambda _: None)
    request = HttpRequest(
        service="aegis", method="POST", url=f"{address}/inbound/{sender}", headers=made.headers, body=made.body
    )
    try:
        answer = await http.send(request)
    finally:
        await http.close()
    try:
        code = str(json.loads(answer.body or b"{}").get("code", ""))
    except ValueError:
        code = ""
    return answer.status, code
