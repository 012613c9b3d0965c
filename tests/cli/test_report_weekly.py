"""Claims about `aegis report weekly`: shown, written, and handed to a real mail server."""

from asyncio.base_events import Server
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import anyio
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from tests.cli.running import Place, place
from tests.cli.spending import SETTINGS, spend

MAIL = """
connectors:
  email: {host: 127.0.0.1, port: %d, security: none, sender: aegis@example.com, to: [finance@example.com]}
"""


class Kept:
    """Takes every mail."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"


class AnyPort(Controller):
    """On a port that the system picks."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@pytest.fixture
def server() -> Iterator[tuple[int, Kept]]:
    kept = Kept()
    controller = AnyPort(kept, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield controller.port, kept
    finally:
        controller.stop()


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write(SETTINGS)
    anyio.run(spend, found, 2, 1)
    return found


def test_it_is_read_in_the_terminal(here: Place) -> None:
    said = here.run("report", "weekly").stdout

    assert "nothing was spent in the week before" in said
    assert "| everything, day | $0.0300 |" in said


def test_it_leaves_by_mail_as_text_and_as_a_page(here: Place, server: tuple[int, Kept]) -> None:
    port, kept = server
    here.write(SETTINGS + MAIL % port)

    result = here.run("report", "weekly", "--send")

    assert result.exit_code == 0, result.stderr
    [(to, raw)] = kept.mails
    mail = message_from_bytes(raw, policy=default)
    assert to == ["finance@example.com"]
    assert str(mail["Subject"]).startswith("Aegis, the week of ")
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_without_a_mail_server_it_says_what_to_add(here: Place) -> None:
    result = here.run("report", "weekly", "--send")

    assert result.exit_code != 0
    assert "add connectors.email" in result.stderr


def test_a_wrong_day_in_the_configuration_is_told_with_those_there_are(here: Place) -> None:
    here.write(SETTINGS + "reports: {weekly: {day: someday}}\n")

    result = here.run("report", "weekly")

    assert result.exit_code == 3
    assert "reports.weekly.day" in result.stderr
