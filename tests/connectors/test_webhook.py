"""Claims about webhooks out: the signature as the specification has it, the envelope, and what an answer means."""

import base64
import datetime as dt
import hashlib
import hmac
import json

import pytest
from tests.connectors.hostile import texts, told
from tests.connectors.stories import (
    CANARY,
    EVERY,
    HUGE,
    NOW,
    FixedClock,
    ScriptedHttp,
    answer,
    hostile,
    notification,
    shown_secret,
    strings_in,
)

from aegis.connectors.webhook import BODY_MAX, Config, Webhook, body_of, payload, sign
from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Change
from aegis.core.ports import HttpRequest
from aegis.core.secret import Secret
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio

KEY, OLD = b"k" * 32, b"o" * 24
ADDRESS = f"https://hooks.example.com/{CANARY}"


def secret(key: bytes) -> Secret:
    return Secret("whsec_" + base64.b64encode(key).decode())


def config(**changes: object) -> Config:
    return Config(**{"webhook": Secret(ADDRESS), "secret": secret(KEY), **changes})  # type: ignore[arg-type]


def webhook(http: ScriptedHttp, **changes: object) -> Webhook:
    return Webhook(config(**changes), http, clock=FixedClock())


def verified(request: HttpRequest, key: bytes) -> bool:
    """As a receiver does it: any of the signatures fits (standardwebhooks.com, verifying)."""
    sent = request.headers
    signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + request.body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(one == f"v1,{wanted}" for one in sent["webhook-signature"].split(" "))


def test_the_signature_is_the_one_of_the_specifications_example() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(("severity", "change"), EVERY)
async def test_every_message_is_signed_and_whole(severity: Severity, change: Change) -> None:
    http = ScriptedHttp([answer(204)])
    receipt = await webhook(http).notify(notification(severity, change), remote_id="")
    [request] = http.sent
    body = json.loads(request.body)
    assert verified(request, KEY)
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert receipt.remote_id == request.headers["webhook-id"] == body["id"]
    assert next(iter(body)) == "schema"
    assert (body["schema"], body["specversion"], body["type"]) == (
        "aegis.notification/1",
        "1.0",
        f"aegis.incident.{change}",
    )
    assert (body["data"]["severity"], body["data"]["link"]) == (severity.name, notification().link)


async def test_while_a_secret_changes_both_verify() -> None:
    http = ScriptedHttp([answer(200)])
    await webhook(http, old_secret=secret(OLD)).notify(notification(), remote_id="")
    assert verified(http.sent[0], KEY)
    assert verified(http.sent[0], OLD)
    assert not verified(http.sent[0], b"x" * 32)


async def test_a_retry_has_the_same_id_and_another_version_another() -> None:
    http = ScriptedHttp([answer(200)] * 3)
    for version in (1, 1, 2):
        await webhook(http).notify(notification(version=version), remote_id="")
    first, again, later = [request.headers["webhook-id"] for request in http.sent]
    assert first == again != later


@pytest.mark.parametrize("part", range(4))
def test_hostile_text_is_plain_in_what_people_read(part: int) -> None:
    for text in texts()[part::4]:
        body = json.loads(body_of(told(text)))
        body["data"].pop("record")  # for programs: the record as it is
        for shown in strings_in(body):
            assert "://" not in shown
            assert "evil.example" not in shown.lower()
            assert not set(shown) & set("\x00\x1b\u200b\u202e\ud800")


def test_a_huge_record_is_left_out_and_said_so() -> None:
    body = body_of(hostile(HUGE))
    assert len(body) <= BODY_MAX
    assert json.loads(body)["data"]["record"] == {"left_out": "too large"}
    assert json.loads(body_of(notification()))["data"]["record"] == dict(notification().document)


def test_the_record_is_as_it_was() -> None:
    assert payload(notification())["data"]["record"]["schema"] == "aegis.incident/1"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (410, False),
        (301, False),
        (408, True),
        (429, True),
        (500, True),
        (503, True),
    ],
)
async def test_what_an_answer_means_for_a_retry(status: int, retryable: bool) -> None:
    http = ScriptedHttp([answer(status, CANARY.encode(), {"retry-after": "7"})])
    with pytest.raises(ServiceError) as caught:
        await webhook(http).notify(notification(), remote_id="")
    assert (caught.value.retryable, caught.value.retry_after_ms) == (retryable, 7_000)
    assert caught.value.billed is (Billed.NO if status < 500 else Billed.UNKNOWN)
    assert not shown_secret(caught.value)


async def test_nothing_secret_shows() -> None:
    http = ScriptedHttp([answer(200)])
    made = webhook(http)
    await made.notify(notification(), remote_id="")
    shown = f"{made!r} {vars(made)!r} {http.sent!r}"
    assert CANARY not in shown
    assert base64.b64encode(KEY).decode() not in shown


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": Secret(base64.b64encode(KEY).decode())},
        {"secret": Secret("whsec_" + base64.b64encode(b"short").decode())},
        {"secret": Secret("whsec_not base64!")},
        {"old_secret": Secret("x")},
        {"webhook": Secret("http://hooks.example.com/x")},
        {"webhook": Secret("ftp://hooks.example.com/x")},
        {"webhook": Secret(CANARY)},
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**changes)
    assert not shown_secret(caught.value)


async def test_the_specifications_own_library_verifies_what_is_sent() -> None:
    from standardwebhooks.webhooks import Webhook as Receiver

    http = ScriptedHttp([answer(200)])
    now = FakeClock(dt.datetime.now(dt.UTC))  # the library looks at the clock itself
    await Webhook(config(old_secret=secret(OLD)), http, clock=now).notify(notification(), remote_id="")
    [request] = http.sent
    for key in (KEY, OLD):
        told = Receiver(base64.b64encode(key).decode()).verify(request.body, dict(request.headers))
        assert told["schema"] == "aegis.notification/1"
