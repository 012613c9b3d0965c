"""A chat completion, whole or as a stream, said as Anthropic's answer.

A stream of a chat tells its usage at the end only: its `message_start` says zero, its `message_delta` the whole, which
is where Anthropic's own clients take it from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from aegis.core.dialects.fields import Json, an_object, objects
from aegis.core.errors import BadInput
from aegis.core.metering.anthropic import event_json
from aegis.core.metering.bounds import count

REASONS: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_NO_USAGE: Final = {"input_tokens": 0, "output_tokens": 0}


def to_message(completion: Any) -> Json:
    """A chat completion as a message. Raises `BadInput` for what is no completion."""
    completion = an_object(completion, "the answer")
    choices = objects(completion.get("choices"), "choices")
    if not choices:
        raise BadInput("the answer has no choice", code="bad_answer")
    said = an_object(choices[0].get("message"), "message")
    texts = [str(said[name]) for name in ("content", "refusal") if said.get(name)]
    content: list[Json] = [{"type": "text", "text": text} for text in texts]
    content.extend(_call(call) for call in objects(said.get("tool_calls"), "tool_calls"))
    reason = choices[0].get("finish_reason")
    ended = {"stop_reason": _reason(reason, refused=bool(said.get("refusal"))), "stop_sequence": None}
    return _frame(completion) | {"content": content} | ended | {"usage": to_usage(completion.get("usage"))}


def to_usage(told: Any) -> Json:
    """OpenAI's usage as Anthropic's. Raises `BadInput` for what cannot be true."""
    details = told.get("prompt_tokens_details") if isinstance(told, Mapping) else None
    read, written = count(details, "cached_tokens"), count(details, "cache_write_tokens")
    prompt = count(told, "prompt_tokens")
    if read + written > prompt:
        raise BadInput("more cached tokens than tokens", code="bad_usage")
    return {
        "input_tokens": prompt - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": count(told, "completion_tokens"),
    }


def _frame(completion: Mapping[str, Any]) -> Json:
    name = str(completion.get("id")).removeprefix("chatcmpl-")
    named = {"id": name if name.startswith("msg_") else f"msg_{name}", "type": "message", "role": "assistant"}
    return named | {"model": completion.get("model")}


def _reason(told: Any, *, refused: bool = False) -> str | None:
    if refused:
        return "refusal"
    return None if told is None else REASONS.get(str(told), "end_turn")


def _call(call: Mapping[str, Any]) -> Json:
    function = an_object(call.get("function"), "function")
    raw = str(function.get("arguments") or "{}")
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        given = {"invalid_arguments": raw}  # cut off by the cap: the program sees what there is
    return {"type": "tool_use", "id": str(call.get("id")), "name": str(function.get("name")), "input": given}


class MessageEvents:
    """Says a stream of chat chunks as messages' events."""

    def __init__(self) -> None:
        self._open = ""
        """What the open block is: text, the number of a call, or nothing."""
        self._blocks = 0
        self._reason: str | None = None
        self._usage: Json = dict(_NO_USAGE)
        self._begun = self._ended = self._refused = False

    def take(self, event: bytes) -> Iterator[bytes]:
        """What one whole event becomes. Raises `BadInput` for what is none of its protocol."""
        if b"[DONE]" in event and event.strip() in (b"data: [DONE]", b"data:[DONE]"):
            yield from self._end()
            return
        body = event_json(event)
        if body.get("error"):
            said = {"type": "api_error", "message": str(an_object(body["error"], "error").get("message"))}
            yield _event("error", error=said)
            return
        if not body or not (self._begun or body.get("choices") or body.get("usage")):
            return  # Azure begins with a chunk about its filters, which names neither the answer nor its model
        if not self._begun:
            self._begun = True
            empty: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": dict(_NO_USAGE)}
            yield _event("message_start", message=_frame(body) | empty)
        if isinstance(body.get("usage"), Mapping):
            self._usage = to_usage(body["usage"])
        for choice in objects(body.get("choices"), "choices")[:1]:
            yield from self._delta(an_object(choice.get("delta") or {}, "delta"))
            if choice.get("finish_reason") is not None:
                self._reason = _reason(choice["finish_reason"], refused=self._refused)

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[bytes]:
        self._refused = self._refused or bool(delta.get("refusal"))
        for name in ("content", "refusal"):
            if delta.get(name):
                yield from self._text(str(delta[name]))
        for call in objects(delta.get("tool_calls"), "tool_calls"):
            yield from self._call(call)

    def _text(self, text: str) -> Iterator[bytes]:
        if self._open != "text":
            yield from self._switch("text", {"type": "text", "text": ""})
        yield self._piece({"type": "text_delta", "text": text})

    def _call(self, call: Mapping[str, Any]) -> Iterator[bytes]:
        function, number = an_object(call.get("function") or {}, "function"), f"call {call.get('index')}"
        if self._open != number:
            if not function.get("name"):
                raise BadInput("pieces of two calls are mixed", code="bad_answer")
            block = {"type": "tool_use", "id": str(call.get("id")), "name": str(function["name"]), "input": {}}
            yield from self._switch(number, block)
        if function.get("arguments"):
            yield self._piece({"type": "input_json_delta", "partial_json": str(function["arguments"])})

    def _switch(self, what: str, block: Json) -> Iterator[bytes]:
        yield from self._close()
        self._open = what
        yield _event("content_block_start", index=self._blocks, content_block=block)

    def _close(self) -> Iterator[bytes]:
        if self._open:
            yield _event("content_block_stop", index=self._blocks)
            self._blocks += 1
            self._open = ""

    def _piece(self, delta: Json) -> bytes:
        return _event("content_block_delta", index=self._blocks, delta=delta)

    def _end(self) -> Iterator[bytes]:
        if self._ended or not self._begun:
            return
        self._ended = True
        yield from self._close()
        delta = {"stop_reason": self._reason, "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage=self._usage)
        yield _event("message_stop")


def _event(kind: str, **body: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **body}) + b"\n\n"
