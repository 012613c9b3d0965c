"""What passes between the sandbox and one of its services: a request as it came, and the reply.

Everything in a request is hostile: it is decoded within bounds, and read only through what checks it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import orjson

from aegis.core.calls import Usage
from aegis.core.money import Nanos

JSON_TYPE = "application/json"
FIELDS_MAX = 1_000
"""Names in one query or form; the longest real one (a Twilio call) has about 40."""


class Unreadable(ValueError):
    """A body that is not what its headers say; the message says why."""


class TooLarge(Unreadable):
    """A body that is larger than the service takes, also after decompression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request to a service. `path` is what stands below the service (`/api/chat.postMessage`), header names are
    lower case, `at` is the time of arrival (UTC).
    """

    method: str
    path: str
    at: datetime
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def param(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else default

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def json(self) -> Any:
        """The body as JSON. Raises `Unreadable`."""
        return read_json(self.body)

    def form(self) -> dict[str, str]:
        """The body as form fields, the last value of each. Raises `Unreadable`."""
        try:
            fields = parse_qs(self.body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError as error:
            raise Unreadable("the body is no form") from error
        return {name: values[-1] for name, values in fields.items()}

    def decoded(self, most: int) -> bytes:
        """The body without its `Content-Encoding`. Raises `TooLarge` above `most` bytes, else `Unreadable`."""
        return decompress(self.body, self.header("content-encoding"), most)


def read_json(text: bytes) -> Any:
    """JSON, or `Unreadable`. The parser refuses nesting that is deeper than 1024 levels."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"the body is no JSON: {error}") from error


def decompress(body: bytes, encoding: str, most: int) -> bytes:
    """`body` decoded by `gzip`, `deflate` or nothing (RFC 9110 8.4.1), never more than `most` bytes."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        plain = body
    elif encoding in ("gzip", "x-gzip", "deflate"):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16 if "gzip" in encoding else zlib.MAX_WBITS)
        try:
            plain = stream.decompress(body, most + 1)
        except zlib.error as error:
            raise Unreadable(f"the body is no {encoding} stream") from error
        if len(plain) <= most and not stream.eof:
            raise Unreadable(f"the {encoding} stream ends too early")
    else:
        raise Unreadable(f"the content encoding {encoding[:20]!r} is not known here")
    if len(plain) > most:
        raise TooLarge(f"the body is larger than {most} bytes")
    return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a service answers. `chunks` makes it a stream. `line` is one sentence: what a person would have seen.
    `refused` says why the request was wrong (empty: accepted); `billed` is what the vendor would charge for it.
    """

    status: int
    body: bytes = b""
    chunks: Sequence[bytes] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE
    line: str = ""
    refused: str = ""
    billed: Nanos = 0
    usage: Usage = field(default_factory=dict)


def reply_json(
    status: int,
    value: object,
    *,
    headers: Mapping[str, str] | None = None,
    line: str = "",
    refused: str = "",
    billed: Nanos = 0,
    usage: Usage | None = None,
) -> Reply:
    """A reply whose body is JSON."""
    return Reply(
        status=status,
        body=orjson.dumps(value),
        headers=headers or {},
        line=line,
        refused=refused,
        billed=billed,
        usage=usage or {},
    )


def reply_text(
    status: int, text: str, *, headers: Mapping[str, str] | None = None, line: str = "", refused: str = ""
) -> Reply:
    """A reply whose body is plain text."""
    return Reply(
        status=status,
        body=text.encode(),
        content_type="text/plain; charset=utf-8",
        headers=headers or {},
        line=line,
        refused=refused,
    )


Failure: TypeAlias = Callable[[int, int | None], Reply]
"""A service's own words for 401, 429, 500 and 503; the second is the number of seconds to wait, None: not said."""


def credential(asked: Asked, *schemes: str) -> str:
    """The credential of the `Authorization` header under one of `schemes` (`"bearer"`), or "" if there is none."""
    scheme, _, value = asked.header("authorization").partition(" ")
    return value.strip() if scheme.lower() in schemes else ""


def clip(text: str, most: int = 300) -> str:
    """The text on one line, at most `most` characters."""
    flat = " ".join(text[: most * 4].split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
