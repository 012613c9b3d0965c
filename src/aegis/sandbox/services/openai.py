"""OpenAI: chat completions, responses, embeddings, models, and the organisation's costs and usage.

Every request that is answered is billed. A stream tells its usage only when it was asked to
(`stream_options.include_usage`), as the real one does (platform.openai.com, API reference).
"""

from __future__ import annotations

import hashlib
import re
import struct
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson

from aegis.core.money import USD
from aegis.sandbox import tokens
from aegis.sandbox.analyst import fill, write_text
from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import JSON_TYPE, Asked, Reply, Unreadable, clip, credential, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route
from aegis.sandbox.services.admin import spend_limit
from aegis.sandbox.services.openai_batches import batch_routes
from aegis.sandbox.services.openai_checks import check_chat, check_embeddings, check_responses, texts
from aegis.sandbox.services.openai_streams import chat_events, response_events

BODY_MAX = 32 * 1024 * 1024
DIMENSIONS = 1_536
"""Of text-embedding-3-small (platform.openai.com, embeddings)."""

DAY_S, BUCKETS_MAX = 86_400, 180
STREAM_TYPE = "text/event-stream; charset=utf-8"


def answer(asked: Asked, room: Room) -> Reply:
    if not credential(asked, "bearer"):
        return _no(401, "no bearer credential", code="invalid_api_key")
    reply = find(ROUTES, asked, room)
    return reply or _no(404, f"no such path for {asked.method}", code="unknown_url")


def _no(status: int, why: str, *, param: str | None = None, code: str | None = None) -> Reply:
    return reply_json(status, _error(status, why, param=param, code=code), refused=why)


def _error(status: int, why: str, *, param: str | None = None, code: str | None = None) -> Document:
    kind = {429: "requests", 500: "server_error", 503: "server_error"}.get(status, "invalid_request_error")
    return {"error": {"message": why, "type": kind, "param": param, "code": code}}


def _checked(asked: Asked, room: Room, check: Callable[[Inspector], None]) -> Mapping[str, Any] | Reply:
    """The request's body, or the refusal."""
    if len(asked.body) > BODY_MAX:
        return _no(413, "the body is too large")
    try:
        request = Inspector(asked.json())
    except Unreadable as error:
        return _no(400, str(error))
    check(request)
    if request.problems:
        first = request.problems[0]
        code = {"unknown": "unknown_parameter", "required": "missing_required_parameter"}.get(
            first.kind, "invalid_value"
        )
        return _no(400, str(first), param=first.path, code=code)
    price = room.terms.prices.models.get(str(request.held["model"]))
    if price is None or price.service != "openai":
        why = f"no model {clip(str(request.held['model']), 80)}"
        return _no(404, why, param="model", code="model_not_found")
    return request.held


def _id(prefix: str, room: Room) -> str:
    digest = hashlib.sha256(f"{prefix}{room.next(prefix)}".encode()).hexdigest()
    return f"{prefix}{digest[:29]}"


