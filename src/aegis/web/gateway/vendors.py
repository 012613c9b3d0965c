"""How the gateway itself asks an upstream about files and batches, and reads what it says within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import anyio
import orjson

from aegis.app.gateway import Upstream
from aegis.core.errors import BadInput, ServiceError
from aegis.core.metering.batches import OPENAI_ENDED, Result, anthropic_result, openai_result
from aegis.stores.batches import StoredBatch
from aegis.transport.relay import Answer
from aegis.web.gateway.headers import VERSION
from aegis.web.gateway.refusals import Head

ASK_SECONDS: Final = 30
"""For an answer about a batch; results may take longer, but not between two pieces."""
LINE_MAX: Final = 8 * 1024 * 1024
"""Of a result: the longest answer of a model is about half a megabyte."""
GONE: Final = frozenset({404, 410})
TOO_MANY: Final = 429
JSON: Final = (b"content-type", b"application/json")


class Gone(Exception):
    """The vendor does not know it any more."""


def head_of(upstream: Upstream) -> Head:
    """The headers of a request that no caller made."""
    head: Head = [(b"accept", b"application/json"), (b"accept-encoding", b"identity"), (b"user-agent", b"aegis")]
    if upstream.credential is not None:
        head.append(upstream.credential)
    if upstream.settings.kind == "anthropic":
        head.append((b"anthropic-version", VERSION))
    return head


async def ask(upstream: Upstream, method: bytes, path: bytes, head: Head, body: bytes = b"") -> tuple[Answer, bytes]:
    """One short answer, whole. Raises `ServiceError`."""
    try:
        with anyio.fail_after(ASK_SECONDS):
            answer = await upstream.relay.send(method, path, head, body)
            return answer, await answer.read()
    except TimeoutError:
        raise ServiceError(upstream.service, "did not answer in time", retryable=True) from None


def batch_path(upstream: Upstream, batch_id: str) -> bytes:
    start = b"/v1/messages/batches/" if upstream.settings.kind == "anthropic" else b"/v1/batches/"
    return start + batch_id.encode("ascii")


def has_ended(document: Any) -> bool:
    """Whether the vendor is done with a batch."""
    status = document.get("processing_status", document.get("status"))
    return status == "ended" or status in OPENAI_ENDED


async def results(upstream: Upstream, batch: StoredBatch, document: Any) -> AsyncIterator[Result]:
    """What became of every request of a batch that has ended. Raises `ServiceError`, and `Gone` where the vendor has
    deleted it.
    """
    if upstream.settings.kind == "anthropic":
        path, read = batch_path(upstream, batch.id) + b"/results", anthropic_result
    else:
        file_id = document.get("output_file_id")
        if not isinstance(file_id, str) or not file_id.isascii():
            return  # nothing was answered
        path, read = b"/v1/files/%b/content" % file_id.encode(), openai_result
    async for result in _read(upstream, path, read):
        yield result


async def _read(upstream: Upstream, path: bytes, read: Callable[[bytes], Result]) -> AsyncIterator[Result]:
    answer = await upstream.relay.send(b"GET", path, head_of(upstream))
    try:
        if answer.status in GONE:
            raise Gone
        if answer.status != 200:
            raise ServiceError(upstream.service, f"answered {answer.status} for the results", retryable=True)
        tail = b""
        while chunk := await answer.chunk():
            *lines, tail = (tail + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield _result(upstream, line, read)
            if len(tail) > LINE_MAX:
                raise ServiceError(upstream.service, "told a result beyond the bound", retryable=False)
        if tail.strip():
            yield _result(upstream, tail, read)
    finally:
        answer.abort()


def _result(upstream: Upstream, line: bytes, read: Callable[[bytes], Result]) -> Result:
    try:
        return read(line)
    except BadInput:
        raise ServiceError(upstream.service, "told results that nobody can read", retryable=False) from None


def document_of(body: bytes) -> dict[str, Any] | None:
    """The JSON object of an answer that has an id."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) and isinstance(told.get("id"), str) and told["id"].isascii() else None
