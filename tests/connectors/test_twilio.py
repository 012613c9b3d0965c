"""Claims about Twilio: texts and calls as forms, their price, pace, doubles, and how an account is asked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.etree.ElementTree import fromstring

import pytest
from tests.connectors.contracts import Contract
from tests.connectors.hostile import texts, told
from tests.connectors.stories import CANARY, EVERY, HUGE, SECRET, ScriptedHttp, answer, notification, shown_secret

from aegis.connectors.twilio import TWIML_MAX, Config, Phone, Sms, Twilio, destination, message_text, spoken
from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Change
from aegis.core.ports import HttpAnswer, HttpRequest
from aegis.core.secret import Secret
from aegis.core.textmessages import segments
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio

ACCOUNT, NUMBER = "AC" + "0" * 32, "+14155550100"
SENT = answer(201, {"sid": "SM" + "a" * 32, "status": "queued", "price": None})
CALLED = answer(201, {"sid": "CA" + "a" * 32, "status": "queued"})


def config(**changes: object) -> Config:
    values: dict[str, object] = {"account": ACCOUNT, "token": SECRET, "sender": "+14155550199"}
    return Config(**{**values, "sms_to": (NUMBER,), "call_to": (NUMBER,), **changes})  # type: ignore[arg-type]


def form(request: HttpRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode(), strict_parsing=True).items()}


def as_contract(fields: Mapping[str, str]) -> dict[str, Any]:
    """A form's fields with the types that the contract names."""
    return {name: int(value) if name in ("Timeout", "TimeLimit") else value for name, value in fields.items()}


def sms(http: ScriptedHttp, clock: FakeClock | None = None, **changes: object) -> Sms:
    return Sms(config(**changes), http, clock=clock or FakeClock())


def phone(http: ScriptedHttp, clock: FakeClock | None = None, **changes: object) -> Phone:
    return Phone(config(**changes), http, clock=clock or FakeClock())


# --- messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "change"), EVERY)
async def test_every_message_keeps_the_contract_and_its_price(shared: Path, severity: Severity, change: Change) -> None:
    http, said = ScriptedHttp([SENT]), notification(severity, change)
    way = sms(http)
    receipt = await way.send(NUMBER, said)
    fields = form(http.sent[0])
    assert Contract.of(shared, "twilio", "message_create").breaches(as_contract(fields)) == []
    assert http.sent[0].url == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert segments(fields["Body"]) <= way.worst(said)["messages"] <= 3
    assert fields["Body"].endswith(said.link)
    assert receipt.remote_id.startswith("SM")


def test_what_happened_comes_first_then_what_to_do_then_the_link() -> None:
    first, second, third = message_text(notification(Severity.CRITICAL), most=3).splitlines()
    assert first == "CRITICAL: Brute force then valid login (user root)"
    assert second == "Now: Lock the account root."
    assert third == notification().link


def test_a_long_title_gives_way_to_the_link() -> None:
    text = message_text(notification(title="x" * 5_000), most=1)
    assert (segments(text), text.endswith("...\n" + notification().link)) == (1, True)


async def test_a_messaging_service_sends_under_its_own_field() -> None:
    http = ScriptedHttp([SENT])
    await sms(http, sender="MG" + "1" * 32, call_to=()).send(NUMBER, notification())
    assert form(http.sent[0])["MessagingServiceSid"] == "MG" + "1" * 32
    assert "From" not in form(http.sent[0])


@pytest.mark.parametrize("part", range(4))
async def test_no_hostile_text_becomes_a_link_or_another_field(shared: Path, part: int) -> None:
    contract = Contract.of(shared, "twilio", "message_create")
    for text in texts()[part::4]:
        http, said = ScriptedHttp([SENT]), told(text)
        way = sms(http)
        await way.send(NUMBER, said)
        fields = form(http.sent[0])
        assert set(fields) == {"To", "From", "Body"}
        assert contract.breaches(as_contract(fields)) == []
        assert segments(fields["Body"]) <= way.worst(said)["messages"]
        assert "://" not in fields["Body"]
        assert "evil.example" not in fields["Body"].lower()
        assert all(c == "\n" or c.isprintable() for c in fields["Body"])


