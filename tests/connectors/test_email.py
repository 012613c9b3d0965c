"""Claims about e-mail: threads, parts, what stands in headers, and who is told again when a mail is tried again."""

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from tests.connectors.hostile import texts, told
from tests.connectors.stories import CANARY, EVERY, HUGE, FixedClock, hostile, notification, shown_secret
from tests.transport.postoffice import PostOffice, post_office

from aegis.connectors.email import SUBJECT_MAX, Config, Email, html_part, payload, text_part
from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Button, Change, Fact, Note
from aegis.core.outlets import Letter, MailServer, Posted
from aegis.core.secret import Secret
from aegis.testing import Recorder
from aegis.transport.smtp import SmtpMail

pytestmark = pytest.mark.anyio

TO = ("soc@example.com", "lead@example.com")


def config(**changes: object) -> Config:
    values: dict[str, object] = {"host": "127.0.0.1", "sender": "aegis@example.com", "to": TO, "security": "none"}
    return Config(**{**values, **changes})  # type: ignore[arg-type]


def read(message: EmailMessage) -> EmailMessage:
    """The mail as a mail program reads it back."""
    return message_from_bytes(message.as_bytes(), policy=policy.default)


def parts(message: EmailMessage) -> tuple[str, str]:
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


class ScriptedMail:
    """The port `Mail`: follows its script and keeps the letters."""

    def __init__(self, *script: Posted | ServiceError) -> None:
        self.script, self.letters = list(script), list[Letter]()

    async def post(self, server: MailServer, letter: Letter) -> Posted:
        self.letters.append(letter)
        one = self.script.pop(0) if self.script else Posted(taken=letter.to)
        if isinstance(one, ServiceError):
            raise one
        return one

    async def ask(self, server: MailServer, service: str) -> str:
        return f"asked {server.host} for {service}"


