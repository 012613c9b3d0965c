"""Tries the services of a configuration: asks each whether it would take what we send, or sends one test message.

Policy: asking costs nothing and posts nothing; a test says what it is in its first word, has the lowest severity, and
what it opens (a page, a ticket) it closes again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import anyio

from aegis.app.services import Parts, Resolve, build_parts, outlets, private_hosts, resolved, trust
from aegis.config.settings import Config
from aegis.connectors import registry
from aegis.connectors.questions import Asks
from aegis.core.errors import AegisError, BadInput
from aegis.core.incidents import Severity, Status
from aegis.core.notifications import Fact, Notification, Receipt
from aegis.core.ports import Clock, Http, Messenger, NewId, Notifier, Probe
from aegis.transport.http import OutboundHttp

LASTING: Final = ("pagerduty", "jira")
"""Services on which a test would stay open: it is resolved at once."""
KEYED: Final = {"anthropic": "key", "openai": "key", "virustotal": "api_key"}
"""Metered services with a key that are asked, and what their key is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How asking one service went. `asked` False: there is nothing that may be asked, `text` says why."""

    service: str
    ok: bool
    asked: bool
    text: str


@asynccontextmanager
async def connected(
    config: Config, *, home: Path, resolve: Resolve, clock: Clock, new_id: NewId
) -> AsyncIterator[tuple[Parts, Http]]:
    """The connectors of a configuration without store and governor, until the block ends. Raises `ConfigError`."""
    private, own = private_hosts(config, resolve), trust(config, resolve)
    http = OutboundHttp(clock=clock, observer=lambda _happened: None, allow_private=private, trust=own)
    try:
        ways = outlets(clock, lambda _happened: None)
        parts = build_parts(config, home=home, http=http, clock=clock, new_id=new_id, resolve=resolve, ways=ways)
        yield parts, http
    finally:
        await http.close()


async def ask_all(config: Config, parts: Parts, http: Http, *, resolve: Resolve, clock: Clock) -> Sequence[Tried]:
    """Ask every service that is configured, all at once; the answers in the order of the configuration."""
    probes = _probes(config, parts, http, resolve=resolve, clock=clock)
    found: dict[str, Tried] = {}

    async def ask(name: str, probe: Probe) -> None:
        try:
            probed = await probe.probe()
        except AegisError as error:
            found[name] = Tried(service=name, ok=False, asked=True, text=str(error).removeprefix(f"{name}: "))
        else:
            found[name] = Tried(service=name, ok=True, asked=probed.asked, text=probed.text)

    async with anyio.create_task_group() as group:
        for name, probe in probes.items():
            group.start_soon(ask, name, probe)
    return [found[name] for name in probes]


def _probes(config: Config, parts: Parts, http: Http, *, resolve: Resolve, clock: Clock) -> Mapping[str, Probe]:
    own = {one.name: one for one in parts.connectors if hasattr(one, "probe")}
    probes: dict[str, Probe] = {}
    for name, values in resolved(config, resolve).items():
        probes[name] = own.get(name) or Asks(name, registry.load(name).Config(**values), http, clock=clock)
    for name, key in KEYED.items():
        service = config.services.get(name)
        if service is not None and service.key is not None:
            given = SimpleNamespace(**{key: resolve(service.key)}, base_url=service.base_url)
            probes[name] = Asks(name, given, http, clock=clock)
    return probes


# --- one test message --------------------------------------------------------------------------------------------


def harmless(service: str, *, at: datetime, new_id: NewId) -> Notification:
    """The one harmless message: it says that it is a test, and needs nothing."""
    number = new_id("test")
    return Notification(
        incident_id=number,
        dedup_key=number,
        version=1,
        change="test",
        severity=Severity.LOW,
        status=Status.OPEN,
        title=f"Test message of Aegis to {service}",
        summary="This is a test: nothing happened, and nothing is to be done. It shows that messages arrive here.",
        at=at,
        facts=(Fact("Service", service),),
        actions=("Nothing: this is a test.",),
        document={"schema": "aegis.test/1", "id": number},
    )


async def send_test(notifier: Notifier, told: Notification) -> Receipt:
    """Send the test; what it opened is closed again. Raises `ServiceError`."""
    receipt = await notifier.notify(told, remote_id="")
    if notifier.name in LASTING:
        over = replace(told, change="resolved", version=told.version + 1, status=Status.RESOLVED)
        closed = await notifier.notify(over, remote_id=receipt.remote_id)
        note = f"{closed.note or receipt.note}; closed again".removeprefix("; ")
        return Receipt(remote_id=closed.remote_id or receipt.remote_id, note=note)
    return receipt


def find_notifier(name: str, notifiers: Sequence[Notifier]) -> Notifier:
    """The notifier of a name. Raises `BadInput` with the names there are."""
    for notifier in notifiers:
        if notifier.name == name:
            return notifier
    names = ", ".join(notifier.name for notifier in notifiers) or "none"
    raise BadInput(f"{name} is not configured to tell anybody; configured are: {names}", code="no_such_service")


def find_messenger(name: str, to: str, messengers: Sequence[Messenger]) -> Messenger:
    """The way to one person of a name. Raises `BadInput` when there is none, or when it cannot reach `to`."""
    for messenger in messengers:
        if messenger.name == name:
            if not messenger.accepts(to):
                raise BadInput(f"{name} cannot reach {to[:100]!r}", code="bad_recipient")
            return messenger
    names = ", ".join(messenger.name for messenger in messengers) or "none"
    raise BadInput(f"{name} reaches no single person; configured ways that do: {names}", code="no_such_service")
