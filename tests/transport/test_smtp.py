"""Claims about handing mail in, tried against a real mail server and against servers that misbehave."""

from dataclasses import replace

import pytest
from tests.connectors.stories import FixedClock
from tests.transport.postoffice import PASSWORD, USER, PostOffice, at, post_office, script
from tests.transport.test_http import certificate

from aegis.core.errors import Billed, ServiceError
from aegis.core.outlets import Letter, MailServer
from aegis.core.secret import Secret
from aegis.core.telemetry import Happened, ServiceAnswered
from aegis.testing import Recorder
from aegis.transport.smtp import LETTER_BYTES_MAX, SmtpMail

pytestmark = pytest.mark.anyio

LETTER = Letter(
    service="email",
    sender="aegis@example.com",
    to=("soc@example.com",),
    message=b"Subject: x\r\n\r\none\r\n.two\r\n..three",
)
GREETING, HELLO, OK, GO = b"220 mx\r\n", b"250-mx\r\n250 SIZE 1000000\r\n", b"250 OK\r\n", b"354 go\r\n"


def mail(tls: object = None, seen: Recorder | None = None) -> SmtpMail:
    return SmtpMail(clock=FixedClock(), observer=seen or Recorder(), tls=tls)  # type: ignore[arg-type]


async def failure(server: MailServer, letter: Letter = LETTER, tls: object = None) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await mail(tls).post(server, letter)
    assert PASSWORD not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    return caught.value


async def test_a_letter_arrives_as_it_was_handed_in() -> None:
    async with post_office() as office:
        posted = await mail().post(at(office.port), LETTER)
    assert posted.taken == LETTER.to
    [arrived] = office.letters
    assert (arrived.mail_from, arrived.rcpt_tos) == ("aegis@example.com", ["soc@example.com"])
    assert arrived.content == LETTER.message + b"\r\n"


async def test_starttls_comes_before_the_password_and_the_letter() -> None:
    context, authority = certificate("127.0.0.1")
    async with post_office(tls=context, auth=True) as office:
        server = at(office.port, security="starttls", user=USER, password=Secret(PASSWORD))
        await mail(authority).post(server, LETTER)
        asked = await mail(authority).ask(server, "email")
    assert [line.rpartition(" ")[2] for line in office.said] == ["clear", "tls", "clear", "tls"]
    assert len(office.letters) == 1
    assert asked == "NOOP taken (TLS, signed in)"


async def test_tls_from_the_start_works() -> None:
    context, authority = certificate("127.0.0.1")
    async with post_office(tls=context, implicit=True) as office:
        await mail(authority).post(at(office.port, security="tls"), LETTER)
    assert len(office.letters) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_is_not_trusted_is_an_error_before_anything_was_said(security: str) -> None:
    context, _authority = certificate("127.0.0.1")
    async with post_office(tls=context, implicit=security == "tls") as office:
        error = await failure(at(office.port, security=security, user=USER, password=Secret(PASSWORD)))
    assert str(error) == "email: its certificate is not trusted"
    assert (error.billed, office.letters) == (Billed.NO, [])


async def test_a_certificate_for_another_name_is_not_trusted() -> None:
    context, authority = certificate("elsewhere.example")
    async with post_office(tls=context) as office:
        error = await failure(at(office.port, security="starttls"), tls=authority)
    assert str(error) == "email: its certificate is not trusted"


async def test_a_server_without_starttls_gets_nothing_in_the_clear() -> None:
    async with post_office() as office:
        error = await failure(at(office.port, security="starttls", user=USER, password=Secret(PASSWORD)))
    assert (error.retryable, error.billed) == (False, Billed.NO)
    assert office.said == ["EHLO [127.0.0.1] clear"]


