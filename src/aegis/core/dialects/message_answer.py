"""Anthropic's answer, whole or as a stream, said as a chat completion.

Thoughts of the model are not shown, as OpenAI shows none; their tokens are in the usage. OpenAI's prompt counts include
what was read from and written to a cache, Anthropic's do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from aegis.core.dialects.fields import Json, an_object, dumps, objects
from aegis.core.metering.anthropic import event_json
from aegis.core.metering.bounds import count

REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
DONE: Final = b"data: [DONE]\n\n"


def to_completion(message: Any, *, created: int) -> Json:
    """A message as a chat completion; `created` is its time in seconds. Raises `BadInput` for what is no message."""
    message = an_object(message, "the answer")
    blocks = objects(message.get("content"), "content")
    texts = [str(block.get("text")) for block in blocks if block.get("type") == "text"]
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    said = {"role": "assistant", "content": "".join(texts) if texts else None, "refusal": None}
    choice = {
        "index": 0,
        "message": said | ({"tool_calls": calls} if calls else {}),
        "logprobs": None,
        "finish_reason": _reason(message.get("stop_reason")),
    }
    frame = _frame(message, created) | {"object": "chat.completion"}
    return frame | {"choices": [choice], "usage": to_usage(message.get("usage"))}


def to_usage(told: Any) -> Json:
    """Anthropic's usage as OpenAI's. Raises `BadInput` for what is no count."""
    read, written = count(told, "cache_read_input_tokens"), count(told, "cache_creation_input_tokens")
    prompt, output = count(told, "input_tokens") + read + written, count(told, "output_tokens")
    details = told.get("output_tokens_details") if isinstance(told, Mapping) else None
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": count(details, "thinking_tokens"), "audio_tokens": 0},
    }


def _call(block: Mapping[str, Any]) -> Json:
    function = {"name": str(block.get("name")), "arguments": dumps(block.get("input") or {})}
    return {"id": str(block.get("id")), "type": "function", "function": function}


def _reason(told: Any) -> str | None:
    return None if told is None else REASONS.get(str(told), "stop")


def _frame(message: Mapping[str, Any], created: int) -> Json:
    named = {"id": f"chatcmpl-{message.get('id')}", "created": created, "model": message.get("model")}
    return named | {"system_fingerprint": None}


class CompletionEvents:
    """Says a stream of messages' events as chat chunks; `usage` says that the caller asked for the usage at its end."""

    def __init__(self, *, created: int, usage: bool) -> None:
        self._created, self._with_usage = created, usage
        self._frame: Json = {}
        self._told: Json = {}
        self._calls: dict[Any, int] = {}
        self._ended = False

    def take(self, event: bytes) -> Iterator[bytes]:
        """What one whole event becomes. Raises `BadInput` for what is none of its protocol."""
        body = event_json(event)
        kind = body.get("type")
        if kind == "message_start":
            message = an_object(body.get("message"), "message")
            self._frame = _frame(message, self._created) | {"object": "chat.completion.chunk"}
            self._see(message.get("usage"))
            yield self._chunk({"role": "assistant", "content": ""})
        elif kind == "content_block_start":
            yield from self._begin(body)
        elif kind == "content_block_delta":
            yield from self._piece(body)
        elif kind == "message_delta":
            self._see(body.get("usage"))
            reason = an_object(body.get("delta"), "delta").get("stop_reason")
            if reason is not None:
                yield self._chunk({}, _reason(reason))
        elif kind == "message_stop":
            yield from self._end()
        elif kind == "error":
            error = an_object(body.get("error"), "error")
            said = {"message": str(error.get("message")), "type": "server_error", "param": None, "code": None}
            yield b"data: " + orjson.dumps({"error": said}) + b"\n\n"

    def _begin(self, body: Mapping[str, Any]) -> Iterator[bytes]:
        block = an_object(body.get("content_block"), "content_block")
        if block.get("type") == "tool_use":
            number = self._calls[str(body.get("index"))] = len(self._calls)
            function = {"name": str(block.get("name")), "arguments": ""}
            call = {"index": number, "id": str(block.get("id")), "type": "function", "function": function}
            yield self._chunk({"tool_calls": [call]})
        elif block.get("type") == "text" and block.get("text"):
            yield self._chunk({"content": str(block["text"])})

    def _piece(self, body: Mapping[str, Any]) -> Iterator[bytes]:
        delta = an_object(body.get("delta"), "delta")
        if delta.get("type") == "text_delta":
            yield self._chunk({"content": str(delta.get("text"))})
        elif delta.get("type") == "input_json_delta" and (index := str(body.get("index"))) in self._calls:
            function = {"arguments": str(delta.get("partial_json"))}
            yield self._chunk({"tool_calls": [{"index": self._calls[index], "function": function}]})

    def _end(self) -> Iterator[bytes]:
        if self._ended:
            return
        self._ended = True
        if self._with_usage:
            last = self._frame | {"choices": [], "usage": to_usage(self._told)}
            yield b"data: " + orjson.dumps(last) + b"\n\n"
        yield DONE

    def _see(self, usage: Any) -> None:
        if isinstance(usage, Mapping):
            self._told.update({name: value for name, value in usage.items() if value is not None})

    def _chunk(self, delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        body = self._frame | {"choices": [choice]} | ({"usage": None} if self._with_usage else {})
        return b"data: " + orjson.dumps(body) + b"\n\n"
