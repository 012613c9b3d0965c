"""What goes from one dialect to the other and back is what it was: texts, pictures, tools, reasons and usage."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.dialects.chat_answer import MessageEvents, to_message
from aegis.core.dialects.chat_request import to_messages
from aegis.core.dialects.message_answer import CompletionEvents, to_completion
from aegis.core.dialects.messages_request import to_chat
from aegis.core.errors import BadInput
from aegis.core.metering import anthropic, openai

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NAME = st.from_regex(r"[a-z][a-z0-9_]{0,15}", fullmatch=True)
JSON = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(-(2**31), 2**31), st.booleans(), st.none()), max_size=3)
PICTURE = st.sampled_from(["data:image/png;base64,aGVsbG8=", "https://example.com/a.png"])
PART = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT),
    st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, PICTURE),
)
TOOL = st.builds(
    lambda name, what, strict: {
        "type": "function",
        "function": {"name": name, "description": what, "parameters": {"type": "object"}, **strict},
    },
    NAME,
    TEXT,
    st.sampled_from([{}, {"strict": True}]),
)


@st.composite
def chats(draw: st.DrawFn) -> dict[str, Any]:
    """A chat in the form that a way there and back gives: lists of parts, one message a turn."""
    said = [{"type": "text", "text": draw(TEXT)}]
    messages: list[dict[str, Any]] = [{"role": "system", "content": said}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(st.lists(PART, min_size=1, max_size=3))})
        names = draw(st.lists(NAME, max_size=2, unique=True))
        calls = [
            {"id": f"c_{name}", "type": "function", "function": {"name": name, "arguments": dumps(draw(JSON))}}
            for name in names
        ]
        answer: dict[str, Any] = {"role": "assistant", "content": [{"type": "text", "text": draw(TEXT)}]}
        messages.append(answer | ({"tool_calls": calls} if calls else {}))
        for name in names:
            result = [{"type": "text", "text": draw(TEXT)}]
            messages.append({"role": "tool", "tool_call_id": f"c_{name}", "content": result})
    body = {"model": draw(NAME), "messages": messages, "max_completion_tokens": draw(st.integers(1, 10**6))}
    tools = draw(st.lists(TOOL, max_size=2))
    choice = draw(st.sampled_from(["auto", "none", "required"]))
    more: dict[str, Any] = {"tools": tools, "tool_choice": choice} if tools else {}
    stops = draw(st.lists(TEXT, min_size=1, max_size=4))
    shape: Any = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    settings: tuple[tuple[str, Any], ...] = (
        ("stop", stops),
        ("temperature", 1),
        ("stream", True),
        ("reasoning_effort", "low"),
        ("safety_identifier", "someone"),
        ("response_format", {"type": "json_schema", "json_schema": shape}),
    )
    for name, value in settings:
        more |= {name: value} if draw(st.booleans()) else {}
    return body | more


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


@given(chats())
def test_a_chat_comes_back_as_it_was(chat: dict[str, Any]) -> None:
    there = to_messages(chat)
    back = to_chat(there.body, vendor=True)
    assert back.body == chat
    assert (there.left_out, back.left_out) == ((), ())


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """An answer of Anthropic's."""
    texts: list[Any] = [{"type": "text", "text": draw(TEXT)}] if draw(st.booleans()) else []
    tools: list[Any] = [
        {"type": "tool_use", "id": f"toolu_{number}", "name": draw(NAME), "input": draw(JSON)}
        for number in range(draw(st.integers(0 if texts else 1, 2)))
    ]
    counts = st.integers(0, 10**9)
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": draw(NAME),
        "content": texts + tools,
        "stop_reason": "tool_use" if tools else draw(st.sampled_from(["end_turn", "max_tokens", "refusal"])),
        "stop_sequence": None,
        "usage": {name: draw(counts) for name in names},
    }


@given(messages())
def test_an_answer_comes_back_as_it_was_and_costs_the_same_in_both_dialects(message: dict[str, Any]) -> None:
    completion = to_completion(message, created=1)
    assert to_message(completion) == message
    ours, theirs = anthropic.usage(message["usage"]), openai.usage(completion["usage"])
    assert {name: units for name, units in ours.items() if units} == {n: units for n, units in theirs.items() if units}


def message_events(message: dict[str, Any], size: int) -> list[bytes]:
    """A message as its vendor streams it."""

    def event(kind: str, **body: Any) -> bytes:
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **body}) + b"\n\n"

    begun: dict[str, Any] = message | {
        "content": [],
        "stop_reason": None,
        "usage": message["usage"] | {"output_tokens": 1},
    }
    events = [event("message_start", message=begun), event("ping")]
    for index, block in enumerate(message["content"]):
        tool = block["type"] == "tool_use"
        blank: dict[str, Any] = {"input": {}} if tool else {"text": ""}
        empty = block | blank
        events.append(event("content_block_start", index=index, content_block=empty))
        text = dumps(block["input"]) if tool else block["text"]
        for at in range(0, len(text), size):
            piece = text[at : at + size]
            kind = "input_json_delta" if tool else "text_delta"
            delta = {"type": kind, "partial_json" if tool else "text": piece}
            events.append(event("content_block_delta", index=index, delta=delta))
        events.append(event("content_block_stop", index=index))
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    used = {"output_tokens": message["usage"]["output_tokens"]}
    return [*events, event("message_delta", delta=ended, usage=used), event("message_stop")]


