"""Claude's Messages API: checks the request as strictly as the real one, answers by rule, counts and bills.

Every request that is answered is billed, also a repeated one: there is no idempotency key. Streaming sends the usual
events from `message_start` to `message_stop` (platform.claude.com: messages, streaming, errors, rate limits).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from aegis.sandbox import tokens
from aegis.sandbox.analyst import fill, write_text
from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, credential, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route
from aegis.sandbox.services.admin import claude_key
from aegis.sandbox.services.anthropic_batches import batch_routes
from aegis.sandbox.services.anthropic_checks import VERSIONS, check_request, words
from aegis.sandbox.services.bills import billed_messages, claude_report

BODY_MAX = 32 * 1024 * 1024
"""32 MB (platform.claude.com, errors: request_too_large)."""

RELEASED = "2026-01-01T00:00:00Z"
"""What the sandbox says of every model's release."""

DELTA = 24
"""Characters in a streamed piece."""

REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE = 4_000, 2_000_000
"""What the rate limit headers say (usage tier 4); the sandbox enforces none unless it is told to fail."""

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def answer(asked: Asked, room: Room) -> Reply:
    if not (asked.header("x-api-key") or credential(asked, "bearer")):
        return _no(401, "neither x-api-key nor a bearer credential", room)
    return find(ROUTES, asked, room) or _no(404, f"no such path for {asked.method}", room)


def _no(status: int, why: str, room: Room) -> Reply:
    number = _id("req", room)
    return reply_json(status, _error(status, why, number), headers={"request-id": number}, refused=why)


def _error(status: int, message: str, number: str) -> Document:
    return {"type": "error", "error": {"type": ERRORS[status], "message": message}, "request_id": number}


def _id(prefix: str, room: Room) -> str:
    """An id that looks like the vendor's and is the same in every repetition."""
    digest = hashlib.sha256(f"{prefix}{room.next(prefix)}".encode()).hexdigest()
    return f"{prefix}_01{digest[:22]}"


def _checked(asked: Asked, room: Room, *, counting: bool) -> Mapping[str, Any] | Reply:
    """The request's body, or the refusal."""
    version = asked.header("anthropic-version")
    if version not in VERSIONS:
        why = f"anthropic-version: {clip(version, 40)!r} is not a valid version" if version else ""
        return _no(400, why or "anthropic-version: header is required", room)
    if len(asked.body) > BODY_MAX:
        return _no(413, "Request exceeds the maximum size", room)
    try:
        request = Inspector(asked.json())
    except Unreadable as error:
        return _no(400, str(error), room)
    check_request(request, version, counting=counting, betas=asked.header("anthropic-beta"))
    if request.problems:
        return _no(400, str(request.problems[0]), room)
    price = room.terms.prices.models.get(str(request.held["model"]))
    if price is None or price.service != "anthropic":
        return _no(404, f"model: {clip(str(request.held['model']), 80)}", room)
    return request.held


def _input_tokens(request: Mapping[str, Any]) -> int:
    every, _ = words(request)
    shape = (request.get("output_config") or {}).get("format")
    framing = tokens.REQUEST_TOKENS + tokens.MESSAGE_TOKENS * len(request["messages"])
    return framing + sum(map(tokens.count, every)) + tokens.count_json(request.get("tools")) + tokens.count_json(shape)


