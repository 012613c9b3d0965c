"""A chat completion, whole or as a stream, said as a response: its text is one message, each call an item of its own.

The events are those of the vendor's own streams (platform.openai.com: responses, streaming): every item is begun, told in
pieces, ended, and stands whole in the last event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from aegis.core.dialects.fields import Json, an_object, objects
from aegis.core.errors import BadInput
from aegis.core.metering.anthropic import event_json
from aegis.core.metering.bounds import count

CUT: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is not whole, by the reason why the chat ended."""
_ECHOED: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "text": {"format": {"type": "text"}},
}


def to_response(completion: Any, asked: Mapping[str, Any], *, created: int) -> Json:
    """A chat completion as the response to what was `asked`. Raises `BadInput` for what is no completion."""
    completion = an_object(completion, "the answer")
    choices = objects(completion.get("choices"), "choices")
    if not choices:
        raise BadInput("the answer has no choice", code="bad_answer")
    said = an_object(choices[0].get("message"), "message")
    name = _name(completion)
    reason = choices[0].get("finish_reason")
    status = "incomplete" if reason in CUT else "completed"
    output = [_message(name, text, status) for text in (said.get("content"), said.get("refusal")) if text]
    for number, call in enumerate(objects(said.get("tool_calls"), "tool_calls")):
        function = an_object(call.get("function"), "function")
        output.append(
            _call(name, number, str(call.get("id")), str(function.get("name")), str(function.get("arguments")))
        )
    frame = _frame(name, completion, asked, created)
    return frame | _ended(reason) | {"output": output, "usage": to_usage(completion.get("usage"))}


def to_usage(told: Any) -> Json:
    """A chat's usage as a response's. Raises `BadInput` for what is no count."""
    details = told.get("prompt_tokens_details") if isinstance(told, Mapping) else None
    out = told.get("completion_tokens_details") if isinstance(told, Mapping) else None
    sent, said = count(told, "prompt_tokens"), count(told, "completion_tokens")
    cached = {name: count(details, name) for name in ("cached_tokens", "cache_write_tokens")}
    return {
        "input_tokens": sent,
        "input_tokens_details": cached,
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": count(out, "reasoning_tokens")},
        "total_tokens": sent + said,
    }


def _name(completion: Mapping[str, Any]) -> str:
    return str(completion.get("id")).removeprefix("chatcmpl-").removeprefix("msg_")


def _frame(name: str, completion: Mapping[str, Any], asked: Mapping[str, Any], created: int) -> Json:
    echoed = {field: plain if asked.get(field) is None else asked[field] for field, plain in _ECHOED.items()}
    return {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": created,
        "model": completion.get("model"),
        "error": None,
        "previous_response_id": None,
        "store": False,
        "truncation": "disabled",
        **echoed,
    }


def _ended(reason: Any) -> Json:
    if reason in CUT:
        return {"status": "incomplete", "incomplete_details": {"reason": CUT[reason]}}
    return {"status": "completed", "incomplete_details": None}


def _message(name: str, text: Any, status: str) -> Json:
    part = {"type": "output_text", "text": str(text), "annotations": [], "logprobs": []}
    return {"id": f"msg_{name}", "type": "message", "role": "assistant", "status": status, "content": [part]}


def _call(name: str, number: int, call_id: str, function: str, arguments: str) -> Json:
    item = {"id": f"fc_{name}_{number}", "type": "function_call", "status": "completed"}
    return item | {"call_id": call_id, "name": function, "arguments": arguments}


