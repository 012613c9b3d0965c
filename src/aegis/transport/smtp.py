"""Hands mail to a server over SMTP (RFC 5321): the only code that opens such a connection. One letter, one connection.

Policy: one attempt, bounded as a whole in time and in what the server may say; TLS as configured or not at all, to
addresses that were checked; a server's words never reach an error or a log, only its reply codes.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NoReturn

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSStream

from aegis.core.addresses import is_loopback, is_public_address
from aegis.core.errors import Billed, ServiceError
from aegis.core.outlets import Letter, MailServer, Posted
from aegis.core.ports import Clock
from aegis.core.telemetry import Observer, ServiceAnswered

CONNECT_S: Final = 5
TOTAL_S: Final = 30
"""For a whole letter. RFC 5321 4.5.3.2 allows minutes per step; the outbox tries again sooner than that."""
PART_S: Final = 1
REPLY_LINE_MAX: Final = 512
"""RFC 5321 4.5.3.1.5."""
REPLY_LINES_MAX: Final = 64
"""Capabilities in one answer to EHLO: real servers name about fifteen."""
LETTER_BYTES_MAX: Final = 1024 * 1024
"""Below the 10 MB that the smallest servers take; ours are about 20 KB."""
RECIPIENTS_MAX: Final = 100
"""RFC 5321 4.5.3.1.8: what every server takes at once."""
_ADDRESS: Final = re.compile(r"[\x21-\x3b\x3d\x3f-\x7e]{1,254}")
"""Nothing in an envelope can end its angle brackets or its line."""


@dataclass(frozen=True, slots=True)
class _Reply:
    code: int
    lines: tuple[str, ...]

    def names(self, capability: str) -> str | None:
        """The words after a capability of the answer to EHLO; None when it is not offered."""
        for line in self.lines[1:]:
            name, _, rest = line.partition(" ")
            if name.upper() == capability:
                return rest.upper()
        return None


class SmtpMail:
    """The port `Mail`. `tls` replaces the system's trusted authorities."""

    def __init__(self, *, clock: Clock, observer: Observer, tls: ssl.SSLContext | None = None) -> None:
        self._clock, self._observer, self._tls = clock, observer, tls

    async def post(self, server: MailServer, letter: Letter) -> Posted:
        """Hand one letter in. Raises `ServiceError`; once the text was sent and no answer came nobody knows."""
        if not letter.to or len(letter.to) > RECIPIENTS_MAX or len(letter.message) > LETTER_BYTES_MAX:
            _refuse(
                letter.service, f"a letter has 1 to {RECIPIENTS_MAX} recipients and at most {LETTER_BYTES_MAX} bytes"
            )
        if not all(_ADDRESS.fullmatch(address) for address in (letter.sender, *letter.to)):
            _refuse(letter.service, "an address holds letters that no envelope may hold")
        async with self._talking(server, letter.service) as talk:
            return await talk.hand_in(letter)

    async def ask(self, server: MailServer, service: str) -> str:
        """Everything but a letter: connected, secured, signed in, one NOOP."""
        async with self._talking(server, service) as talk:
            await talk.command("NOOP", 250)
        signed = "signed in" if server.user else "without signing in"
        return f"NOOP taken ({'in the clear' if server.security == 'none' else 'TLS'}, {signed})"

    @asynccontextmanager
    async def _talking(self, server: MailServer, service: str) -> AsyncIterator[_Talk]:
        """A conversation that is open and signed in; whatever ends it is told in our own words."""
        began_ns, progress = self._clock.monotonic_ns(), _Progress()
        failed: ServiceError | None = None
        try:
            with anyio.fail_after(TOTAL_S):
                talk = _Talk(server, service, self._tls, progress)
                try:
                    await talk.open()
                    yield talk
                    await talk.part()
                finally:
                    await talk.close()
        except ServiceError as error:
            failed = error
        except (TimeoutError, OSError, EOFError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            failed = _cut(service, error, progress)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound, ssl.SSLError) as error:
            failed = _cut(service, error, progress)
        took_ms = (self._clock.monotonic_ns() - began_ns) // 1_000_000
        # The last reply code of the conversation stands for its outcome: 2xx went well, 4xx may pass, 5xx will not.
        self._observer(
            ServiceAnswered(at=self._clock.now(), service=service, status=_status(failed, progress), took_ms=took_ms)
        )
        if failed is not None:
            raise failed from None


