"""Claims about whole exchanges of mail, messages, webhooks and metrics: real transports against their stand-ins, faults too."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest
from tests.connectors.hostile import texts, told
from tests.connectors.stories import CANARY, EVERY, HUGE, NOW, SECRET, hostile, new_id, notification, shown_secret

from aegis.connectors.registry import build
from aegis.core.contacts import Contact
from aegis.core.errors import Billed, ServiceError
from aegis.core.notifications import Delivery, MetricPoint, Notification
from aegis.core.outlets import Letter, MailServer, Posted
from aegis.core.ports import Http, HttpAnswer, HttpRequest
from aegis.core.secret import Secret
from aegis.incidents.people import with_people
from aegis.sandbox.faults import NOT_DONE, Fault, Mode
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.services.webhook import SECRET as SIGNING
from aegis.sandbox.world import World
from aegis.testing import FakeClock
from aegis.testing.stores import MemoryOutbox
from aegis.transport.aws import AwsClients
from aegis.transport.http import OutboundHttp
from aegis.transport.smtp import SmtpMail

pytestmark = pytest.mark.anyio

NUMBER = "+15005550001"
MEMBER = "U024BE7LH"
NAMES = ("email", "slack", "webhook", "sms", "phone")
SERVICE = {"sms": "twilio", "phone": "twilio"}
by_name = pytest.mark.parametrize("name", NAMES)


@dataclass
class Hasty:
    """Waits a fifth of a second for an answer instead of many seconds."""

    http: Http

    async def send(self, request: HttpRequest) -> HttpAnswer:
        return await self.http.send(replace(request, timeout_ms=200))


@dataclass
class HastyMail:
    """Gives a mail server a second instead of thirty."""

    mail: SmtpMail

    async def post(self, server: MailServer, letter: Letter) -> Posted:
        try:
            with anyio.fail_after(1):
                return await self.mail.post(server, letter)
        except TimeoutError:
            raise ServiceError("email", "did not answer in time", retryable=True) from None

    async def ask(self, server: MailServer, service: str) -> str:
        return await self.mail.ask(server, service)


def settings(at: Serving) -> dict[str, dict[str, Any]]:
    twilio = {"account": "AC" + "0" * 32, "token": SECRET, "sender": "+15005550006", "base_url": f"{at.url}/twilio"}
    mail = {"host": "127.0.0.1", "port": at.mail_port, "security": "none", "sender": "aegis@example.com"}
    return {
        "email": {**mail, "to": ("soc@example.com",), "user": "u", "password": SECRET},
        "slack": {"token": SECRET, "channel": "#x", "base_url": f"{at.url}/slack"},
        "webhook": {"webhook": Secret(f"{at.url}/webhook/hooks/{CANARY}"), "secret": Secret(SIGNING)},
        "twilio": {**twilio, "sms_to": (NUMBER,), "call_to": (NUMBER,)},
        "cloudwatch": {"region": "eu-central-1", "base_url": f"{at.url}/cloudwatch"},
    }


@dataclass
class Town:
    """The sandbox and ways to tell people that lead to it."""

    world: World
    at: Serving
    http: Http
    mail: Any
    clock: FakeClock

    def tell(self, name: str) -> Callable[[Notification], Any]:
        service = SERVICE.get(name, name)
        outlets = {"mail": self.mail, "aws": AwsClients(make=_client)}
        made = build(service, settings(self.at)[service], self.http, clock=self.clock, new_id=new_id, outlets=outlets)
        if service == "twilio":
            way = getattr(made, name)
            return lambda said: way.send(NUMBER, said)
        if name == "slack":
            return lambda said: made.send(MEMBER, said)
        return lambda said: made.notify(said, remote_id="")

    def tally(self, name: str) -> tuple[int, int]:
        counted = self.world.received(SERVICE.get(name, name))
        return counted.received, counted.rejected


def _client(name: str, *, region: str | None, endpoint: str | None) -> Any:
    """A boto3 client with made-up credentials, whatever this machine has."""
    import boto3
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": CANARY}
    return boto3.client(name, region_name=region, endpoint_url=endpoint, config=config, **keys)


@asynccontextmanager
async def town(*, hasty: bool = False) -> AsyncIterator[Town]:
    clock = FakeClock(NOW)
    world = World(clock=clock)
    http = OutboundHttp(clock=clock, observer=lambda _happened: None)
    mail = SmtpMail(clock=clock, observer=lambda _happened: None)
    async with serve(world) as at:
        try:
            yield Town(world, at, Hasty(http) if hasty else http, HastyMail(mail) if hasty else mail, clock)
        finally:
            await http.close()


@by_name
async def test_every_severity_and_change_is_accepted(name: str) -> None:
    async with town() as here:
        tell = here.tell(name)
        for number, (severity, change) in enumerate(EVERY):
            here.clock.pass_ms(60_000)
            await tell(notification(severity, change, version=number))
        assert here.tally(name) == (len(EVERY), 0)


@by_name
async def test_hostile_text_is_accepted_as_text(name: str) -> None:
    async with town() as here:
        tell = here.tell(name)
        corpus = [*(told(text) for text in texts()[::7]), hostile(HUGE)]
        for number, said in enumerate(corpus):
            here.clock.pass_ms(60_000)
            await tell(replace(said, version=number))
        assert here.tally(name) == (len(corpus), 0)


@by_name
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.OK])
async def test_what_a_service_did_not_do_is_never_taken_for_done(name: str, mode: Mode) -> None:
    async with town(hasty=True) as here:
        service = SERVICE.get(name, name)
        here.world.put_fault(service, Fault(mode=mode, retry_after_s=3, delay_ms=1))
        error = await outcome(here.tell(name))
    if error is None:
        assert mode not in NOT_DONE
        return
    assert not shown_secret(error)
    assert error.retryable is (mode is not Mode.UNAUTHORIZED)
    assert error.billed is Billed.NO or mode is not Mode.LIMITED


async def outcome(tell: Callable[[Notification], Any]) -> ServiceError | None:
    try:
        await tell(notification())
    except ServiceError as error:
        return error
    return None


async def test_a_mail_whose_answer_was_lost_is_the_same_mail_twice() -> None:
    async with town() as here:
        tell = here.tell("email")
        here.world.fault("email", "lost", count=1)
        with pytest.raises(ServiceError) as caught:
            await tell(notification())
        assert (caught.value.billed, caught.value.retryable) == (Billed.UNKNOWN, True)
        await tell(notification())
        [letter] = here.world.documents("email", "letter")
    assert letter["times"] == 2


async def test_a_webhook_whose_answer_was_lost_is_known_by_its_id() -> None:
    async with town() as here:
        tell = here.tell("webhook")
        here.world.fault("webhook", "lost", count=1)
        with pytest.raises(ServiceError):
            await tell(notification())
        await tell(notification())
        [message] = here.world.documents("webhook", "message")
    assert message["times"] == 2


async def test_a_signature_by_another_key_is_refused() -> None:
    async with town() as here:
        values = settings(here.at)["webhook"] | {"secret": Secret("whsec_" + "QUJD" * 10)}
        made = build("webhook", values, here.http, clock=here.clock, new_id=new_id)
        with pytest.raises(ServiceError) as caught:
            await made.notify(notification(), remote_id="")
    assert caught.value.status == 401


async def test_the_life_of_an_incident_is_one_thread_of_mails() -> None:
    async with town() as here:
        tell = here.tell("email")
        for version, change in enumerate(("opened", "analysed", "acknowledged", "resolved")):
            await tell(notification(change=change, version=version))  # type: ignore[arg-type]
        letters = here.world.documents("email", "letter")
    assert len(letters) == 4
    assert len({letter["thread"] for letter in letters}) == 1


async def test_metrics_arrive_by_the_vendors_own_client() -> None:
    points = [
        MetricPoint(
            name="aegis.calls_total", kind="count", value=3, at=NOW, tags={"service": "slack", "outcome": "done"}
        ),
        *(
            MetricPoint(name=f"aegis.x{n}", kind="gauge", value=n, at=NOW, tags={"service": "é" * 50})
            for n in range(90)
        ),
    ]
    async with town() as here:
        outlets = {"aws": AwsClients(make=_client)}
        values = settings(here.at)["cloudwatch"]
        sink = build("cloudwatch", values, here.http, clock=here.clock, new_id=new_id, outlets=outlets)
        await sink.push(points)
        probed = await sink.probe()
        metrics = {one["metric"]: one["value"] for one in here.world.documents("cloudwatch", "metric")}
        assert here.tally("cloudwatch") == (2, 0)
        here.world.fault("cloudwatch", "429", count=1)
        with pytest.raises(ServiceError) as caught:
            await sink.push(points)
    assert probed.asked
    assert metrics["Aegis|aegis.calls_total|service=slack,outcome=done"] == 3
    assert len(metrics) == 91
    assert (caught.value.retryable, caught.value.billed) == (True, Billed.NO)
    assert not shown_secret(caught.value)


async def test_a_direct_message_leaves_the_message_of_the_channel_alone() -> None:
    async with town() as here:
        values = settings(here.at)["slack"]
        slack = build("slack", values, here.http, clock=here.clock, new_id=new_id)
        anna = Contact(name="anna", addresses={"slack": MEMBER})
        (lane,) = with_people([slack], {"slack": slack}, {"anna": anna})
        outbox, first = MemoryOutbox(), notification(version=1)
        for said in (first, replace(first, recipient="slack:anna"), replace(first, version=2, change="raised")):
            now = here.clock.now()
            one = Delivery(
                id=f"{said.version}{said.recipient}",
                incident_id=said.incident_id,
                service="slack",
                notification=said,
                priority=said.severity,
                due_at=now,
                created_at=now,
            )
            await outbox.place([one])
            (claimed,) = await outbox.claim("slack", limit=9, now=now, lease_ms=1_000)
            receipt = await lane.notify(claimed.notification, remote_id=claimed.remote_id)
            await outbox.done(claimed, receipt, now=now)
        said_to = {
            one["channel"][0]: one["edits"] for one in here.world.documents("slack", "message") if not one["thread_ts"]
        }
    assert said_to == {"C": 1, "D": 0}