def _count(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    request = _checked(asked, room, counting=True)
    if isinstance(request, Reply):
        return request
    return reply_json(200, {"input_tokens": _input_tokens(request)}, headers={"request-id": _id("req", room)})


def _messages(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    request = _checked(asked, room, counting=False)
    if isinstance(request, Reply):
        return request
    block, reason, spent = _written(request, room)
    used = {"input_tokens": _input_tokens(request), "output_tokens": spent}
    message = {
        "id": _id("msg", room),
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [block],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": _usage(used["input_tokens"], used["output_tokens"]),
    }
    model = room.terms.prices.models[request["model"]]
    reply = Reply(
        status=200,
        body=b"" if request.get("stream") else orjson.dumps(message),
        chunks=tuple(_events(message)) if request.get("stream") else (),
        content_type="text/event-stream; charset=utf-8" if request.get("stream") else "application/json",
        headers={"request-id": _id("req", room), **_limits(asked.at, used["input_tokens"])},
        line=clip(f"{request['model']}: {_gist(block)}"),
        billed=model.cost(input_tokens=used["input_tokens"], output_tokens=used["output_tokens"]),
        usage={"requests": 1, **used},
    )
    return billed_messages(asked, room, request["model"], reply)


def _models(_asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    """The models there are; asking is free and shows that a key works."""
    known = [name for name, price in room.terms.prices.models.items() if price.service == "anthropic"]
    listed = [{"type": "model", "id": name, "display_name": name, "created_at": RELEASED} for name in known]
    ends = {"first_id": known[0] if known else None, "last_id": known[-1] if known else None}
    body = {"data": listed, "has_more": False, **ends}
    return reply_json(200, body, headers={"request-id": _id("req", room)})


def _written(request: Mapping[str, Any], room: Room) -> tuple[Document, str, int]:
    """The content block, why it ended, and its output tokens."""
    _, users = words(request)
    text = "\n".join(users)
    choice = request.get("tool_choice") or {}
    if choice.get("type") in ("tool", "any"):
        wanted = choice.get("name", request["tools"][0]["name"])
        tool = next(tool for tool in request["tools"] if tool["name"] == wanted)
        made = fill(tool.get("input_schema") or {}, text)
        block = {"type": "tool_use", "id": _id("toolu", room), "name": tool["name"], "input": made or {}}
        return block, "tool_use", min(tokens.count_json(made), request["max_tokens"])
    shape = (request.get("output_config") or {}).get("format")
    whole = orjson.dumps(fill(shape["schema"], text)).decode() if shape else write_text(text)
    said = tokens.cut(whole, request["max_tokens"])
    reason = "end_turn" if said == whole else "max_tokens"
    return {"type": "text", "text": said, "citations": None}, reason, tokens.count(said)


def _gist(block: Document) -> str:
    """What the answer says, for people: the summary of a JSON answer, else its beginning."""
    try:
        value = block["input"] if block["type"] == "tool_use" else orjson.loads(block["text"])
    except orjson.JSONDecodeError:
        return str(block["text"])
    words_in = [value[key] for key in ("summary", "title") if key in value] if isinstance(value, dict) else []
    return str(words_in[0] if words_in else value)


def _usage(input_tokens: int, output_tokens: int) -> Document:
    return {
        "input_tokens": input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
        "server_tool_use": None,
    }


def _limits(at: datetime, used: int) -> dict[str, str]:
    reset = (at + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = {"anthropic-organization-id": "00000000-0000-4000-8000-000000000000"}
    for name, limit, taken in (("requests", REQUESTS_PER_MINUTE, 1), ("input-tokens", TOKENS_PER_MINUTE, used)):
        found[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        found[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, limit - taken))
        found[f"anthropic-ratelimit-{name}-reset"] = reset
    return found


def _events(message: Document) -> Iterator[bytes]:
    """The message as server-sent events."""
    block = message["content"][0]
    started = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    tool = block["type"] == "tool_use"
    yield _event("message_start", {"message": started})
    empty = {**block, "input": {}} if tool else {**block, "text": ""}
    yield _event("content_block_start", {"index": 0, "content_block": empty})
    yield _event("ping", {})
    text = orjson.dumps(block["input"]).decode() if tool else block["text"]
    for start in range(0, len(text), DELTA):
        piece = text[start : start + DELTA]
        delta = {"type": "input_json_delta", "partial_json": piece} if tool else {"type": "text_delta", "text": piece}
        yield _event("content_block_delta", {"index": 0, "delta": delta})
    yield _event("content_block_stop", {"index": 0})
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", {"delta": ended, "usage": {"output_tokens": message["usage"]["output_tokens"]}})
    yield _event("message_stop", {})


def _event(kind: str, body: Document) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **body}) + b"\n\n"


def failure(status: int, retry_after_s: int | None) -> Reply:
    """An overloaded API answers 529, not 503."""
    status = 529 if status == 503 else status
    headers = {"request-id": "req_011sandboxfailure"}
    if retry_after_s is not None:
        headers["retry-after"] = str(retry_after_s)
    return reply_json(status, _error(status, "The sandbox was told to fail", headers["request-id"]), headers=headers)


ROUTES = (
    route("POST", "/v1/messages", _messages),
    route("POST", "/v1/messages/count_tokens", _count),
    *batch_routes(answer, _no),
    route("GET", "/v1/models", _models),
    route("GET", "/v1/organizations/(?P<report>cost_report|usage_report/messages)", claude_report),
    *(route(method, "/v1/organizations/api_keys/(?P<id>[A-Za-z0-9_-]+)", claude_key) for method in ("GET", "POST")),
)
SERVICE = Service(name="anthropic", answer=answer, failure=failure)
