"""Mail servers for tests: a real one (aiosmtpd) in this event loop, and one that follows a script of lines."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import anyio
import anyio.abc
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from aegis.core.outlets import MailServer

USER, PASSWORD = "aegis", "canary5ecretcanary5ecret"


@dataclass
class PostOffice:
    """What came in, and what is answered: `recipients` by address, `end` to the text (empty: taken)."""

    port: int = 0
    letters: list[Envelope] = field(default_factory=list)
    recipients: Mapping[str, str] = field(default_factory=dict)
    end: str = ""
    said: list[str] = field(default_factory=list)

    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(one.content, policy=policy.default) for one in self.letters]  # type: ignore[arg-type]

    async def handle_EHLO(  # noqa: N802 - the server's own name
        self, _server: Any, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.said.append(f"EHLO {hostname} {'tls' if session.ssl else 'clear'}")
        return responses

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.recipients:
            return self.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.end:
            return self.end
        self.letters.append(envelope)
        return "250 taken"


def _signed_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=data == LoginPassword(USER.encode(), PASSWORD.encode()), handled=False)


@asynccontextmanager
async def post_office(
    office: PostOffice | None = None, *, tls: ssl.SSLContext | None = None, implicit: bool = False, auth: bool = False
) -> AsyncIterator[PostOffice]:
    """A real server on a free port. With `tls` it offers STARTTLS, or speaks it from the start (`implicit`)."""
    office = office or PostOffice()

    def make() -> SMTP:
        options: dict[str, Any] = {"authenticator": _signed_in, "auth_required": True} if auth else {}
        return SMTP(
            office, tls_context=None if implicit else tls, require_starttls=bool(tls) and not implicit, **options
        )

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=tls if implicit else None)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        server.close()


@asynccontextmanager
async def script(*answers: Sequence[bytes] | bytes | None) -> AsyncIterator[PostOffice]:
    """A server that says one answer first and one after every line it reads; None cuts the connection."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    office = PostOffice(port=listener.extra(anyio.abc.SocketAttribute.local_port))

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                for number, answer in enumerate(answers):
                    if number:
                        office.said.append((await stream.receive()).decode("ascii", "replace"))
                    if answer is None:
                        return
                    for part in [answer] if isinstance(answer, bytes) else answer:
                        await stream.send(part)
                while True:
                    office.said.append((await stream.receive()).decode("ascii", "replace"))
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        try:
            yield office
        finally:
            group.cancel_scope.cancel()


def at(port: int, **changes: Any) -> MailServer:
    """The server at a port of this machine, without TLS unless the test says otherwise."""
    return MailServer(**{"host": "127.0.0.1", "port": port, "security": "none", **changes})
