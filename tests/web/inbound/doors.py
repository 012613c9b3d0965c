"""A whole Aegis on loopback that takes webhooks, with the sandbox behind it; its clock stands at the time of `signing`."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.web.inbound.signing import CERTIFICATE_URL, NOW, PARTNER_ID, SECRET, TOPIC, Sent, certificate, partner_pem

from aegis.app import App, Machine, open_app
from aegis.core.incidents import Incident
from aegis.core.ports import Http, HttpAnswer, HttpRequest
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.records import Record
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World
from aegis.testing.clock import FakeClock
from aegis.web.access import Access
from aegis.web.inbound import github
from aegis.web.server import create
from aegis.web.serving import listen, serving

PUBLIC = "https://aegis.example"
INBOUND = f"""\
server: {{public_url: "{PUBLIC}"}}
inbound:
  pagerduty: {{secret: env:INBOUND}}
  slack: {{secret: env:INBOUND}}
  jira: {{secret: env:INBOUND}}
  alertmanager: {{secret: env:INBOUND}}
  datadog: {{secret: env:INBOUND}}
  grafana: {{secret: env:INBOUND}}
  sentry: {{secret: env:INBOUND}}
  sns: {{topics: ["{TOPIC}"]}}
  github: {{secret: env:INBOUND, partner: true}}
  standard: {{secret: env:WHSEC}}
"""
ATTACK = json.dumps(
    {
        "eventTime": "2026-11-21T11:59:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateAccessKey",
        "recipientAccountId": "210987654321",
        "userIdentity": {"type": "Root", "arn": "arn:aws:iam::210987654321:root"},
        "requestParameters": None,
    }
).encode()
"""Root makes itself a key: CRITICAL, so everybody is told."""
LOGIN = b"".join(
    b"Nov 21 11:%02d:%02d bastion-1 sshd[4242]: Failed password for root from 203.0.113.66 port 40000 ssh2\n"
    % (41 + second // 60, second % 60)
    for second in range(40)
)
"""A brute force on bastion-1."""


class _Keys:
    """The sandbox's keys, and the secrets of the senders."""

    def __init__(self, sandbox: Serving) -> None:
        self._sandbox = SandboxKeys(sandbox)

    def __call__(self, reference: Reference) -> Secret:
        whsec = "whsec_" + base64.b64encode(SECRET.encode()).decode()
        ours = {"INBOUND": Secret(SECRET), "WHSEC": Secret(whsec)}
        return ours.get(reference.name) or self._sandbox(reference)


@dataclass
class Vendors:
    """The `Http` port around the real one: it answers for SNS' certificates and GitHub's keys, and notes what was asked."""

    behind: Http
    asked: list[str]

    async def send(self, request: HttpRequest) -> HttpAnswer:
        if request.service not in ("sns", "github"):
            return await self.behind.send(request)
        self.asked.append(request.url)
        if request.url == CERTIFICATE_URL:
            return HttpAnswer(status=200, headers={}, body=certificate())
        if request.url == github.KEYS_URL:
            listed = [{"key_identifier": PARTNER_ID, "key": partner_pem().decode(), "is_current": True}]
            return HttpAnswer(status=200, headers={}, body=json.dumps({"public_keys": listed}).encode())
        return HttpAnswer(status=200, headers={}, body=b"")


@dataclass
class Doors:
    """The address, what stands behind it, and what its vendors were asked."""

    address: str
    app: App
    world: World
    clock: FakeClock
    client: aiohttp.ClientSession
    asked: list[str]

    async def send(self, sent: Sent, *, body: Any = None, host: str = "") -> tuple[int, Mapping[str, Any]]:
        """The answer to a webhook: its status and document."""
        url, headers = f"{self.address}/inbound/{sent.sender}", {**sent.headers, **({"host": host} if host else {})}
        async with self.client.post(url, data=sent.body if body is None else body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, (await answer.json(content_type=None) if text else {})

    async def paged(self, attack: bytes = ATTACK) -> Incident:
        """An attack, as an incident of which everybody was told."""
        await self.app.take(attack, source="attack")
        await self.app.finish(wait_ms=0)
        (incident,) = await self.app.incidents.recent(1)
        return incident

    def told(self, service: str) -> list[Record]:
        """What a service got, oldest first."""
        return list(self.world.received(service).records)


@asynccontextmanager
async def doors(home: Path, *, config: str = INBOUND) -> AsyncIterator[Doors]:
    """An Aegis in `home` whose senders are all configured. Nothing runs in the background."""
    home.mkdir(mode=0o700, exist_ok=True)
    clock, asked = FakeClock(NOW), list[str]()
    world = World(clock=clock)
    async with serve(world) as sandbox:
        machine = Machine(clock=clock, watch_http=lambda http: Vendors(http, asked))
        settings = sandbox_config(sandbox, more=config)
        async with (
            open_app(settings, home=home, resolve=_Keys(sandbox), machine=machine, link_base=PUBLIC) as app,
            serving(create(app, access=Access.in_folder(home)), listen("127.0.0.1", 0)) as address,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        ):
            yield Doors(address, app, world, clock, client, asked)