class ResponseEvents:
    """Says a stream of chat chunks as a response's events; the chunks have to tell their usage at the end."""

    def __init__(self, asked: Mapping[str, Any], *, created: int) -> None:
        self._asked, self._created = asked, created
        self._frame: Json = {}
        self._name = ""
        self._output: list[Json] = []
        self._open = ""
        """What the open item is: text, the number of a call, or nothing."""
        self._reason: Any = None
        self._usage: Json = to_usage({})
        self._number = 0
        self._ended = False

    def take(self, event: bytes) -> Iterator[bytes]:
        """What one whole event becomes. Raises `BadInput` for what is none of its protocol."""
        if event.strip() in (b"data: [DONE]", b"data:[DONE]"):
            yield from self._end()
            return
        body = event_json(event)
        if body.get("error"):
            said = str(an_object(body["error"], "error").get("message"))
            yield self._event("error", code="server_error", message=said, param=None)
            return
        if not body or not (self._frame or body.get("choices") or body.get("usage")):
            return
        if not self._frame:
            self._name = _name(body)
            self._frame = _frame(self._name, body, self._asked, self._created)
            yield self._event("response.created", response=self._now("in_progress"))
            yield self._event("response.in_progress", response=self._now("in_progress"))
        if isinstance(body.get("usage"), Mapping):
            self._usage = to_usage(body["usage"])
        for choice in objects(body.get("choices"), "choices")[:1]:
            yield from self._delta(an_object(choice.get("delta") or {}, "delta"))
            self._reason = choice.get("finish_reason") or self._reason

    def _now(self, status: str) -> Json:
        return self._frame | {"status": status, "incomplete_details": None, "output": [], "usage": None}

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[bytes]:
        for field in ("content", "refusal"):
            if text := delta.get(field):
                yield from self._text(str(text))
        for call in objects(delta.get("tool_calls"), "tool_calls"):
            yield from self._piece_of_call(call)

    def _text(self, text: str) -> Iterator[bytes]:
        if self._open != "text":
            yield from self._close()
            self._open = "text"
            item = _message(self._name, "", "in_progress")
            self._output.append(item)
            yield self._at("response.output_item.added", item=item | {"content": []})
            yield self._in("response.content_part.added", part=item["content"][0])
        self._output[-1]["content"][0]["text"] += text
        yield self._in("response.output_text.delta", delta=text, logprobs=[])

    def _piece_of_call(self, call: Mapping[str, Any]) -> Iterator[bytes]:
        function, number = an_object(call.get("function") or {}, "function"), f"call {call.get('index')}"
        if self._open != number:
            if not function.get("name"):
                raise BadInput("pieces of two calls are mixed", code="bad_answer")
            yield from self._close()
            self._open = number
            item = _call(self._name, len(self._output), str(call.get("id")), str(function["name"]), "")
            self._output.append(item | {"status": "in_progress"})
            yield self._at("response.output_item.added", item=self._output[-1])
        if piece := function.get("arguments"):
            self._output[-1]["arguments"] += str(piece)
            yield self._at("response.function_call_arguments.delta", item_id=self._output[-1]["id"], delta=str(piece))

    def _close(self) -> Iterator[bytes]:
        """The open item is whole."""
        if not self._open:
            return
        item, self._open = self._output[-1], ""
        item["status"] = "incomplete" if self._reason in CUT else "completed"
        if item["type"] == "message":
            yield self._in("response.output_text.done", text=item["content"][0]["text"], logprobs=[])
            yield self._in("response.content_part.done", part=item["content"][0])
        else:
            told = {"item_id": item["id"], "name": item["name"], "arguments": item["arguments"]}
            yield self._at("response.function_call_arguments.done", **told)
        yield self._at("response.output_item.done", item=item)

    def _end(self) -> Iterator[bytes]:
        if self._ended or not self._frame:
            return
        self._ended = True
        yield from self._close()
        ended = _ended(self._reason)
        whole = self._frame | ended | {"output": self._output, "usage": self._usage}
        yield self._event(f"response.{ended['status']}", response=whole)

    def _at(self, kind: str, **body: Any) -> bytes:
        return self._event(kind, output_index=len(self._output) - 1, **body)

    def _in(self, kind: str, **body: Any) -> bytes:
        return self._at(kind, item_id=self._output[-1]["id"], content_index=0, **body)

    def _event(self, kind: str, **body: Any) -> bytes:
        said = {"type": kind, "sequence_number": self._number, **body}
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(said) + b"\n\n"


class Chained:
    """Says events in one dialect, and what comes of them in the next."""

    def __init__(self, first: Any, second: Any) -> None:
        self._first, self._second = first, second

    def take(self, event: bytes) -> Iterator[bytes]:
        """What one whole event becomes. Raises `BadInput`."""
        for said in self._first.take(event):
            yield from self._second.take(said)
