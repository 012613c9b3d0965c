"""Every service, every way in which it can fail: the others go on, nothing is lost, nothing waits for ever, no secret shows.

The product's own lanes, connectors and ways out (HTTP, SMTP, boto3, Apprise) against the sandbox. Time runs a hundred times faster
for the lanes, and the time-outs of the ways out are shortened by as much: what they would wait ten seconds for, they wait a
tenth of one.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from tests.connectors.stories import CANARY, NOW, new_id, notification
from tests.connectors.test_against_sandbox import NOTIFIERS, settings
from tests.connectors.test_people_against_sandbox import NUMBER
from tests.connectors.test_people_against_sandbox import settings as people_settings

from aegis.connectors.registry import build
from aegis.core.contacts import Contact
from aegis.core.errors import ServiceError
from aegis.core.incidents import Observable, Severity
from aegis.core.notifications import Delivery, DeliveryState, MetricPoint
from aegis.core.outlets import Letter, MailServer, Posted, Security
from aegis.core.ports import Http, HttpAnswer, HttpRequest, ModelRequest, Notifier
from aegis.core.secret import Secret
from aegis.core.telemetry import DeliveryEnded, Happened
from aegis.incidents.delivery import Lanes
from aegis.incidents.people import ToPeople
from aegis.sandbox.faults import Fault, Mode
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World
from aegis.testing.stores import MemoryOutbox
from aegis.transport.apprise import AppriseLibrary
from aegis.transport.aws import AwsClients
from aegis.transport.http import OutboundHttp
from aegis.transport.smtp import SmtpMail

pytestmark = pytest.mark.anyio

FASTER = 100
TIMEOUT_MS = 100
"""Ten seconds, as the lanes see it."""
BOUND_S = 60
"""Of this machine's own time, for one whole story; most take half a second."""
MAIL_S = 0.5
"""A letter takes several answers: half a minute, shortened a little less."""
INCIDENTS = 3
LIBRARY_S = "0.3"
"""What the library Apprise waits for a connection and for an answer."""
LANES = (*NOTIFIERS, "webhook", "email", "sms", "apprise")
SERVICE = {"sms": "twilio"}
ANNA = Contact(name="anna", addresses={"sms": NUMBER})


class Hurried:
    """The port `Clock`, running faster than the machine's."""

    def __init__(self) -> None:
        self._began_ns = time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return (time.monotonic_ns() - self._began_ns) * FASTER

    def now(self) -> datetime:
        return NOW + timedelta(microseconds=self.monotonic_ns() // 1_000)

    async def sleep_ms(self, milliseconds: int) -> None:
        await anyio.sleep(milliseconds / 1_000 / FASTER)


@dataclass
class Road:
    """The way to the services. `detour` leads one of them elsewhere, as a wrong address or a broken host would."""

    http: Http
    at: Serving
    mail: SmtpMail
    catch_all: AppriseLibrary = field(default_factory=AppriseLibrary)
    detour: dict[str, str] = field(default_factory=dict)
    patience_ms: int = TIMEOUT_MS

    async def send(self, request: HttpRequest) -> HttpAnswer:
        url = request.url
        if elsewhere := self.detour.get(request.service):
            url = elsewhere + url.removeprefix(self.at.url)
        short = self.patience_ms
        return await self.http.send(replace(request, url=url, timeout_ms=short, connect_timeout_ms=short))

    async def post(self, server: MailServer, letter: Letter) -> Posted:
        """The port `Mail`: a letter takes the same detours."""
        if (elsewhere := urlsplit(self.detour.get("email", ""))).hostname:
            port = self.at.mail_port if elsewhere.port == urlsplit(self.at.url).port else elsewhere.port
            secure: Security = "tls" if elsewhere.scheme == "https" else "none"
            server = replace(server, host=elsewhere.hostname or server.host, port=port or server.port, security=secure)
        try:
            with anyio.fail_after(MAIL_S):
                return await self.mail.post(server, letter)
        except TimeoutError:
            raise ServiceError("email", "no end in time", retryable=True) from None

    async def ask(self, server: MailServer, service: str) -> str:
        return await self.mail.ask(server, service)

    def check(self, address: Secret) -> bool:
        return self.catch_all.check(address)

    async def tell(self, service: str, address: Secret, *, title: str, text: str, kind: str) -> None:
        """The port `CatchAll`: and the addresses of the library."""
        there = address.reveal().replace("json://", "http://", 1)
        there = there.replace(self.at.url, self.detour.get(service, self.at.url), 1)
        scheme = "jsons://" if there.startswith("https") else "json://"
        await self.catch_all.tell(
            service, Secret(scheme + there.partition("://")[2]), title=title, text=text, kind=kind
        )

    async def call(
        self, service: str, client: str, operation: str, request: Mapping[str, Any], *, region: str, endpoint: str
    ) -> Mapping[str, Any]:
        """The port `AwsCalls`: so do the requests of AWS' own client."""
        aws = AwsClients(make=_hurried_client)
        where = endpoint.replace(self.at.url, self.detour.get(service, self.at.url))
        return await aws.call(service, client, operation, request, region=region, endpoint=where)


def _hurried_client(name: str, *, region: str | None, endpoint: str | None) -> Any:
    """A boto3 client with made-up credentials and short time-outs."""
    import boto3
    from botocore.config import Config

    short = TIMEOUT_MS / 1_000
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=short, read_timeout=short)
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": CANARY}
    return boto3.client(name, region_name=region, endpoint_url=endpoint, config=config, **keys)


