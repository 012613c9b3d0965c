"""Servers that speak OpenAI's protocol as Azure, vLLM and Ollama do, on loopback: what they add and what they lack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from tests.transport.scripted import Scripted, Wire, scripted

USAGE: Final = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
SAFE: Final = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
Answer = Callable[[str, Mapping[str, str], Any], tuple[int, list[Any] | Any]]
"""Target, headers and body to a status with either a whole answer or the chunks of a stream."""


def frame(kind: str, model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": f"chat.completion{kind}", "created": 1, "model": model}


def whole(model: str, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop", **more}
    return {**frame("", model), "choices": [choice], "usage": USAGE}


def chunk(model: str, delta: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
    return {**frame(".chunk", model), "choices": [choice], **more}


def azure(target: str, headers: Mapping[str, str], body: Any) -> tuple[int, Any]:
    """Deployment in the path, api-version, `api-key`; results of its filters in answers and before streams."""
    if headers.get("api-key") != "sandbox-key" or "authorization" in headers:
        return 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key"}}
    path, _, query = target.partition("?")
    parts = path.split("/")
    if parts[:3] != ["", "openai", "deployments"] or query != "api-version=2024-10-21" or "service_tier" in body:
        return 404, {"error": {"code": "404", "message": "Resource not found"}}
    model = f"{parts[3]}-2026-01-01"
    if not body.get("stream"):
        filters = [{"prompt_index": 0, "content_filter_results": SAFE}]
        return 200, {**whole(model, content_filter_results=SAFE), "prompt_filter_results": filters}
    about = {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]}
    first = {**frame(".chunk", ""), "id": "", "choices": [], **about, "usage": None}
    said = [
        chunk(model, {"role": "assistant", "content": "hel"}, usage=None),
        chunk(model, {"content": "lo"}, usage=None),
    ]
    told = [{**frame(".chunk", model), "choices": [], "usage": USAGE}]
    return 200, [first, *said, chunk(model, {}, "stop", usage=None), *(told if body.get("stream_options") else ())]


def vllm(target: str, _headers: Mapping[str, str], body: Any) -> tuple[int, Any]:
    """Fields of its own both ways; a running usage with every chunk where it was asked for one."""
    if target != "/v1/chat/completions" or body.get("top_k") != 5:
        return 400, {"object": "error", "message": "top_k was lost", "type": "BadRequestError", "code": 400}
    model = body["model"]
    if not body.get("stream"):
        more = {"stop_reason": None, "token_ids": None}
        return 200, {**whole(model, **more), "prompt_logprobs": None, "kv_transfer_params": None}
    running = [
        chunk(model, {"content": piece}, usage={**USAGE, "completion_tokens": n, "total_tokens": 12 + n})
        for n, piece in ((1, "hel"), (3, "lo"))
    ]
    return 200, [
        *running,
        chunk(model, {}, "stop", usage=None),
        {**frame(".chunk", model), "choices": [], "usage": USAGE},
    ]


def ollama(target: str, _headers: Mapping[str, str], body: Any) -> tuple[int, Any]:
    """Nothing but `/v1`, of which it has no responses; `system_fingerprint` is its own name."""
    if target != "/v1/chat/completions":
        return 404, {"error": {"message": "404 page not found", "type": "api_error", "param": None, "code": None}}
    return 200, {**whole(body["model"]), "system_fingerprint": "fp_ollama"}


def calling(target: str, _headers: Mapping[str, str], body: Any) -> tuple[int, Any]:
    """A server with chats only, which knows the older names: it calls the first tool that it is given, and says what came
    of it in the end.
    """
    roles = [message["role"] for message in body.get("messages", ())]
    if target != "/v1/chat/completions" or "developer" in roles or "max_tokens" not in body:
        return 404, {"error": {"message": "404 page not found", "type": "api_error", "param": None, "code": None}}
    model = body["model"]
    if not body.get("tools") or roles[-1] == "tool":
        text = {"role": "assistant", "content": body["messages"][-1]["content"]}
        if not body.get("stream"):
            return 200, whole(model, message=text)
        return 200, [chunk(model, text), chunk(model, {}, "stop"), _last(model)]
    name, arguments = body["tools"][0]["function"]["name"], '{"level":"high"}'
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    if not body.get("stream"):
        return 200, whole(
            model, message={"role": "assistant", "content": None, "tool_calls": [call]}, finish_reason="tool_calls"
        )
    first = {"index": 0, **call, "function": {"name": name, "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in (arguments[:7], arguments[7:])]
    deltas = [chunk(model, {"tool_calls": [one]}) for one in (first, *pieces)]
    return 200, [*deltas, chunk(model, {}, "tool_calls"), _last(model)]


def _last(model: str) -> dict[str, Any]:
    return {**frame(".chunk", model), "choices": [], "usage": USAGE}


@asynccontextmanager
async def speaking(answer: Answer) -> AsyncIterator[Scripted]:
    """A server that answers so."""

    async def talk(wire: Wire) -> None:
        while raw := await wire.request():
            head, _, body = raw.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            status, said = answer(lines[0].split(" ")[1], headers, orjson.loads(body or b"{}"))
            if isinstance(said, list):
                await wire.start_stream()
                for one in said:
                    await wire.chunk(b"data: " + orjson.dumps(one) + b"\n\n")
                await wire.chunk(b"data: [DONE]\n\n")
                await wire.chunk(b"")
                continue
            text = orjson.dumps(said)
            await wire.say(
                b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (status, len(text), text)
            )

    async with scripted(talk) as server:
        yield server