# --- calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "change"), EVERY)
async def test_every_call_keeps_the_contract(shared: Path, severity: Severity, change: Change) -> None:
    http = ScriptedHttp([CALLED])
    way = phone(http)
    receipt = await way.send(NUMBER, notification(severity, change))
    fields = form(http.sent[0])
    assert Contract.of(shared, "twilio", "call_create").breaches(as_contract(fields)) == []
    assert (fields["TimeLimit"], way.worst(notification())) == ("120", {"minutes": 2})
    assert receipt.remote_id.startswith("CA")


@pytest.mark.parametrize("part", range(4))
def test_no_hostile_text_leaves_the_words_that_are_said(part: int) -> None:
    for text in texts()[part::4]:
        for bridge in ("", f"{text}!"):
            twiml = spoken(told(text), bridge=bridge)
            assert len(twiml) <= TWIML_MAX
            said = fromstring(twiml)
            assert [one.tag for one in said.iter()] == ["Response", "Pause", "Say", "Pause", "Say"]
            words = " ".join(said.itertext())
            assert not set(words) & set('<>&{}[]@#*|\\/"=\n\x00')


def test_a_call_joins_the_conference_that_is_named() -> None:
    room = fromstring(spoken(notification(), bridge="war-room", minutes=30))
    line = fromstring(spoken(notification(), bridge="+14155550123", minutes=30))
    assert room.findtext("Dial/Conference") == "war-room"
    assert line.findtext("Dial/Number") == "+14155550123"
    assert [one.find("Dial").get("timeLimit") for one in (room, line)] == ["1800", "1800"]  # type: ignore[union-attr]


def test_a_conference_is_booked_at_all_that_it_may_cost() -> None:
    way = phone(ScriptedHttp([]))
    assert way.worst(notification(), bridge="war-room") == {"minutes": 62}
    assert way.worst(notification(), bridge="+14155550123") == {"minutes": 124}


def test_what_is_said_is_short_and_said_twice() -> None:
    first, again = [one.text or "" for one in fromstring(spoken(notification(Severity.CRITICAL))).iter("Say")]
    assert first.startswith("This is Aegis with a critical incident. CRITICAL: Brute force then valid login")
    assert again == f"I repeat. {first}"
    assert len(spoken(notification(title=HUGE, actions=(HUGE,)))) < TWIML_MAX


# --- doubles, pace, failures -------------------------------------------------------------------------------------


async def test_the_same_version_is_sent_once() -> None:
    http = ScriptedHttp([SENT])
    way = sms(http)
    first = await way.send(NUMBER, notification())
    again = await way.send(NUMBER, notification())
    assert (again.remote_id, len(http.sent)) == (first.remote_id, 1)
    assert way.taken(NUMBER, notification())
    assert not way.taken("+14155550101", notification())


async def test_a_message_whose_answer_was_lost_says_that_it_is_sent_again() -> None:
    lost = ServiceError("twilio", "did not answer in time", retryable=True, billed=Billed.UNKNOWN)
    http = ScriptedHttp([lost, SENT])
    way = sms(http)
    with pytest.raises(ServiceError):
        await way.send(NUMBER, notification())
    receipt = await way.send(NUMBER, notification())
    assert [form(one)["Body"].startswith("Sent again: ") for one in http.sent] == [False, True]
    assert receipt.note == "sent again: the first answer was lost"


async def test_a_message_that_certainly_did_not_leave_is_not_called_a_second_one() -> None:
    http = ScriptedHttp([answer(429, {"code": 20429}), SENT])
    way = sms(http)
    with pytest.raises(ServiceError):
        await way.send(NUMBER, notification())
    await way.send(NUMBER, notification())
    assert not form(http.sent[1])["Body"].startswith("Sent again")


async def test_a_person_is_told_at_a_pace_and_the_others_meanwhile() -> None:
    clock, http = FakeClock(), ScriptedHttp([SENT] * 20)
    way = sms(http, clock)
    for version in range(5):
        await way.send(NUMBER, notification(version=version))
    with pytest.raises(ServiceError) as caught:
        await way.send(NUMBER, notification(version=9))
    assert (caught.value.retryable, caught.value.billed, caught.value.retry_after_ms) == (True, Billed.NO, 30_000)
    await way.send("+14155550101", notification())
    clock.pass_ms(30_000)
    await way.send(NUMBER, notification(version=9))
    assert len(http.sent) == 7