@dataclass(slots=True)
class _Progress:
    """How far a conversation came: what an end without an answer means depends on it."""

    connected: bool = False
    text_sent: bool = False
    done: bool = False
    code: int = 0


@dataclass(slots=True)
class _Talk:
    """One conversation with a server. Every method raises `ServiceError` for an answer that is no success."""

    server: MailServer
    service: str
    tls: ssl.SSLContext | None
    progress: _Progress
    _stream: ByteStream = field(init=False)
    _input: BufferedByteReceiveStream = field(init=False)
    _offers: _Reply = field(init=False)

    async def open(self) -> None:
        """Connect, greet, secure and sign in."""
        self._use(await self._connect())
        self.progress.connected = True
        if self.server.security == "tls":
            await self._secure()
        await self._expect(220)
        self._offers = await self.command(f"EHLO {self._own_name()}", 250)
        if self.server.security == "starttls":
            if self._offers.names("STARTTLS") is None:
                _refuse(self.service, "the server offers no STARTTLS, and nothing is sent in the clear")
            await self.command("STARTTLS", 220)
            if self._input.buffer:  # words that came before the handshake are nobody's: RFC 3207 4.2, CVE-2011-0411
                _refuse(self.service, "the server spoke before the connection was secure")
            await self._secure()
            self._offers = await self.command(f"EHLO {self._own_name()}", 250)
        if self.server.user:
            await self._sign_in()

    async def hand_in(self, letter: Letter) -> Posted:
        """Envelope, then text. A recipient that is refused does not keep the letter from the others."""
        size = f" SIZE={len(letter.message)}" if self._offers.names("SIZE") is not None else ""
        await self.command(f"MAIL FROM:<{letter.sender}>{size}", 250)
        taken: list[str] = []
        refused: dict[str, int] = {}
        deferred: dict[str, int] = {}
        for address in letter.to:
            reply = await self._say(f"RCPT TO:<{address}>")
            if reply.code in (250, 251):
                taken.append(address)
            else:
                (deferred if 400 <= reply.code < 500 else refused)[address] = reply.code
        if not taken:
            codes = {*refused.values(), *deferred.values()}
            _answered(self.service, min(codes), "every recipient was refused")
        await self.command("DATA", 354)
        self.progress.text_sent = True
        await self._stream.send(_dotted(letter.message))
        await self._expect(250)
        self.progress.done = True
        return Posted(taken=tuple(taken), refused=refused, deferred=deferred)

    async def part(self) -> None:
        """Say goodbye; what becomes of it changes nothing any more."""
        with anyio.move_on_after(PART_S), suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._stream.send(b"QUIT\r\n")

    async def close(self) -> None:
        if hasattr(self, "_stream"):
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(self._stream)

    async def command(self, line: str, wanted: int) -> _Reply:
        """Say one line and expect one code."""
        await self._send(line)
        return await self._expect(wanted)

    async def _say(self, line: str) -> _Reply:
        await self._send(line)
        return await self._reply()

    async def _send(self, line: str) -> None:
        await self._stream.send(line.encode("ascii") + b"\r\n")

    async def _expect(self, wanted: int) -> _Reply:
        reply = await self._reply()
        if reply.code != wanted:
            _answered(self.service, reply.code, "")
        return reply

    async def _reply(self) -> _Reply:
        """One answer of one or more lines: `250-first`, `250 last`."""
        lines: list[str] = []
        while len(lines) < REPLY_LINES_MAX:
            raw = (await self._input.receive_until(b"\n", REPLY_LINE_MAX)).rstrip(b"\r").decode("ascii", "replace")
            if not re.fullmatch(r"[2-5][0-9]{2}([ -].*)?", raw, re.DOTALL):
                raise EOFError
            lines.append(raw[4:])
            if raw[3:4] != "-":
                self.progress.code = int(raw[:3])
                return _Reply(int(raw[:3]), tuple(lines))
        raise EOFError

    # --- connection ------------------------------------------------------------------------------------------

    async def _connect(self) -> ByteStream:
        """To the first address that answers; what is checked is what is connected to."""
        host, allowed = self.server.host, False
        with anyio.fail_after(CONNECT_S):
            found = await anyio.getaddrinfo(host, self.server.port, type=socket.SOCK_STREAM)
            for *_, address in found:
                if not self._may(str(address[0])):
                    continue
                allowed = True
                try:
                    return await anyio.connect_tcp(str(address[0]), self.server.port)
                except OSError:
                    continue
        if not allowed:
            _refuse(self.service, "its address is private; set allow_private for this connector if that is meant")
        raise ConnectionError

    def _may(self, address: str) -> bool:
        if is_loopback(self.server.host):
            return is_loopback(address)
        return self.server.allow_private or is_public_address(address)

    async def _secure(self) -> None:
        context = self.tls or ssl.create_default_context(cafile=self.server.ca_file or None)
        self._use(
            await TLSStream.wrap(
                self._stream, hostname=self.server.host, ssl_context=context, standard_compatible=False
            )
        )

    def _own_name(self) -> str:
        """What we greet with: our address as the server sees it, which needs no name of this machine (RFC 5321 4.1.3)."""
        address = str(self._stream.extra(SocketAttribute.local_address)[0])  # noqa: S610 - no Django here
        address = address.partition("%")[0]
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"

    def _use(self, stream: ByteStream) -> None:
        self._stream, self._input = stream, BufferedByteReceiveStream(stream)

    async def _sign_in(self) -> None:
        """AUTH PLAIN (RFC 4616), or LOGIN where a server knows only that."""
        user, secret = self.server.user, self.server.password.reveal() if self.server.password else ""
        ways = (self._offers.names("AUTH") or "").split()
        if "PLAIN" in ways:
            await self.command(f"AUTH PLAIN {_b64(f'{chr(0)}{user}{chr(0)}{secret}')}", 235)
        elif "LOGIN" in ways:
            await self.command("AUTH LOGIN", 334)
            await self.command(_b64(user), 334)
            await self.command(_b64(secret), 235)
        else:
            _refuse(self.service, "the server offers neither AUTH PLAIN nor AUTH LOGIN")


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _dotted(message: bytes) -> bytes:
    """The text as it is sent: CRLF line ends only, lines that begin with a dot get a second one (RFC 5321 4.5.2)."""
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    text = re.sub(rb"(?m)^\.", b"..", text)
    return text.removesuffix(b"\r\n") + b"\r\n.\r\n"