async def test_words_slipped_in_before_the_handshake_are_refused() -> None:
    async with script(GREETING, b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n250 OK injected\r\n") as office:
        error = await failure(at(office.port, security="starttls"))
    assert (str(error), error.retryable) == ("email: the server spoke before the connection was secure", False)


async def test_a_wrong_password_is_not_tried_again() -> None:
    context, authority = certificate("127.0.0.1")
    async with post_office(tls=context, auth=True) as office:
        server = at(office.port, security="starttls", user=USER, password=Secret(PASSWORD + "x"))
        error = await failure(server, tls=authority)
    assert (error.status, error.retryable) == (535, False)


async def test_sign_in_by_login_where_a_server_knows_only_that() -> None:
    ways = b"250-mx\r\n250 AUTH LOGIN\r\n"
    async with script(
        GREETING, ways, b"334 VXNlcg==\r\n", b"334 UGFzcw==\r\n", b"235 in\r\n", OK, OK, GO, OK
    ) as office:
        await mail().post(at(office.port, user=USER, password=Secret(PASSWORD)), LETTER)
    assert office.said[1] == "AUTH LOGIN\r\n"


@pytest.mark.parametrize(
    ("answer", "retryable"), [("451 later", True), ("452 full", True), ("550 no", False), ("552 too big", False)]
)
async def test_a_letter_that_is_refused_at_its_end_says_whether_to_try_again(answer: str, retryable: bool) -> None:
    async with post_office(PostOffice(end=answer)) as office:
        error = await failure(at(office.port))
    assert (error.status, error.retryable, error.billed) == (int(answer[:3]), retryable, Billed.NO)
    assert "later" not in str(error)


async def test_one_refused_recipient_keeps_the_letter_from_nobody_else() -> None:
    answers = {"gone@example.com": "550 no such user", "full@example.com": "452 full"}
    letter = replace(LETTER, to=("gone@example.com", "soc@example.com", "full@example.com"))
    async with post_office(PostOffice(recipients=answers)) as office:
        posted = await mail().post(at(office.port), letter)
    assert (posted.taken, posted.refused, posted.deferred) == (
        ("soc@example.com",),
        {"gone@example.com": 550},
        {"full@example.com": 452},
    )
    assert office.letters[0].rcpt_tos == ["soc@example.com"]


async def test_a_letter_that_nobody_may_get_is_an_error() -> None:
    async with post_office(PostOffice(recipients={"soc@example.com": "550 no"})) as office:
        error = await failure(at(office.port))
    assert (error.status, error.retryable) == (550, False)


async def test_nobody_knows_what_became_of_a_letter_whose_answer_was_cut_off() -> None:
    async with script(GREETING, HELLO, OK, OK, GO, None) as office:
        error = await failure(at(office.port))
    assert (error.retryable, error.billed) == (True, Billed.UNKNOWN)


@pytest.mark.parametrize("cut_at", range(5))
async def test_a_connection_that_is_cut_before_the_text_left_sent_nothing(cut_at: int) -> None:
    answers = [GREETING, HELLO, OK, OK, GO][:cut_at]
    async with script(*answers, None) as office:
        error = await failure(at(office.port))
    assert (error.retryable, error.billed) == (True, Billed.NO)


async def test_a_goodbye_that_is_cut_off_changes_nothing() -> None:
    async with script(GREETING, HELLO, OK, OK, GO, OK, None) as office:
        posted = await mail().post(at(office.port), LETTER)
    assert posted.taken == LETTER.to


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\n", b"\xff\xfe\x00\r\n", b"2200\r\n", b"250" + b"x" * 10_000, b"250-x\r\n" * 1_000, b"\r\n"],
)
async def test_an_answer_that_is_no_smtp_is_bounded_and_an_error(answer: bytes) -> None:
    async with script(GREETING, answer) as office:
        error = await failure(at(office.port))
    assert str(error) == "email: the connection was cut or the answer is no SMTP"
    assert (error.retryable, error.billed) == (True, Billed.NO)


async def test_a_server_that_closes_for_maintenance_is_tried_again() -> None:
    async with script(b"421 back soon\r\n") as office:
        error = await failure(at(office.port))
    assert (error.status, error.retryable) == (421, True)


async def test_a_port_where_nobody_listens_was_told_nothing() -> None:
    async with script(GREETING) as office:
        port = office.port
    error = await failure(at(port))
    assert (str(error), error.billed) == ("email: cannot be connected to", Billed.NO)


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "192.168.1.1"])
async def test_a_private_address_is_reached_only_when_the_configuration_says_so(host: str) -> None:
    error = await failure(MailServer(host=host, port=25, security="tls"))
    assert (error.retryable, "allow_private" in str(error)) == (False, True)


async def test_a_name_that_does_not_resolve_is_tried_again() -> None:
    error = await failure(MailServer(host="mail.invalid", port=25, security="tls"))
    assert error.retryable
    assert error.billed is Billed.NO


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ()},
        {"to": ("a@example.com>\r\nRCPT TO:<b@example.com",)},
        {"to": ("a b@example.com",)},
        {"sender": "x>\r\nDATA"},
        {"sender": "sömeone@example.com"},
        {"to": tuple(f"{n}@example.com" for n in range(101))},
        {"message": b"x" * (LETTER_BYTES_MAX + 1)},
    ],
)
async def test_an_envelope_that_would_say_something_else_is_not_sent(changes: dict[str, object]) -> None:
    async with post_office() as office:
        error = await failure(at(office.port), replace(LETTER, **changes))  # type: ignore[arg-type]
    assert (error.retryable, error.billed, office.said) == (False, Billed.NO, [])


async def test_a_text_cannot_end_itself_or_begin_a_command() -> None:
    letter = replace(LETTER, message=b"Subject: x\r\n\r\n.\r\nMAIL FROM:<evil@example.com>\n.\nQUIT\r.\rx")
    async with post_office() as office:
        await mail().post(at(office.port), letter)
    [arrived] = office.letters
    assert arrived.content == b"Subject: x\r\n\r\n.\r\nMAIL FROM:<evil@example.com>\r\n.\r\nQUIT\r\n.\r\nx\r\n"


async def test_every_conversation_is_measured() -> None:
    seen = Recorder()
    async with post_office() as office:
        await mail(seen=seen).post(at(office.port), LETTER)
        office.end = "451 later"
        with pytest.raises(ServiceError):
            await mail(seen=seen).post(at(office.port), LETTER)
    statuses = [one.status for one in _answers(seen.happened)]
    assert statuses == [250, 451]


def _answers(happened: list[Happened]) -> list[ServiceAnswered]:
    return [one for one in happened if isinstance(one, ServiceAnswered)]
