"""A request for a chat completion, asked of Anthropic's Messages API.

All instructions (system, developer) become the one system prompt, as in Anthropic's own compatibility layer
(platform.claude.com: OpenAI SDK compatibility); results of tools become one user turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aegis.core.dialects.fields import (
    Json,
    Translated,
    an_object,
    loads,
    no_counterpart,
    objects,
    only_known,
    told,
    words,
    wrong,
)
from aegis.core.metering.bounds import names

WHOSE: Final = "Anthropic's API"
_SAME: Final = {"model": "model", "temperature": "temperature", "top_p": "top_p", "stream": "stream"}
_HINTS: Final = ("prompt_cache_key", "prompt_cache_retention")
_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "store": (False,),
    "logit_bias": ({},),
    "metadata": ({},),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "service_tier": ("auto", "default"),
}
"""Fields of which these values ask for nothing out of the ordinary."""
_FIELDS: Final = names(
    """messages max_tokens max_completion_tokens stop stream_options response_format tools tool_choice parallel_tool_calls
    user safety_identifier reasoning_effort"""
).union(_SAME, _HINTS, _NOTHING)
_EFFORTS: Final = ("low", "medium", "high", "xhigh")


def to_messages(body: Mapping[str, Any]) -> Translated:
    """The request as one for messages. Raises `BadInput` for what has no counterpart, and for what is no chat."""
    only_known(body, _FIELDS, WHOSE)
    for name, fine in _NOTHING.items():
        if body.get(name) is not None and body[name] not in fine:
            raise no_counterpart(f"{name}={body[name]!r}", WHOSE)
    sent = told(body, _SAME)
    heat: Any = body.get("temperature")
    if not isinstance(heat, str | list | dict | None) and heat > 1:
        raise no_counterpart("a temperature above 1", WHOSE)
    cap = body.get("max_completion_tokens")
    cap = body.get("max_tokens") if cap is None else cap
    if cap is not None:
        sent["max_tokens"] = cap
    system, sent["messages"] = _turns(objects(body.get("messages"), "messages"))
    if system:
        sent["system"] = system
    if (stop := body.get("stop")) is not None:
        sent["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if (user := body.get("safety_identifier") or body.get("user")) is not None:
        sent["metadata"] = {"user_id": user}
    sent |= _output(body) | _tools(body)
    _stream_options(body)
    return Translated(body=sent, left_out=tuple(name for name in _HINTS if body.get(name) is not None))


def _stream_options(body: Mapping[str, Any]) -> None:
    options = body.get("stream_options")
    if options is not None:
        only_known(an_object(options, "stream_options"), ("include_usage", "include_obfuscation"), WHOSE)


def _output(body: Mapping[str, Any]) -> Json:
    """How the answer shall be: its effort and its shape."""
    config: Json = {}
    effort, shape = body.get("reasoning_effort"), body.get("response_format")
    if effort is not None:
        if effort not in _EFFORTS:
            raise no_counterpart(f"reasoning_effort={effort!r}", WHOSE)
        config["effort"] = effort
    if shape is not None and an_object(shape, "response_format").get("type") != "text":
        if shape.get("type") != "json_schema":
            raise no_counterpart(f"response_format of type {shape.get('type')!r}", WHOSE)
        schema = an_object(shape.get("json_schema"), "response_format.json_schema").get("schema")
        config["format"] = {"type": "json_schema", "schema": an_object(schema, "the schema")}
    return {"output_config": config} if config else {}


# --- messages --------------------------------------------------------------------------------------------------


def _turns(messages: list[Mapping[str, Any]]) -> tuple[list[Json], list[Json]]:
    """The system prompt's blocks, and the turns: neighbours of one role are one turn."""
    system: list[Json] = []
    turns: list[Json] = []
    for message in messages:
        only_known(message, ("role", "content", "tool_calls", "tool_call_id", "refusal", "annotations"), WHOSE)
        role = message.get("role")
        if role in ("system", "developer"):
            system.extend(_content(message.get("content")))
            continue
        blocks = list(_blocks(message, role))
        who = "assistant" if role == "assistant" else "user"
        if turns and turns[-1]["role"] == who:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": who, "content": blocks})
    return system, turns


