"""The sandbox's mail server takes letters as a real one, refuses broken ones, and fails as it is told."""

import smtplib

import anyio.to_thread
import pytest
from tests.sandbox.places import Client

pytestmark = pytest.mark.anyio

LETTER = (
    "From: Aegis <a@example.com>\r\nTo: b@example.com\r\nSubject: Data leaves\r\nMessage-ID: <i.1@example.com>\r\n"
    "Date: Tue, 03 Mar 2026 12:00:00 +0000\r\nReferences: <i@example.com>\r\n\r\n.hello\r\n"
)


async def hand_in(client: Client, text: str = LETTER, to: str = "b@example.com") -> object:
    """By Python's own client, in a thread; the error's code when it was refused."""

    def send() -> object:
        with smtplib.SMTP("127.0.0.1", client.serving.mail_port, timeout=60) as server:
            server.login("any", "canary-3f2e1d0c9b8a7f6e5d4c3b2a10")
            return server.sendmail("a@example.com", [to], text)

    try:
        return await anyio.to_thread.run_sync(send)
    except smtplib.SMTPResponseException as error:
        return error.smtp_code


async def test_a_letter_is_kept_by_its_message_id(client: Client) -> None:
    assert [await hand_in(client), await hand_in(client)] == [{}, {}]
    [letter] = client.world.documents("email", "letter")
    assert (letter["subject"], letter["to"], letter["times"]) == ("Data leaves", ["b@example.com"], 2)
    assert (letter["thread"], letter["text"]) == ("<i@example.com>", ".hello\r\n")
    assert client.world.received("email").first_line == "Data leaves"
    assert "canary" not in repr(client.world.received("email").records)


@pytest.mark.parametrize("missing", ["From", "Subject", "Date", "Message-ID"])
async def test_a_letter_without_what_every_mail_has_is_refused(client: Client, missing: str) -> None:
    text = "\r\n".join(line for line in LETTER.split("\r\n") if not line.startswith(f"{missing}:"))
    assert await hand_in(client, text) == 554
    assert client.world.received("email").rejected == 1


@pytest.mark.parametrize(("mode", "code"), [("429", 451), ("500", 451), ("503", 421), ("401", 535)])
async def test_a_failure_is_worded_as_a_mail_server_does(client: Client, mode: str, code: int) -> None:
    client.world.fault("email", mode, count=1)
    assert await hand_in(client) == code
    assert await hand_in(client) == {}
