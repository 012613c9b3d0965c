"""The ways out beside HTTP, as the few connectors ask for them whose service speaks something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from aegis.core.secret import Secret

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in. `starttls` and `tls` are both required once named: nothing goes on in the clear.
    `allow_private` lets it stand on a private address; `ca_file` holds the authorities that are trusted instead of the
    system's.
    """

    host: str
    port: int
    security: Security
    user: str = ""
    password: Secret | None = field(default=None, repr=False)
    allow_private: bool = False
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail as it is handed in: `sender` and `to` are the envelope (plain ASCII addresses), `message` the whole text
    with CRLF line ends (RFC 5322).
    """

    service: str
    sender: str
    to: tuple[str, ...]
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Who the server took the letter for. `refused` (for good) and `deferred` (perhaps later) hold the reply code."""

    taken: tuple[str, ...]
    refused: Mapping[str, int] = field(default_factory=dict)
    deferred: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report of ours on its way to a mailbox, as text and as HTML. Whatever came from outside is escaped in both. The
    same `key` is the same report: handed in twice it is one mail.
    """

    key: str
    title: str
    at: datetime
    text: str = field(repr=False)
    html: str = field(repr=False)


class Mail(Protocol):
    """Hands letters to a mail server, one attempt each. Raises `ServiceError` when it took the letter for nobody."""

    async def post(self, server: MailServer, letter: Letter) -> Posted: ...

    async def ask(self, server: MailServer, service: str) -> str:
        """Connect, secure, sign in and part again, without a letter; returns what was done in a few words."""


class AwsCalls(Protocol):
    """One operation of an AWS service, one attempt. `client` is the service's name for boto3; an empty `region` or
    `endpoint` is boto3's own. Raises `ServiceError`, and `ConfigError` when boto3 cannot be used.
    """

    async def call(
        self, service: str, client: str, operation: str, request: Mapping[str, Any], *, region: str, endpoint: str
    ) -> Mapping[str, Any]: ...


class CatchAll(Protocol):
    """The Apprise library: tells one of its addresses (a secret). Raises `ServiceError`."""

    def check(self, address: Secret) -> bool:
        """Whether the library knows this kind of address. Raises `ConfigError` when the library is missing."""

    async def tell(self, service: str, address: Secret, *, title: str, text: str, kind: str) -> None: ...


@runtime_checkable
class Mailbox(Protocol):
    """Takes reports by mail. Raises `ServiceError` while somebody has to wait; asking again with the same report is harmless."""

    async def deliver(self, report: Written, to: Sequence[str]) -> str:
        """Hand it in for these addresses (none: those that are told by default); returns what there is to note."""