def put_together(events: list[bytes]) -> dict[str, Any]:
    """What a client of Anthropic's makes of a stream."""
    message: dict[str, Any] = {}
    arguments: dict[int, str] = {}
    for raw in events:
        body = anthropic.event_json(raw)
        kind = body["type"]
        if kind == "message_start":
            message = body["message"]
        elif kind == "content_block_start":
            message["content"].append(body["content_block"])
        elif kind == "content_block_delta":
            delta, block = body["delta"], message["content"][body["index"]]
            if delta["type"] == "text_delta":
                block["text"] += delta["text"]
            else:
                arguments[body["index"]] = arguments.get(body["index"], "") + delta["partial_json"]
        elif kind == "message_delta":
            message |= body["delta"]
            message["usage"] |= body["usage"]
    for index, raw_arguments in arguments.items():
        message["content"][index]["input"] = orjson.loads(raw_arguments)
    return message


@given(messages(), st.integers(1, 9))
def test_a_stream_comes_back_as_the_message_that_it_was(message: dict[str, Any], size: int) -> None:
    there, back = CompletionEvents(created=1, usage=True), MessageEvents()
    chunks = [chunk for event in message_events(message, size) for chunk in there.take(event)]
    assert chunks[-1] == b"data: [DONE]\n\n"
    assert put_together([event for chunk in chunks for event in back.take(chunk)]) == message


def test_a_program_that_did_not_ask_for_the_usage_of_a_stream_gets_none() -> None:
    message: dict[str, Any] = {
        "id": "msg_1",
        "model": "m",
        "content": [],
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }
    there = CompletionEvents(created=1, usage=False)
    used: dict[str, Any] = {"usage": {"input_tokens": 1, "output_tokens": 1}}
    chunks = [chunk for event in message_events(message | used, 9) for chunk in there.take(event)]
    assert not any(b"usage" in chunk for chunk in chunks)


REFUSED_CHATS: tuple[dict[str, Any], ...] = (
    {"n": 2},
    {"seed": 7},
    {"logprobs": True},
    {"temperature": 1.5},
    {"presence_penalty": 0.5},
    {"response_format": {"type": "json_object"}},
    {"reasoning_effort": "minimal"},
    {"reasoning_effort": ["low"]},
    {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
    {"tool_choice": {"type": "allowed_tools"}},
    {"messages": [{"role": "user", "name": "jo", "content": "hi"}]},
    {"messages": [{"role": "function", "name": "f", "content": "hi"}]},
    {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "low"}}]}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{"}}]}]},
    {"new_thing": True},
)
REFUSED_MESSAGES: tuple[dict[str, Any], ...] = (
    {"top_k": 5},
    {"container": "c"},
    {"thinking": {"type": "enabled", "budget_tokens": 1_024}},
    {"output_config": {"effort": "max"}},
    {"tools": [{"type": "bash_20250124", "name": "bash"}]},
    {"tool_choice": {"type": ["any"]}},
    {"stop_sequences": list("abcde")},
    {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "base64"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
    {"new_thing": True},
)
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("more", REFUSED_CHATS)
def test_what_a_message_cannot_ask_for_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        to_messages(ASKED | more)


@pytest.mark.parametrize("more", REFUSED_MESSAGES)
def test_what_a_chat_cannot_ask_for_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        to_chat(ASKED | more, vendor=True)


def test_marks_for_a_cache_and_earlier_thoughts_are_left_out_and_named() -> None:
    turn = [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
    ]
    asked = ASKED | {"messages": [*ASKED["messages"], {"role": "assistant", "content": turn}]}
    sent = to_chat(asked, vendor=False)
    assert sent.left_out == ("thinking of earlier turns", "cache_control")
    assert sent.body["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": "a"}]}
    assert to_messages(ASKED | {"prompt_cache_key": "k"}).left_out == ("prompt_cache_key",)


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXT),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)
FIELD = st.sampled_from(
    ["messages", "tools", "tool_choice", "stop", "response_format", "thinking", "system", "output_config"]
)


@given(st.dictionaries(FIELD, ANYTHING), st.sampled_from([to_messages, lambda body: to_chat(body, vendor=False)]))
def test_nothing_that_comes_in_breaks_a_translation(body: dict[str, Any], translate: Any) -> None:
    try:
        translate(body)
    except BadInput:
        return