class Looked(HTMLParser):
    """What a mail program would do with the HTML: its tags, and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


OURS = {"html", "head", "meta", "body", "div", "h2", "p", "b", "ol", "li", "table", "tr", "td", "a", "br"}


# --- what is in a mail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "change"), EVERY)
def test_every_mail_can_be_read_back_and_says_what_matters(severity: Severity, change: Change) -> None:
    said = notification(severity, change)
    mail = read(payload(said, sender="aegis@example.com", to=TO))
    text, html = parts(mail)
    assert not mail.defects
    assert [str(mail[name]) for name in ("From", "To")] == ["Aegis <aegis@example.com>", ", ".join(TO)]
    assert mail["Auto-Submitted"] == "auto-generated"
    for shown in (text, html):
        assert "Lock the account root." in shown
        assert said.link in shown
        assert severity.name in shown
    assert ("Importance" in mail) is (severity >= Severity.HIGH and change not in ("resolved", "digest"))


def test_all_mails_of_an_incident_are_one_thread() -> None:
    changes: tuple[Change, ...] = ("opened", "analysed", "acknowledged", "resolved")
    mails = [payload(notification(change=c, version=n), sender="a@example.com", to=TO) for n, c in enumerate(changes)]
    assert len({str(mail["References"]).split()[0] for mail in mails}) == 1
    assert len({str(mail["In-Reply-To"]) for mail in mails}) == 1
    assert len({str(mail["Message-ID"]) for mail in mails}) == 4
    assert len({str(mail["Subject"]).removeprefix("Re: ") for mail in mails}) == 1


def test_the_mail_before_stands_in_the_references_only_when_it_is_one() -> None:
    known = payload(notification(), sender="a@example.com", to=TO, after="<x.1.y@example.com>")
    forged = payload(notification(), sender="a@example.com", to=TO, after="<x>\r\nBcc: b@example.com")
    assert str(known["References"]).split()[-1] == "<x.1.y@example.com>"
    assert "Bcc" not in str(forged)


def test_the_same_version_handed_in_twice_is_the_same_mail() -> None:
    first, second = (payload(notification(), sender="a@example.com", to=TO) for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"]


def test_signed_links_stand_beside_the_page_in_both_parts() -> None:
    links = (
        Button(label="Acknowledge", verb="acknowledge", url="https://aegis.example.com/act/abc"),
        Button(label="Resolve", verb="resolve", url="javascript:alert(1)"),
    )
    text, html = parts(read(payload(notification(buttons=links), sender="a@example.com", to=TO)))
    assert "Acknowledge: https://aegis.example.com/act/abc" in text
    assert [value for name, value in Looked(html).attributes if name == "href"] == [links[0].url, notification().link]


def test_a_note_is_said_before_everything_else() -> None:
    noted = notification(change="noted", note=Note(by="ada", via="pagerduty", text="<b>on it</b>"))
    text, html = parts(read(payload(noted, sender="a@example.com", to=TO)))
    assert "Note by ada in pagerduty: <b>on it</b>" in text
    assert "&lt;b&gt;on it" in html


def test_a_conference_is_shown_first() -> None:
    text, html = parts(read(payload(notification(), sender="a@example.com", to=TO, bridge="+14155550100")))
    assert "Conference: +14155550100" in text
    assert "+14155550100" in html


def test_the_html_loads_nothing_and_links_only_home() -> None:
    _text, html = parts(read(payload(notification(), sender="a@example.com", to=TO)))
    looked = Looked(html)
    assert set(looked.tags) <= OURS
    assert [value for name, value in looked.attributes if name in ("href", "src")] == [notification().link]


# --- hostile text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(8))
def test_no_hostile_text_becomes_a_header_markup_or_a_link(part: int) -> None:
    corpus = texts()
    assert len(corpus) >= 500
    for text in corpus[part::8]:
        raw = payload(told(text), sender="aegis@example.com", to=TO).as_bytes()
        mail = message_from_bytes(raw, policy=policy.default)
        assert set(mail.keys()) == {
            *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted"),
            *("X-Auto-Response-Suppress", "Importance", "X-Priority", "MIME-Version", "Content-Type"),
        }
        assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
        assert b"\n" not in raw.replace(b"\r\n", b"")
        plain, html = parts(mail)
        looked = Looked(html)
        assert set(looked.tags) <= OURS
        assert not [name for name, _ in looked.attributes if name.startswith("on") or name in ("href", "src")]
        for shown in (str(mail["Subject"]), plain, html):
            assert "://" not in shown
            assert "evil.example" not in shown.lower()
            assert not re.search(r"(?i)\b(javascript|mailto|vbscript|data|tel|file):\S", shown.replace("[:]", ""))


def test_a_hostile_label_stays_the_words_of_our_link() -> None:
    ours = "https://aegis.example.com/act/abc"
    for text in texts()[::5]:
        said = notification(buttons=(Button(label=text, verb="resolve", url=ours),), link="")
        looked = Looked(parts(read(payload(said, sender="a@example.com", to=TO)))[1])
        assert set(looked.tags) <= OURS
        assert [value for name, value in looked.attributes if name == "href"] == [ours]


def test_a_huge_notification_stays_a_mail() -> None:
    mail = payload(hostile(HUGE), sender="aegis@example.com", to=TO)
    assert len(str(read(mail)["Subject"])) <= SUBJECT_MAX
    assert len(mail.as_bytes()) < 400_000  # most of it emoji, each twelve bytes in quoted-printable
    assert len(parts(read(payload(hostile("A" * 70_000), sender="a@example.com", to=TO)))[1]) < 102_000


# --- sending -----------------------------------------------------------------------------------------------------


async def test_a_real_server_gets_the_mail_and_updates_land_in_its_thread() -> None:
    async with post_office() as office:
        email = Email(config(port=office.port), SmtpMail(clock=FixedClock(), observer=Recorder()), clock=FixedClock())
        first = await email.notify(notification(), remote_id="")
        await email.notify(notification(change="resolved", version=2), remote_id=first.remote_id)
    opened, resolved = office.mails()
    assert opened["Message-ID"] == first.remote_id
    assert resolved["In-Reply-To"] == opened["In-Reply-To"]
    assert first.remote_id in str(resolved["References"])
    assert [one.rcpt_tos for one in office.letters] == [list(TO), list(TO)]


async def test_one_person_is_told_at_their_own_address() -> None:
    mail = ScriptedMail()
    email = Email(config(), mail, clock=FixedClock())
    await email.send("oncall@example.com", notification(), bridge="war-room")
    assert mail.letters[0].to == ("oncall@example.com",)


@pytest.mark.parametrize(
    "to", ["", "x", "a@b\r\nc", "a b@example.com", "<a@example.com>", "a@example.com, b@example.com", "+14155550100"]
)
async def test_what_is_no_address_is_not_told(to: str) -> None:
    mail = ScriptedMail()
    email = Email(config(), mail, clock=FixedClock())
    assert not email.accepts(to)
    with pytest.raises(ServiceError) as caught:
        await email.send(to, notification())
    assert (caught.value.retryable, mail.letters) == (False, [])


async def test_whoever_has_the_mail_does_not_get_it_again() -> None:
    mail = ScriptedMail(Posted(taken=TO[:1], deferred={TO[1]: 451}))
    email = Email(config(), mail, clock=FixedClock())
    with pytest.raises(ServiceError) as caught:
        await email.notify(notification(), remote_id="")
    assert (caught.value.retryable, caught.value.billed) == (True, Billed.NO)
    await email.notify(notification(), remote_id="")
    again = await email.notify(notification(), remote_id="")
    assert [letter.to for letter in mail.letters] == [TO, TO[1:]]
    assert again.note == "it was taken before"


async def test_a_refused_recipient_is_told_in_the_receipt() -> None:
    office = PostOffice(recipients={TO[1]: "550 no such user"})
    async with post_office(office):
        email = Email(config(port=office.port), SmtpMail(clock=FixedClock(), observer=Recorder()), clock=FixedClock())
        receipt = await email.notify(notification(), remote_id="")
    assert receipt.note == "1 of 2 recipients were refused (550)"


async def test_a_probe_signs_in_and_sends_nothing() -> None:
    mail = ScriptedMail()
    probed = await Email(config(), mail, clock=FixedClock()).probe()
    assert (probed.asked, mail.letters) == (True, [])


# --- configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "mail.example.com"},  # security none
        {"security": "ssl"},
        {"user": "x"},
        {"password": Secret(CANARY)},
        {"to": ()},
        {"to": ("x",)},
        {"to": ("a@example.com\r\nBcc: b@example.com",)},
        {"sender": "Aegis <a@example.com>"},
        {"port": 70_000},
        {"host": "mail example"},
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**changes)
    assert not shown_secret(caught.value)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465)])
def test_the_port_follows_the_security(security: str, port: int) -> None:
    server = config(host="mail.example.com", security=security, user="u", password=Secret(CANARY)).server
    assert (server.port, server.security) == (port, security)
    assert CANARY not in repr(server)


def test_the_conference_stands_in_a_mail_once() -> None:
    bridge = "+15550199"
    said = replace(notification(), facts=(*notification().facts, Fact("Conference", bridge)))
    assert text_part(said, bridge).count(bridge) == 1
    assert html_part(said, bridge).count(bridge) == 1