def _bill(room: Room, asked: Asked, model: str, used: Document) -> int:
    """Add a request to the day's costs; returns what it costs."""
    cost = room.terms.prices.models[model].cost(**used)
    day = str(int(asked.at.timestamp()) // DAY_S * DAY_S)
    held = room.get("day", f"{day}|{model}") or {"requests": 0, "input": 0, "output": 0, "nanos": 0}
    added = {
        "requests": held["requests"] + 1,
        "input": held["input"] + used["input_tokens"],
        "output": held["output"] + used["output_tokens"],
        "nanos": held["nanos"] + cost,
    }
    room.put("day", f"{day}|{model}", added)
    return cost


def _rebate(room: Room, asked: Asked, model: str, off: int) -> None:
    """Take something off the day's costs of a model: what was asked in a batch costs less."""
    key = f"{int(asked.at.timestamp()) // DAY_S * DAY_S}|{model}"
    held = room.get("day", key)
    if held is not None:
        room.put("day", key, {**held, "nanos": held["nanos"] - off})


def _headers(room: Room, at: datetime) -> dict[str, str]:
    """Rate limits as they are told; `at` is told as processing time, which is always the same here."""
    return {
        "x-request-id": _id("req_", room),
        "openai-version": "2020-10-01",
        "openai-processing-ms": str(100 + at.second),
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999000",
        "x-ratelimit-reset-tokens": "30ms",
    }


def _said(schema: Mapping[str, Any] | None, text: str, most: int) -> tuple[str, bool, int]:
    """The answer's text, whether it is whole, and its tokens."""
    whole = write_text(text) if schema is None else orjson.dumps(fill(schema, text)).decode()
    said = tokens.cut(whole, most)
    return said, said == whole, tokens.count(said)


def _chat(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    request = _checked(asked, room, check_chat)
    if isinstance(request, Reply):
        return request
    every = [text for message in request["messages"] for text in texts(message.get("content"))]
    users = [text for one in request["messages"] if one["role"] == "user" for text in texts(one.get("content"))]
    shape = request.get("response_format") or {}
    schema = {"json_schema": (shape.get("json_schema") or {}).get("schema") or {}, "json_object": {"type": "object"}}
    most = request.get("max_completion_tokens") or request.get("max_tokens") or 4_096
    said, whole, spent = _said(schema.get(shape.get("type", "")), "\n".join(users), most)
    tool = _wanted(request.get("tools") or (), request.get("tool_choice"))
    if tool is not None:
        said, whole, spent = _said(tool.get("parameters") or {}, "\n".join(users), most)
    choices = request.get("n") or 1
    framing = tokens.REQUEST_TOKENS + tokens.MESSAGE_TOKENS * len(request["messages"])
    sent = framing + sum(map(tokens.count, every)) + tokens.count_json(request.get("tools")) + tokens.count_json(shape)
    used = {"input_tokens": sent, "output_tokens": spent * choices}
    body = {
        "id": _id("chatcmpl-", room),
        "object": "chat.completion",
        "created": int(asked.at.timestamp()),
        "model": request["model"],
        "choices": [
            {
                "index": number,
                "message": {"role": "assistant", "refusal": None, "annotations": [], **_spoken(said, tool, room)},
                "logprobs": None,
                "finish_reason": ("stop" if tool is None else "tool_calls") if whole else "length",
            }
            for number in range(choices)
        ],
        "usage": {
            "prompt_tokens": sent,
            "completion_tokens": spent * choices,
            "total_tokens": sent + spent * choices,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
    }
    with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    events = chat_events(body, with_usage=with_usage) if request.get("stream") else None
    return _reply(asked, room, body, events, used, said)


def _wanted(tools: Iterable[Mapping[str, Any]], choice: Any) -> Mapping[str, Any] | None:
    """The function that the request says is to be called; left to choose, the sandbox calls none. A chat's functions and
    its choice stand in a field of their own (`function`), a response's do not.
    """
    functions = [tool.get("function", tool) for tool in tools if tool.get("type") == "function"]
    named = isinstance(choice, dict) and choice.get("type") == "function"
    wanted = choice.get("function", choice).get("name") if named else None
    if wanted is None and choice != "required":
        return None
    return next((one for one in functions if wanted in (None, one.get("name"))), None)


def _spoken(said: str, tool: Mapping[str, Any] | None, room: Room) -> Document:
    if tool is None:
        return {"content": said}
    function = {"name": tool["name"], "arguments": said}
    return {"content": None, "tool_calls": [{"id": _id("call_", room), "type": "function", "function": function}]}


def _reply(
    asked: Asked, room: Room, body: Document, events: Iterator[bytes] | None, used: Document, said: str
) -> Reply:
    """The answer, as a whole or as a stream, and its bill."""
    return Reply(
        status=200,
        body=orjson.dumps(body) if events is None else b"",
        chunks=() if events is None else tuple(events),
        content_type=JSON_TYPE if events is None else STREAM_TYPE,
        headers=_headers(room, asked.at),
        line=clip(f"{body['model']}: {said}"),
        billed=_bill(room, asked, str(body["model"]), used),
        usage={"requests": 1, **used},
    )


def _responses(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    request = _checked(asked, room, check_responses)
    if isinstance(request, Reply):
        return request
    words = texts(request["input"])
    shape = (request.get("text") or {}).get("format") or {"type": "text"}
    schema = shape.get("schema") or {} if shape["type"] == "json_schema" else None
    function = _wanted(request.get("tools") or (), request.get("tool_choice"))
    form = schema if function is None else function.get("parameters") or {}
    said, whole, spent = _said(form, "\n".join(words), request.get("max_output_tokens") or 4_096)
    counted = sum(map(tokens.count, [*words, request.get("instructions") or ""]))
    shapes = tokens.count_json(request.get("tools")) + tokens.count_json(schema)
    sent = tokens.REQUEST_TOKENS + tokens.MESSAGE_TOKENS + counted + shapes
    used = {"input_tokens": sent, "output_tokens": spent}
    status = "completed" if whole else "incomplete"
    body = {
        "id": _id("resp_", room),
        "object": "response",
        "created_at": int(asked.at.timestamp()),
        "status": status,
        "error": None,
        "incomplete_details": None if whole else {"reason": "max_output_tokens"},
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "model": request["model"],
        "output": [_item(said, function, room) | {"status": status}],
        "parallel_tool_calls": request.get("parallel_tool_calls") is not False,
        "metadata": request.get("metadata") or {},
        "tools": [{"parameters": None, "strict": True, **tool} for tool in request.get("tools") or ()],
        "tool_choice": request.get("tool_choice") or "auto",
        "temperature": 1.0,
        "top_p": 1.0,
        "text": {"format": shape},
        "usage": {
            **used,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sent + spent,
        },
    }
    return _reply(asked, room, body, response_events(body) if request.get("stream") else None, used, said)


def _item(said: str, function: Mapping[str, Any] | None, room: Room) -> Document:
    """What a response puts out: one message, or the call of one function."""
    if function is None:
        text = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
        return {"id": _id("msg_", room), "type": "message", "role": "assistant", "content": [text]}
    call = {"call_id": _id("call_", room), "name": function["name"], "arguments": said}
    return {"id": _id("fc_", room), "type": "function_call", **call}


def _embeddings(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    request = _checked(asked, room, check_embeddings)
    if isinstance(request, Reply):
        return request
    inputs = [request["input"]] if isinstance(request["input"], str) else request["input"]
    size = request.get("dimensions") or DIMENSIONS
    packed = request.get("encoding_format") == "base64"
    used = {"input_tokens": sum(map(tokens.count, inputs)), "output_tokens": 0}
    body = {
        "object": "list",
        "model": request["model"],
        "data": [
            {"object": "embedding", "index": number, "embedding": _vector(text, size, packed=packed)}
            for number, text in enumerate(inputs)
        ],
        "usage": {"prompt_tokens": used["input_tokens"], "total_tokens": used["input_tokens"]},
    }
    return _reply(asked, room, body, None, used, f"{len(inputs)} embeddings")


def _vector(text: str, size: int, *, packed: bool) -> list[float] | str:
    """The same vector for the same text."""
    stream = hashlib.shake_256(text.encode("utf-8", "replace")).digest(size)
    values = [(byte - 127.5) / 127.5 / size**0.5 for byte in stream]
    return b64encode(struct.pack(f"<{size}f", *values)).decode() if packed else values


def _models(_asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    known = [name for name, price in room.terms.prices.models.items() if price.service == "openai"]
    listed = [{"id": name, "object": "model", "created": 1_780_000_000, "owned_by": "openai"} for name in known]
    return reply_json(200, {"object": "list", "data": listed})


def _report(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    """Costs or usage in buckets of a day."""
    start, width = asked.param("start_time"), asked.param("bucket_width", "1d")
    limit = asked.param("limit", "7")
    if not (start.isdecimal() and limit.isdecimal() and 1 <= int(limit) <= BUCKETS_MAX and width == "1d"):
        return _no(400, "start_time, bucket_width or limit is wrong", param="start_time", code="invalid_value")
    first = int(start) // DAY_S * DAY_S
    days = range(first, min(first + int(limit) * DAY_S, int(asked.at.timestamp()) + 1), DAY_S)
    held = room.every("day")
    buckets = []
    for day in days:
        models = {key.partition("|")[2]: one for key, one in held.items() if key.startswith(f"{day}|")}
        results = _costs(models) if found["kind"] == "costs" else _usages(models)
        buckets.append({"object": "bucket", "start_time": day, "end_time": day + DAY_S, "results": results})
    return reply_json(200, {"object": "page", "data": buckets, "has_more": False, "next_page": None})


def _costs(models: Mapping[str, Document]) -> list[Document]:
    total = sum(one["nanos"] for one in models.values())
    amount = {"value": total / USD, "currency": "usd"}
    result = {"object": "organization.costs.result", "amount": amount, "line_item": None, "project_id": None}
    return [result] if models else []


def _usages(models: Mapping[str, Document]) -> list[Document]:
    return [
        {
            "object": "organization.usage.completions.result",
            "model": model,
            "input_tokens": one["input"],
            "output_tokens": one["output"],
            "input_cached_tokens": 0,
            "num_model_requests": one["requests"],
        }
        for model, one in models.items()
    ]


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    return reply_json(status, _error(status, "The sandbox was told to fail", code=code), headers=wait)


LIMITS = r"/v1/organization(?:/projects/(?P<project>[A-Za-z0-9_-]+))?/spend_limit"
ROUTES = (
    route("POST", "/v1/chat/completions", _chat),
    route("POST", "/v1/responses", _responses),
    route("POST", "/v1/embeddings", _embeddings),
    route("GET", "/v1/models", _models),
    *batch_routes(answer, _rebate),
    route("GET", "/v1/organization/(?P<kind>costs|usage/completions)", _report),
    *(route(method, LIMITS, spend_limit) for method in ("GET", "POST", "DELETE")),
)
SERVICE = Service(name="openai", answer=answer, failure=failure)