def _answered(service: str, code: int, why: str) -> NoReturn:
    """The error for a reply that is no success: 4xx may pass by waiting, 5xx does not (RFC 5321 4.2.1)."""
    words = {421: "closes the connection", 530: "wants us to sign in", 535: "does not know our user or password"}
    text = f"answered {code} {why or words.get(code, '')}".strip()
    raise ServiceError(service, text, retryable=code < 500, billed=Billed.NO, status=code)


def _refuse(service: str, reason: str) -> NoReturn:
    raise ServiceError(service, reason, retryable=False, billed=Billed.NO)


def _cut(service: str, error: Exception, progress: _Progress) -> ServiceError:
    """An end without an answer, by kinds only: the library's texts hold addresses."""
    match error:
        case ssl.SSLCertVerificationError():
            text = "its certificate is not trusted"
        case ssl.SSLError():
            text = "the secure connection failed"
        case socket.gaierror():
            text = "its name does not resolve"
        case TimeoutError():
            text = "did not answer in time" if progress.connected else "did not connect in time"
        case _:
            text = "the connection was cut or the answer is no SMTP" if progress.connected else "cannot be connected to"
    sent = progress.text_sent and not progress.done
    return ServiceError(service, text, retryable=True, billed=Billed.UNKNOWN if sent else Billed.NO)


def _status(failed: ServiceError | None, progress: _Progress) -> int:
    return 250 if failed is None else failed.status or 0 if progress.connected else 0