def _blocks(message: Mapping[str, Any], role: Any) -> Iterator[Json]:
    content = message.get("content")
    if role == "user":
        yield from _content(content)
    elif role == "assistant":
        yield from _content(content) if content is not None else ()
        if message.get("refusal"):
            yield {"type": "text", "text": words(message["refusal"], "refusal")}
        for call in objects(message.get("tool_calls"), "tool_calls"):
            yield _call(call)
    elif role == "tool":
        name = words(message.get("tool_call_id"), "tool_call_id")
        yield {"type": "tool_result", "tool_use_id": name, "content": list(_content(content))}
    else:
        raise no_counterpart(f"a message of role {role!r}", WHOSE)


def _content(content: Any) -> Iterator[Json]:
    if isinstance(content, str):
        if content:  # the vendor refuses empty texts, which say nothing
            yield {"type": "text", "text": content}
        return
    for part in objects(content, "content"):
        kind = part.get("type")
        if kind in ("text", "refusal"):
            only_known(part, ("type", "text", "refusal"), WHOSE, inside="content")
            if text := words(part.get(kind), kind):
                yield {"type": "text", "text": text}
        elif kind == "image_url":
            yield {"type": "image", "source": _image(an_object(part.get("image_url"), "image_url"))}
        else:
            raise no_counterpart(f"a part of type {kind!r}", WHOSE)


def _image(told_: Mapping[str, Any]) -> Json:
    if told_.get("detail") not in (None, "auto"):
        raise no_counterpart(f"detail={told_['detail']!r} of a picture", WHOSE)
    address = words(told_.get("url"), "image_url.url")
    if not address.startswith("data:"):
        return {"type": "url", "url": address}
    head, comma, data = address[5:].partition(",")
    media, semicolon, coding = head.partition(";")
    if not (comma and semicolon) or coding != "base64":
        raise wrong("a picture in a request must be data:TYPE;base64,...")
    return {"type": "base64", "media_type": media, "data": data}


# --- tools -----------------------------------------------------------------------------------------------------


def _call(call: Mapping[str, Any]) -> Json:
    if call.get("type", "function") != "function":
        raise no_counterpart(f"a call of type {call.get('type')!r}", WHOSE)
    function = an_object(call.get("function"), "function")
    return {
        "type": "tool_use",
        "id": words(call.get("id"), "the id of a call"),
        "name": words(function.get("name"), "the name of a function"),
        "input": loads(words(function.get("arguments"), "arguments"), "the arguments of a call"),
    }


def _tools(body: Mapping[str, Any]) -> Json:
    sent: Json = {}
    if tools := objects(body.get("tools"), "tools"):
        sent["tools"] = [_tool(tool) for tool in tools]
    choice = _choice(body.get("tool_choice"))
    if body.get("parallel_tool_calls") is False and tools and choice != {"type": "none"}:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        sent["tool_choice"] = choice
    return sent


def _tool(tool: Mapping[str, Any]) -> Json:
    if tool.get("type") != "function":
        raise no_counterpart(f"a tool of type {tool.get('type')!r}", WHOSE)
    function = an_object(tool.get("function"), "function")
    only_known(function, ("name", "description", "parameters", "strict"), WHOSE, inside="function")
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    made = {"name": words(function.get("name"), "the name of a function"), "input_schema": schema}
    made |= told(function, {"description": "description"})
    return made | ({"strict": True} if function.get("strict") is True else {})


def _choice(choice: Any) -> Json | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        kinds = {"none": "none", "auto": "auto", "required": "any"}
        if choice not in kinds:
            raise no_counterpart(f"tool_choice={choice!r}", WHOSE)
        return {"type": kinds[choice]}
    kind = an_object(choice, "tool_choice").get("type")
    if kind != "function":
        raise no_counterpart(f"tool_choice of type {kind!r}", WHOSE)
    return {"type": "tool", "name": words(an_object(choice.get("function"), "function").get("name"), "the name")}