@pytest.mark.parametrize(
    ("reply", "retryable", "billed"),
    [
        (answer(400, {"code": 21211, "message": CANARY}), False, Billed.NO),
        (answer(400, {"code": 21610}), False, Billed.NO),
        (answer(401, {"code": 20003}), False, Billed.NO),
        (answer(403), False, Billed.NO),
        (answer(404), False, Billed.NO),
        (answer(400, {"code": 20429}), True, Billed.NO),
        (answer(429, {"code": 20429}), True, Billed.NO),
        (answer(500), True, Billed.UNKNOWN),
        (answer(503, b"<html>"), True, Billed.UNKNOWN),
        (answer(302, b"", {"location": "https://elsewhere.example"}), False, Billed.NO),
    ],
)
async def test_what_an_answer_means_for_a_retry(reply: HttpAnswer, retryable: bool, billed: Billed) -> None:
    for way in (sms(ScriptedHttp([reply])), phone(ScriptedHttp([reply]))):
        with pytest.raises(ServiceError) as caught:
            await way.send(NUMBER, notification())
        assert (caught.value.retryable, caught.value.billed) == (retryable, billed)
        assert not shown_secret(caught.value)


async def test_an_answer_without_a_handle_is_still_a_success() -> None:
    http = ScriptedHttp([answer(201, b"garbage")])
    assert (await sms(http).send(NUMBER, notification())).remote_id == ""


@pytest.mark.parametrize(
    "to",
    ["", "14155550100", "+1 415 555 0100", "+1415555010O", "+14155550100\r\nX: y", "a@example.com", "+" + "1" * 16],
)
async def test_what_is_no_number_is_not_told(to: str) -> None:
    http = ScriptedHttp([])
    for way in (sms(http), phone(http)):
        assert not way.accepts(to)
        with pytest.raises(ServiceError) as caught:
            await way.send(to, notification())
        assert not caught.value.retryable


async def test_the_key_goes_into_one_header_only() -> None:
    http = ScriptedHttp([SENT])
    way = sms(http, api_key="SK" + "2" * 32)
    await way.send(NUMBER, notification())
    import base64

    credential = base64.b64decode(http.sent[0].headers["Authorization"].removeprefix("Basic ")).decode()
    assert credential == f"SK{'2' * 32}:{CANARY}"
    assert CANARY not in f"{http.sent!r} {vars(way)!r} {http.sent[0].url}"


# --- the account -------------------------------------------------------------------------------------------------


async def test_an_account_is_asked_whether_it_is_active() -> None:
    good = ScriptedHttp([answer(200, {"status": "active", "type": "Full"})])
    probed = await Twilio(config(), good, clock=FakeClock()).probe()
    assert (probed.asked, probed.text) == (True, "the account is active (Full)")
    with pytest.raises(ServiceError, match="suspended"):
        await Twilio(config(), ScriptedHttp([answer(200, {"status": "suspended"})]), clock=FakeClock()).probe()


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"status": "delivered", "error_code": None}, "delivered"),
        ({"status": "failed", "error_code": 30005}, "failed 30005"),
        ({"status": "no-answer"}, "no-answer"),
        ({"status": "<b>x</b>"}, "unknown"),
        ([], "unknown"),
    ],
)
async def test_how_a_message_stands_is_one_of_the_vendors_words(held: object, said: str) -> None:
    http = ScriptedHttp([answer(200, json.dumps(held).encode())])
    assert await Twilio(config(), http, clock=FakeClock()).status("SM" + "a" * 32) == said


async def test_only_a_handle_of_theirs_is_asked_about() -> None:
    with pytest.raises(ServiceError):
        await Twilio(config(), ScriptedHttp([]), clock=FakeClock()).status("../../Messages")


# --- configuration and price -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "where"),
    [
        ("+14155550100", "us"),
        ("+16135550100", "us"),
        ("+18765550100", "abroad"),
        ("+491701234567", "abroad"),
        ("+12425550100", "abroad"),
    ],
)
def test_a_price_goes_by_where_the_number_is(number: str, where: str) -> None:
    assert destination(number) == where


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "x"},
        {"api_key": "AC" + "0" * 32},
        {"sender": "+1 415"},
        {"sender": "123"},
        {"sms_to": ("0171 1234567",)},
        {"call_to": (NUMBER,), "sender": "Aegis"},
        {"caller": "Aegis"},
        {"segments_max": 0},
        {"call_minutes": 11},
        {"bridge_minutes": 0},
        {"token": Secret(CANARY), "account": CANARY},
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**changes)
    assert not shown_secret(caught.value)
