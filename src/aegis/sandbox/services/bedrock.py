"""Bedrock's Converse: checks the request, counts its tokens and answers in a few words (Bedrock Runtime API reference).

Prompts that repeat a cached part read it at the second time, as with the real one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import orjson

from aegis.core import eventstream
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service, find, route
from aegis.sandbox.tokens import MESSAGE_TOKENS, REQUEST_TOKENS, count, cut

OUTPUT_DEFAULT = 4_096
STREAM_TYPE = "application/vnd.amazon.eventstream"
DELTA = 24
"""Characters in a streamed piece."""
CACHED_MIN = 4_096
"""Tokens that a part needs to be cached at all (Bedrock user guide, prompt caching)."""
FINDINGS = (
    "One address tried many accounts and then came in: treat the account as lost, revoke its sessions and keys.",
    "Many failures, no success: block the address for a day and look at the account that it asked for most.",
    "Nothing here is out of the ordinary for this hour and these hosts.",
)


def answer(asked: Asked, room: Room) -> Reply:
    if not asked.header("authorization").startswith("AWS4-HMAC-SHA256 "):
        return _no(403, "UnrecognizedClientException", "the request is not signed")
    return find(ROUTES, asked, room) or _no(404, "UnknownOperationException", f"no such path for {asked.method}")


def _no(status: int, code: str, why: str) -> Reply:
    return reply_json(status, {"message": why}, headers={"x-amzn-errortype": code}, refused=f"{code}: {why}")


def _converse(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    try:
        body = asked.json()
    except Unreadable as error:
        return _no(400, "ValidationException", str(error))
    if not isinstance(body, dict) or not (texts := list(_texts(body.get("messages")))):
        return _no(400, "ValidationException", "messages: at least one with a text")
    shared = "".join(_texts([{"content": body.get("system")}]))
    cap = (body.get("inferenceConfig") or {}).get("maxTokens", OUTPUT_DEFAULT)
    if type(cap) is not int or cap < 1:
        return _no(400, "ValidationException", "inferenceConfig.maxTokens: a whole number from 1")
    prompt = "\n".join(texts)
    told = FINDINGS[hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[0] % len(FINDINGS)]
    text = cut(told, cap)
    usage = {"inputTokens": count(prompt) + REQUEST_TOKENS + MESSAGE_TOKENS * len(texts), "outputTokens": count(text)}
    for meter, tokens in _shared(room, shared, asked=any("cachePoint" in part for part in body.get("system") or ())):
        usage[meter] = usage.get(meter, 0) + tokens
    usage["totalTokens"] = sum(usage.values())
    reply: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn" if text == told else "max_tokens",
        "usage": usage,
        "metrics": {"latencyMs": 240},
    }
    meters = {"input_tokens": usage["inputTokens"], "output_tokens": usage["outputTokens"]}
    cost = room.terms.prices.bedrock.cost(**meters)
    meters |= {"requests": 1}
    if found["stream"]:
        line = f"{found['model']}: {clip(text, 80)}"
        chunks = tuple(_frames(reply, text))
        return Reply(status=200, chunks=chunks, content_type=STREAM_TYPE, line=line, billed=cost, usage=meters)
    return reply_json(200, reply, line=f"{found['model']}: {clip(text, 80)}", billed=cost, usage=meters)


def _frames(reply: dict[str, Any], text: str) -> Iterator[bytes]:
    """The answer as ConverseStream tells it."""

    def frame(kind: str, body: dict[str, Any]) -> bytes:
        head = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
        return eventstream.write(head, orjson.dumps(body))

    yield frame("messageStart", {"role": "assistant"})
    for at in range(0, len(text), DELTA):
        yield frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text[at : at + DELTA]}})
    yield frame("contentBlockStop", {"contentBlockIndex": 0})
    yield frame("messageStop", {"stopReason": reply["stopReason"]})
    yield frame("metadata", {"usage": reply["usage"], "metrics": reply["metrics"]})


def _shared(room: Room, text: str, *, asked: bool) -> Iterator[tuple[str, int]]:
    """How the part that prompts share counts: new, written to the cache, or read from it."""
    tokens = count(text)
    if not asked or tokens < CACHED_MIN:
        yield "inputTokens", tokens
        return
    key = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    known = room.get("cached", key) is not None
    room.put("cached", key, {"tokens": tokens})
    yield "cacheReadInputTokens" if known else "cacheWriteInputTokens", tokens


def _texts(messages: Any) -> list[str]:
    """Every text of a list of messages."""
    parts = [part for one in messages or () if isinstance(one, dict) for part in one.get("content") or ()]
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _failure(status: int, after: int | None) -> Reply:
    codes = {401: "UnrecognizedClientException", 429: "ThrottlingException", 503: "ServiceUnavailableException"}
    headers = {"retry-after": str(after)} if after is not None else {}
    code = codes.get(status, "InternalServerException")
    body = {"message": "the sandbox was told to fail"}
    return reply_json(403 if status == 401 else status, body, headers={"x-amzn-errortype": code, **headers})


ROUTES = (route("POST", r"/model/(?P<model>[^/]+)/converse(?P<stream>-stream)?", _converse),)
SERVICE = Service(name="bedrock", answer=answer, failure=_failure)
