"""What the sandbox keeps of each request, without any secret, and what it counts for each service.

Headers are shown by an allow-list; every secret of a request (credentials, webhook tokens, routing keys) is blotted out
wherever it stands in the path, query, body or sentence.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aegis.core.calls import Usage
from aegis.core.money import Nanos, format_usd, usd
from aegis.sandbox.checks import names
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip
from aegis.sandbox.faults import NOT_DONE, Mode

MASK = "***"
BODY_KEPT = 16_384
"""Characters of a body that are kept: the largest of Aegis' own (a Claude prompt) is about 20 KB."""

RECORDS_MAX = 200
"""Requests kept of each service."""

INFLATED_MAX = 1024 * 1024
"""Bytes of a compressed body that are unpacked to show its beginning."""

SECRET_LEAST = 6
"""Shorter strings are no secrets, and would blot out half of the text."""

SHOWN_HEADERS = names("""accept accept-encoding anthropic-beta anthropic-version content-encoding content-length content-type host
    idempotency-key user-agent x-aegis-attempt x-atlassian-token x-splunk-request-channel""")
_SECRET_NAME = re.compile(r"(?i)auth|key|token|secret|cookie|password|signature")
SECRET_QUERY = names("access_token api_key apikey key sentry_key sig signature token")


def secrets_of(asked: Asked, more: Iterable[str]) -> list[str]:
    """Everything in a request that is secret, longest first: credentials in headers and query, and `more`."""
    found = {secret for secret in more if secret}
    for name, value in asked.headers.items():
        if name not in SHOWN_HEADERS and _SECRET_NAME.search(name):
            words = value.replace(",", " ").split()
            found.update(words[1:] or words)  # the first of several words is a scheme
            found.update(word.partition("=")[2] for word in words)
    found.update(_basic(asked.header("authorization")))
    for name in SECRET_QUERY & asked.query.keys():
        found.update(asked.query[name])
    return sorted((secret for secret in found if len(secret) >= SECRET_LEAST), key=len, reverse=True)


def _basic(header: str) -> Iterable[str]:
    """The password of a basic credential."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ()
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ()
    return (password, f"{user}:{password}")


def blot(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _body_text(asked: Asked) -> str:
    """The beginning of the body as text, unpacked where it is packed."""
    try:
        plain = asked.decoded(INFLATED_MAX)
    except Unreadable:
        plain = asked.body
    return plain.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request as it is kept. `fault` names the failure that was asked for; `refused` says why it was wrong."""

    number: int
    at: str
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: str
    status: int
    line: str
    refused: str
    fault: str
    billed_usd: str

    @classmethod
    def of(cls, asked: Asked, reply: Reply, *, number: int, fault: str, secrets: list[str]) -> Record:
        query = {
            clip(name, 80): [MASK if name in SECRET_QUERY else clip(blot(value, secrets)) for value in values]
            for name, values in asked.query.items()
        }
        headers = {
            clip(name, 80): blot(clip(value), secrets) if name in SHOWN_HEADERS else MASK
            for name, value in asked.headers.items()
        }
        return cls(
            number=number,
            at=asked.at.isoformat().replace("+00:00", "Z"),
            method=asked.method,
            path=clip(blot(asked.path, secrets)),
            query=query,
            headers=headers,
            body=blot(_body_text(asked), secrets)[:BODY_KEPT],
            status=reply.status,
            line=blot(reply.line, secrets),
            refused=blot(reply.refused, secrets),
            fault=fault,
            billed_usd=format_usd(reply.billed),
        )


@dataclass(slots=True)
class Tally:
    """What one service counted: accepted, wrong and failed-on-demand requests, the first sentence, usage and bill."""

    received: int = 0
    rejected: int = 0
    faulted: int = 0
    first_line: str = ""
    last_line: str = ""
    billed: Nanos = 0
    usage: dict[str, int] = field(default_factory=dict)
    records: deque[Record] = field(default_factory=lambda: deque(maxlen=RECORDS_MAX))

    @property
    def number(self) -> int:
        """Requests so far."""
        return self.received + self.rejected + self.faulted

    def add(self, record: Record, usage: Usage) -> None:
        """Count one request."""
        self.records.append(record)
        not_done = bool(record.fault) and Mode(record.fault) in NOT_DONE
        self.faulted += not_done
        self.rejected += bool(record.refused)
        self.received += not (not_done or record.refused)
        self.billed += usd(record.billed_usd)
        for meter, units in usage.items():
            self.usage[meter] = self.usage.get(meter, 0) + units
        if record.line and not record.refused:
            self.first_line, self.last_line = self.first_line or record.line, record.line

    def add_noted(self, line: str) -> None:
        """Count something that came in another way."""
        self.received += 1
        self.first_line, self.last_line = self.first_line or line, line

    def to_json(self) -> dict[str, Any]:
        return {
            "received": self.received,
            "rejected": self.rejected,
            "faulted": self.faulted,
            "first_line": self.first_line,
            "last_line": self.last_line,
            "billed_usd": format_usd(self.billed),
            "usage": dict(self.usage),
        }
