"""Claims about the catch-all: what it says, that text stays text whatever the channel, and who is told again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.connectors.hostile import texts, told
from tests.connectors.readers import READERS
from tests.connectors.stories import CANARY, EVERY, HUGE, hostile, notification, shown_secret

from aegis.connectors.apprise import TEXT_MAX, TITLE_MAX, Apprise, Config, text_of, title_of
from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Change
from aegis.core.secret import Secret
from aegis.transport.apprise import AppriseLibrary

pytestmark = pytest.mark.anyio

URLS = f"ntfys://one-{CANARY} mmosts://host/two-{CANARY}"


class Library:
    """The port `CatchAll`: keeps what was told; `failing` parts of addresses do not take it."""

    def __init__(self, *failing: str, unknown: str = "no such part") -> None:
        self.failing, self.unknown = set(failing), unknown
        self.told: list[tuple[str, str, str, str]] = []

    def check(self, address: Secret) -> bool:
        return self.unknown not in address.reveal()

    async def tell(self, service: str, address: Secret, *, title: str, text: str, kind: str) -> None:
        if any(part in address.reveal() for part in self.failing):
            raise ServiceError(service, "an address did not take it", retryable=True, billed=Billed.UNKNOWN)
        self.told.append((address.reveal(), title, text, kind))


def made(library: Library) -> Apprise:
    return Apprise(Config(urls=Secret(URLS)), library)


@pytest.mark.parametrize(("severity", "change"), EVERY)
async def test_every_address_is_told_what_matters(severity: Severity, change: Change) -> None:
    library, said = Library(), notification(severity, change)
    await made(library).notify(said, remote_id="")
    assert [one[0].partition("-")[0] for one in library.told] == ["ntfys://one", "mmosts://host/two"]
    _, title, text, kind = library.told[0]
    assert "Brute force then valid login" in title
    assert text.endswith(said.link)
    assert "1. Lock the account root." in text
    assert kind in ("info", "success", "warning", "failure")


async def test_whoever_took_it_is_not_told_again() -> None:
    library = Library("two")
    apprise = made(library)
    with pytest.raises(ServiceError) as caught:
        await apprise.notify(notification(), remote_id="")
    assert (caught.value.retryable, str(caught.value)) == (True, "apprise: 1 of 2 addresses did not take it")
    assert not shown_secret(caught.value)
    library.failing.clear()
    await apprise.notify(notification(), remote_id="")
    assert [one[0].partition("-")[0] for one in library.told] == ["ntfys://one", "mmosts://host/two"]


@pytest.mark.parametrize("part", range(4))
def test_no_hostile_text_is_active_in_any_channel(part: int) -> None:
    for text in texts()[part::4]:
        for shown in (title_of(told(text)), text_of(told(text))):
            assert "://" not in shown
            assert "evil.example" not in shown.lower()
            assert not set(shown) & set("@<>`*~|\x00\x1b\u200b\u202e")
            assert "](" not in shown


PAGE = "https://aegis.company.test/incidents/inc_1"


@asynccontextmanager
async def channel() -> AsyncIterator[tuple[str, list[Any]]]:
    """A `json://` address of a real server, and what was sent there."""
    came: list[Any] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        came.append(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", came


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_what_the_real_library_hands_over_is_text_for_every_hostile_text() -> None:
    found: list[str] = []
    async with channel() as (address, came):
        real = Apprise(Config(urls=Secret(address)), AppriseLibrary())
        for number, text in enumerate(texts()):
            said = replace(hostile(text), link=PAGE, dedup_key=str(number))
            await real.notify(said, remote_id="")
            assert len(came) == number + 1
            found += [f"{text[:60]!r}: {what}" for what in READERS["apprise"](came[-1], {PAGE})]
            assert came[-1]["message"].endswith(PAGE)
            assert len(came[-1]["message"]) <= TEXT_MAX
    assert found == []


PLANTED = (
    "see https://evil.example/x",
    "# h",
    "x\n- y",
    "[x](y)",
    "**b**",
    "_b_",
    "<b>",
    "@all",
    "`c`",
    "10.0.0.1",
    "a\u202eb",
)


@pytest.mark.parametrize("planted", PLANTED)
def test_the_reader_sees_what_is_there(planted: str) -> None:
    message = {"title": "x", "message": f"svc_backup did it\n\n{PAGE}", "attachments": []}
    assert READERS["apprise"](message, {PAGE}) == []
    assert READERS["apprise"]({**message, "message": planted}, {PAGE})


def test_a_huge_notification_fits_and_keeps_its_link() -> None:
    said = notification(title=HUGE, summary=HUGE)
    assert len(title_of(said)) <= TITLE_MAX
    assert len(text_of(said)) <= TEXT_MAX
    assert text_of(said).endswith(said.link)
    assert len(text_of(hostile(HUGE))) <= TEXT_MAX


async def test_a_probe_only_looks_at_how_addresses_are_written() -> None:
    library = Library()
    assert not (await made(library).probe()).asked
    assert library.told == []
    with pytest.raises(ServiceError, match="1 of 2"):
        await made(Library(unknown="two")).probe()


@pytest.mark.parametrize("urls", ["", "   ", "no-address", " ".join(["json://x"] * 21)])
def test_a_configuration_that_cannot_work_is_refused(urls: str) -> None:
    with pytest.raises(ConfigError):
        Config(urls=Secret(urls))


def test_addresses_show_nowhere() -> None:
    apprise = made(Library())
    assert CANARY not in f"{apprise!r} {vars(apprise)!r}"
