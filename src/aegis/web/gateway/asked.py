"""A request as it came in: bounded, and read only as far as it has to be."""

from __future__ import annotations

from typing import Any, Final

import anyio
import orjson
from starlette.types import Receive, Scope

from aegis.web.gateway.refusals import Refusal

BODY_MAX: Final = 32 * 1024 * 1024
"""32 MB (platform.claude.com, errors: request_too_large); OpenAI's bound for these routes is no higher."""
BODIES_MAX: Final = 256 * 1024 * 1024
"""Bytes of all bodies that are held at one time."""
BODY_SECONDS: Final = 60
"""A body of the full size takes 5 s at 50 Mbit/s; slower than 4 Mbit/s is a slow client on purpose."""
HEADERS_MAX, HEADER_BYTES_MAX = 100, 32 * 1024
"""Vendors' clients send about twenty headers of one kilobyte."""
AWS_SCHEME: Final = b"aws4-hmac-sha256"


class Bodies:
    """Room for bodies in memory, over all requests; `seconds` is how long one may take to come."""

    def __init__(self, seconds: float = BODY_SECONDS) -> None:
        self.bytes, self.seconds = 0, seconds


class Asked:
    """One request's head. Header names are lower case; of a repeated one the first counts, but for credentials, which
    may stand only once.
    """

    __slots__ = ("client", "headers", "method", "path", "query")

    def __init__(self, scope: Scope) -> None:
        raw: list[tuple[bytes, bytes]] = scope["headers"]
        if len(raw) > HEADERS_MAX or sum(len(name) + len(value) for name, value in raw) > HEADER_BYTES_MAX:
            raise Refusal(431, "the headers are too many or too long", code="headers_too_large")
        self.headers = dict(reversed(raw))
        if b"content-length" in self.headers and b"transfer-encoding" in self.headers:
            raise Refusal(400, "the body has two lengths", code="two_lengths")
        if len(self.headers) != len(raw):
            names = [name for name, _ in raw]
            for name in (b"authorization", b"x-api-key", b"content-length", b"transfer-encoding", b"host"):
                if names.count(name) > 1:
                    raise Refusal(400, f"the header {name.decode()} stands more than once", code="repeated_header")
        self.method: str = scope["method"]
        self.path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        client = scope.get("client")
        self.client: str = client[0] if client else ""

    def attempt(self) -> int:
        """Which try of its work this is, as the vendors' own clients tell it: retries have a budget of their own."""
        told = self.headers.get(b"x-stainless-retry-count", b"")
        return 1 + (int(told) if told.isdigit() and len(told) < 3 else 0)

    def credential(self) -> bytes:
        """The presented key: `x-api-key`, a bearer, or the key id of a signature (which itself proves nothing here); empty where there is none. Two that differ are refused."""
        own = self.headers.get(b"x-api-key", b"")
        scheme, _, bearer = self.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == AWS_SCHEME:  # the key stands where AWS' clients put the name of theirs
            bearer = bearer.partition(b"Credential=")[2].partition(b"/")[0]
        elif scheme.lower() != b"bearer":
            bearer = b""
        bearer = bearer.strip()
        if own and bearer and own != bearer:
            raise Refusal(401, "two keys that differ: send one", code="invalid_api_key")
        return own or bearer


async def read_json(asked: Asked, receive: Receive, room: Bodies) -> dict[str, Any]:
    """The JSON object of a body. Raises `Refusal` for one that is too long, too slow, packed or none."""
    raw = await read_raw(asked, receive, room)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "the body is no JSON", code="not_json") from error
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be a JSON object", code="not_json")
    return body


async def read_raw(asked: Asked, receive: Receive, room: Bodies) -> bytes:
    """A body. Raises `Refusal` for one that is too long, too slow or packed."""
    if asked.headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise Refusal(415, "send the body as it is, not packed", code="packed_body")
    length = asked.headers.get(b"content-length", b"")
    if length and (not length.isdigit() or int(length) > BODY_MAX):
        raise Refusal(413, f"the body is longer than {BODY_MAX} bytes", code="too_large")
    try:
        with anyio.fail_after(room.seconds):
            message = await receive()
            raw: bytes = message.get("body", b"")
            if message.get("more_body"):
                return await _rest(raw, receive, room)
            if message["type"] != "http.request":
                raise Refusal(400, "the client left", code="left")
            return raw
    except TimeoutError:
        raise Refusal(408, "the body did not come in time", code="too_slow") from None


async def _rest(first: bytes, receive: Receive, room: Bodies) -> bytes:
    parts, size = [first], len(first)
    room.bytes += size
    try:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Refusal(400, "the client left", code="left")
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            room.bytes += len(part)
            if size > BODY_MAX:
                raise Refusal(413, f"the body is longer than {BODY_MAX} bytes", code="too_large")
            if room.bytes > BODIES_MAX:
                raise Refusal(503, "too many long requests at one time", code="busy", retry_after_ms=1_000)
            if not message.get("more_body"):
                return b"".join(parts)
    finally:
        room.bytes -= size