@dataclass
class Elsewhere:
    """A server that sends everybody somewhere else, and counts who followed."""

    url: str = ""
    followed: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # a mail client says nothing before it is greeted
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/followed" in head.partition(b"\r\n")[0]:
                self.followed += 1
            if length := re.search(rb"(?i)content-length: (\d+)", head):
                await reader.readexactly(int(length[1]))  # closing on what is unread would cut the answer off
            answer = (
                f"HTTP/1.1 302 Found\r\nLocation: {self.url}/followed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            writer.write(answer.encode())
        writer.close()


@dataclass
class Place:
    """A sandbox, a way to it, lanes for every notifier, and what they said about it."""

    world: World
    road: Road
    clock: Hurried
    outbox: MemoryOutbox
    lanes: Lanes
    elsewhere: Elsewhere
    happened: list[Happened]

    async def told(self, version: int = 1) -> list[Delivery]:
        """The same incidents for every service."""
        now = self.clock.now()
        made = [
            Delivery(
                id=f"inc_{number}:{service}:{version}",
                incident_id=f"inc_{number}",
                service=service,
                notification=replace(
                    notification(Severity.CRITICAL),
                    incident_id=f"inc_{number}",
                    dedup_key=f"inc_{number}",
                    recipient="sms:anna" if service == "sms" else "",
                ),
                priority=Severity.CRITICAL,
                due_at=now,
                created_at=now,
            )
            for service in LANES
            for number in range(INCIDENTS)
        ]
        await self.outbox.place(made)
        self.lanes.wake()
        return made

    def states(self, *, of: Callable[[str], bool]) -> list[DeliveryState]:
        return [one.state for one in self.outbox.known.values() if of(one.service)]

    async def until(self, reached: Callable[[], bool]) -> None:
        with anyio.fail_after(BOUND_S):
            while not reached():
                await anyio.sleep(0.005)

    def received(self, name: str) -> int:
        """What a service has taken: Splunk gets many events with one request."""
        if name == "splunk":
            return int(self.world.documents(name, "count")[0]["events"])
        return self.world.received(SERVICE.get(name, name)).received

    def said(self) -> str:
        """Everything that a person or a log might be shown."""
        errors = [one.last_error for one in self.outbox.known.values()]
        return f"{self.happened!r} {errors!r} {self.lanes.states()!r}"


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    happened: list[Happened] = []
    clock, world, outbox, elsewhere = Hurried(), World(clock=Hurried()), MemoryOutbox(), Elsewhere()
    outbound = OutboundHttp(clock=clock, observer=happened.append)
    server = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    elsewhere.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with serve(world) as at, anyio.create_task_group() as group:
        road = Road(outbound, at, SmtpMail(clock=clock, observer=happened.append))
        notifiers: list[Notifier] = [made(name, road, clock) for name in (*NOTIFIERS, "webhook", "email", "apprise")]
        notifiers.append(ToPeople(made("twilio", road, clock).sms, {"anna": ANNA}))
        pick = random.Random(1).randint
        lanes = Lanes(outbox=outbox, notifiers=notifiers, clock=clock, pick=pick, observe=happened.append)
        group.start_soon(lanes.run)
        try:
            yield Place(world, road, clock, outbox, lanes, elsewhere, happened)
        finally:
            server.close()
            await outbound.close()
            group.cancel_scope.cancel()  # last: what is awaited in a cancelled scope would swallow what a test complains of


def made(name: str, road: Road, clock: Hurried) -> Any:
    """A connector that leads to the sandbox."""
    at = f"{road.at.url}/apprise/notify/{CANARY}?cto={LIBRARY_S}&rto={LIBRARY_S}".replace("http://", "json://", 1)
    values = {
        **people_settings(road.at),
        **{known: values() for known, values in settings(road.at).items()},
        "apprise": {"urls": Secret(at)},
    }[name]
    return build(
        name, values, road, clock=clock, new_id=new_id, outlets=dict.fromkeys(("mail", "aws", "apprise"), road)
    )


def _mode(mode: Mode, **details: int) -> Callable[[Place, str], None]:
    return lambda here, name: here.world.put_fault(SERVICE.get(name, name), Fault(mode=mode, **details))


def _way(url: Callable[[Place], str]) -> Callable[[Place, str], None]:
    def lead(here: Place, name: str) -> None:
        here.road.detour[SERVICE.get(name, name)] = url(here)

    return lead


FAULTS: dict[str, Callable[[Place, str], None]] = {
    "refused": _way(lambda _: "http://127.0.0.1:9"),  # the discard port, where nothing listens
    "no such name": _way(lambda _: "https://nowhere.invalid"),  # RFC 6761: never resolves
    "slow": _mode(Mode.SLOW, delay_ms=30_000),
    "no answer": _mode(Mode.HANG),
    "dripping": _mode(Mode.DRIP, delay_ms=5_000),
    "reset": _mode(Mode.RESET),
    "answer lost": _mode(Mode.LOST),
    "cut": _mode(Mode.CUT),
    "garbage": _mode(Mode.GARBAGE),
    "wrong JSON": _mode(Mode.WRONG_JSON),
    "huge": _mode(Mode.HUGE),
    "429": _mode(Mode.LIMITED),
    "429 with Retry-After": _mode(Mode.LIMITED, retry_after_s=7),
    "500": _mode(Mode.BROKEN),
    "503": _mode(Mode.AWAY),
    "no TLS there": _way(lambda here: here.road.at.url.replace("http://", "https://")),
    "redirect": _way(lambda here: here.elsewhere.url),
}
FOR_GOOD = frozenset({"redirect"})
"""What waiting does not heal: a dead letter, kept until a person sends it again."""
PAID = frozenset({("anthropic", "wrong JSON")})
"""Where the answer was given, and asking again would be paid twice."""
NOT_HTTP = frozenset({"email", "cloudwatch", "apprise"})
"""Where a redirect is no answer at all, or one that the vendor's client words as a failure of the moment."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", LANES)
async def test_a_service_that_fails_stops_no_other_and_loses_nothing(
    name: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for_good = fault in FOR_GOOD and name not in NOT_HTTP
    async with place() as here:
        FAULTS[fault](here, name)
        placed = await here.told()
        await here.until(lambda: set(here.states(of=lambda service: service != name)) == {DeliveryState.DONE})
        await here.until(lambda: any(isinstance(one, DeliveryEnded) and one.service == name for one in here.happened))
        allowed = {DeliveryState.READY, DeliveryState.LEASED, DeliveryState.DONE}
        assert set(here.states(of=lambda service: service == name)) <= allowed | (
            {DeliveryState.DEAD} if for_good else set()
        )

        here.world.put_fault(SERVICE.get(name, name), Fault(mode=Mode.OK))
        here.road.detour.clear()
        if for_good:
            await here.until(lambda: set(here.states(of=lambda service: service == name)) == {DeliveryState.DEAD})
            for one in await here.outbox.dead(99):
                assert await here.outbox.replay(one.id, now=here.clock.now())
        here.lanes.wake()
        await here.until(lambda: set(here.states(of=lambda _: True)) == {DeliveryState.DONE})

        assert len(here.outbox.known) == len(placed)
        assert here.received(name) >= INCIDENTS
        assert here.elsewhere.followed == 0
        assert CANARY not in here.said()
    assert CANARY not in caplog.text


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_source_or_a_sink_that_fails_answers_in_time_and_says_no_secret(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with place() as here:
        if for_good := fault in FOR_GOOD:  # which is answered: nothing but a busy machine can make it a time-out
            here.road.patience_ms = BOUND_S * 1_000
        for name, ask in ASKED.items():
            FAULTS[fault](here, name)
            connector = made(name, here.road, here.clock)
            with anyio.fail_after(BOUND_S):
                error = await ask(connector)
            assert error is None or CANARY not in f"{error!r} {error} {vars(error)}"
            if fault not in DONE_ANYHOW:
                assert error is not None, name
            assert error is None or name in NOT_HTTP or error.retryable is ((name, fault) not in PAID and not for_good)
        assert here.elsewhere.followed == 0
        assert CANARY not in here.said()
    assert CANARY not in caplog.text


DONE_ANYHOW = frozenset({"garbage", "wrong JSON", "dripping", "huge", "cut"})
"""Faults in which the service did what was asked, and a sink's status may say so before the answer breaks off."""


SHAPE = {
    "type": "object",
    "properties": {"says": {"type": "string"}},
    "required": ["says"],
    "additionalProperties": False,
}


async def _enrich(connector: object) -> ServiceError | None:
    return await _outcome(lambda: connector.enrich(Observable("ip", "8.8.8.8")))  # type: ignore[attr-defined]


async def _ask(connector: object) -> ServiceError | None:
    question = ModelRequest(model="claude-sonnet-5-5", system="x", user="x", schema=SHAPE, output_tokens_max=100)
    return await _outcome(lambda: connector.complete(question))  # type: ignore[attr-defined]


async def _push(connector: object) -> ServiceError | None:
    points = [MetricPoint(name="aegis.x_total", kind="count", value=1, at=NOW)]
    return await _outcome(lambda: connector.push(points))  # type: ignore[attr-defined]


async def _outcome(act: Callable[[], object]) -> ServiceError | None:
    try:
        await act()  # type: ignore[misc]
    except ServiceError as error:
        return error
    return None


ASKED = {"virustotal": _enrich, "anthropic": _ask, "datadog": _push, "cloudwatch": _push}
