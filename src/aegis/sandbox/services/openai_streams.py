"""OpenAI's answers as streams of server-sent events: chat completion chunks, and the events of a response."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from aegis.sandbox.room import Document

DELTA = 24
"""Characters in a piece."""


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), DELTA):
        yield text[start : start + DELTA]


def _begun(number: int, call: Document) -> Document:
    """The first piece of a call: its name, and nothing of its arguments."""
    return {**call, "index": number, "function": {"name": call["function"]["name"], "arguments": ""}}


def chat_events(body: Document, *, with_usage: bool) -> Iterator[bytes]:
    """The chunks of a chat completion; the last one before the end holds the usage, if it was asked for."""
    frame = {name: body[name] for name in ("id", "created", "model", "service_tier")}

    def chunk(choices: list[Document], usage: Document | None = None) -> bytes:
        value: Document = {**frame, "object": "chat.completion.chunk", "choices": choices}
        if with_usage:
            value["usage"] = usage
        return b"data: " + orjson.dumps(value) + b"\n\n"

    def choice(number: int, delta: Document, finish: str | None = None) -> list[Document]:
        return [{"index": number, "delta": delta, "logprobs": None, "finish_reason": finish}]

    for one in body["choices"]:
        yield chunk(choice(one["index"], {"role": "assistant", "content": ""}))
        for piece in _pieces(one["message"]["content"] or ""):
            yield chunk(choice(one["index"], {"content": piece}))
        for number, call in enumerate(one["message"].get("tool_calls") or ()):
            yield chunk(choice(one["index"], {"tool_calls": [_begun(number, call)]}))
            for piece in _pieces(call["function"]["arguments"]):
                more = {"index": number, "function": {"arguments": piece}}
                yield chunk(choice(one["index"], {"tool_calls": [more]}))
        yield chunk(choice(one["index"], {}, one["finish_reason"]))
    if with_usage:
        yield chunk([], body["usage"])
    yield b"data: [DONE]\n\n"


def response_events(body: Document) -> Iterator[bytes]:
    """The events of a response with one message of one text, or with the call of one function."""
    number = 0

    def event(kind: str, value: Document) -> bytes:
        nonlocal number
        number += 1
        said = orjson.dumps({"type": kind, "sequence_number": number - 1, **value})
        return b"event: " + kind.encode() + b"\ndata: " + said + b"\n\n"

    item = body["output"][0]
    is_call = item["type"] == "function_call"
    begun = {**body, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield event("response.created", {"response": begun})
    yield event("response.in_progress", {"response": begun})
    opened = {**item, "status": "in_progress", **({"arguments": ""} if is_call else {"content": []})}
    yield event("response.output_item.added", {"output_index": 0, "item": opened})
    for kind, value in _call_written(item) if is_call else _text_written(item):
        yield event(kind, {"item_id": item["id"], "output_index": 0, **value})
    yield event("response.output_item.done", {"output_index": 0, "item": item})
    yield event(f"response.{body['status']}", {"response": body})


def _text_written(message: Document) -> Iterator[tuple[str, Document]]:
    text = message["content"][0]
    yield "response.content_part.added", {"content_index": 0, "part": {**text, "text": ""}}
    for piece in _pieces(text["text"]):
        yield "response.output_text.delta", {"content_index": 0, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {"content_index": 0, "text": text["text"], "logprobs": []}
    yield "response.content_part.done", {"content_index": 0, "part": text}


def _call_written(call: Document) -> Iterator[tuple[str, Document]]:
    for piece in _pieces(call["arguments"]):
        yield "response.function_call_arguments.delta", {"delta": piece}
    yield "response.function_call_arguments.done", {"name": call["name"], "arguments": call["arguments"]}
