"""Twilio in the sandbox sends each post once, counts segments and bills them."""

from urllib.parse import urlencode

import pytest
from tests.sandbox.places import Answer, Client, Contracts

from aegis.core.money import usd
from aegis.sandbox.services.twilio import segments

pytestmark = pytest.mark.anyio

ACCOUNT = f"/twilio/2010-04-01/Accounts/AC{'a' * 32}"
ENDS = {"To": "+15550001111", "From": "+15550002222"}


async def post(client: Client, what: str, authorization: str = "Basic YTpjYW5hcnk=", **form: str) -> Answer:
    kind = "application/x-www-form-urlencoded"
    data = urlencode(form).encode()
    return await client.ask("POST", f"{ACCOUNT}/{what}.json", data=data, content_type=kind, authorization=authorization)


async def test_a_repeated_message_is_sent_and_billed_twice(client: Client, contracts: Contracts) -> None:
    sent = [await post(client, "Messages", **ENDS, Body="CRITICAL: data leaves") for _ in range(2)]
    assert [one.status for one in sent] == [201, 201]
    assert sent[0].json["sid"] != sent[1].json["sid"]
    assert contracts.breaches("twilio", "message_create.201", sent[0].json) == []
    assert client.world.received("twilio").billed == 2 * usd("0.0083")
    assert len(client.world.documents("twilio", "message")) == 2


async def test_a_call_says_the_words_of_its_twiml(client: Client, contracts: Contracts) -> None:
    made = await post(client, "Calls", **ENDS, Twiml="<Response><Say>Data &amp; keys leave</Say></Response>")
    assert made.status == 201
    assert contracts.breaches("twilio", "call_create.201", made.json) == []
    assert client.world.documents("twilio", "call")[0]["spoken"] == "Data & keys leave"


@pytest.mark.parametrize(
    ("what", "form", "code"),
    [
        ("Messages", {"From": "+15550002222", "Body": "x"}, 21604),
        ("Messages", {**ENDS, "To": "call me", "Body": "x"}, 21211),
        ("Messages", {"To": "+15550001111", "Body": "x"}, 21603),
        ("Messages", ENDS, 21602),
        ("Messages", {**ENDS, "Body": "a" * 1601}, 21617),
        ("Messages", {**ENDS, "To": "+15005550004", "Body": "x"}, 21610),
        ("Calls", ENDS, 21205),
        ("Calls", {**ENDS, "Twiml": "<Response>"}, 21218),
        ("Calls", {**ENDS, "Twiml": '<!DOCTYPE a [<!ENTITY b "c">]><Response>&b;</Response>'}, 21218),
    ],
)
async def test_a_wrong_post_is_refused_with_its_code(
    client: Client, what: str, form: dict[str, str], code: int
) -> None:
    answer = await post(client, what, **form)
    assert (answer.status, answer.json["code"]) == (400, code)
    assert client.world.received("twilio").billed == 0


async def test_a_credential_is_wanted(client: Client) -> None:
    assert (await post(client, "Messages", authorization="", **ENDS, Body="x")).status == 401


@pytest.mark.parametrize(
    ("body", "parts"), [("a" * 160, 1), ("a" * 161, 2), ("€" * 81, 2), ("ж" * 70, 1), ("ж" * 71, 2), ("😀" * 36, 2)]
)
def test_segments_are_counted_by_alphabet(body: str, parts: int) -> None:
    assert segments(body) == parts
