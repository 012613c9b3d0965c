"""A request for messages, asked of OpenAI's chat completions.

Results of tools become messages of their own, before what else their turn says (platform.openai.com: chat, function
calling; platform.claude.com: messages, tool use).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aegis.core.dialects.fields import (
    Json,
    Translated,
    an_object,
    dumps,
    no_counterpart,
    objects,
    only_known,
    told,
    words,
    wrong,
)
from aegis.core.metering.bounds import names

WHOSE: Final = "OpenAI's API"
STOPS_MAX: Final = 4
"""The vendor's own bound (API reference, chat: stop)."""
_SAME: Final = {"model": "model", "temperature": "temperature", "top_p": "top_p", "stream": "stream"}
_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "service_tier": ("auto", "standard_only"),
    "inference_geo": ("global",),
    "speed": ("standard",),
    "mcp_servers": ([],),
    "context_management": ({},),
}
_FIELDS: Final = names(
    "messages max_tokens system stop_sequences metadata output_config tools tool_choice thinking cache_control"
).union(_SAME, _NOTHING)
_EFFORTS: Final = ("low", "medium", "high", "xhigh")
_THOUGHTS: Final = ("thinking", "redacted_thinking")
_PART_FIELDS: Final = frozenset({"type", "text", "cache_control", "citations", "source", "title", "context"})


class _Left:
    """What is left out, each named once."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def out(self, name: str) -> None:
        self.names[name] = None

    def hints(self, one: Mapping[str, Any]) -> None:
        """A mark for the other vendor's cache: OpenAI's caches by itself."""
        if one.get("cache_control"):
            self.out("cache_control")


def to_chat(body: Mapping[str, Any], *, vendor: bool) -> Translated:
    """The request as one for a chat; `vendor` says that OpenAI itself is asked, which has newer names than the servers
    that speak its protocol. Raises `BadInput` for what has no counterpart, and for what is no request for messages.
    """
    only_known(body, _FIELDS, WHOSE)
    for name, fine in _NOTHING.items():
        if body.get(name) is not None and body[name] not in fine:
            raise no_counterpart(f"{name}={body[name]!r}", WHOSE)
    left = _Left()
    left.hints(body)
    sent = told(body, _SAME | {"max_tokens": "max_completion_tokens" if vendor else "max_tokens"})
    sent["messages"] = [*_system(body.get("system"), left), *_turns(body, left)]
    if stops := body.get("stop_sequences"):
        if not isinstance(stops, list) or len(stops) > STOPS_MAX:
            raise no_counterpart(f"more than {STOPS_MAX} stop_sequences", WHOSE)
        sent["stop"] = stops
    user = an_object(body.get("metadata") or {}, "metadata")
    only_known(user, ("user_id",), WHOSE, inside="metadata")
    sent |= told(user, {"user_id": "safety_identifier" if vendor else "user"})
    sent |= _output(body.get("output_config")) | _tools(body, left)
    _thinking(body.get("thinking"), left)
    return Translated(body=sent, left_out=tuple(left.names))


def _thinking(thinking: Any, left: _Left) -> None:
    kind = an_object(thinking or {}, "thinking").get("type")
    if kind == "adaptive":
        left.out("thinking")  # the model decides by itself, which is what these models do
    elif kind not in (None, "disabled"):
        raise no_counterpart(f"thinking of type {kind!r}", WHOSE)


def _output(config: Any) -> Json:
    sent: Json = {}
    config = an_object(config or {}, "output_config")
    only_known(config, ("effort", "format"), WHOSE, inside="output_config")
    if (effort := config.get("effort")) is not None:
        if effort not in _EFFORTS:
            raise no_counterpart(f"effort={effort!r}", WHOSE)
        sent["reasoning_effort"] = effort
    if (shape := config.get("format")) is not None:
        schema = an_object(shape, "format").get("schema")
        named = {"name": "answer", "schema": an_object(schema, "the schema"), "strict": True}
        sent["response_format"] = {"type": "json_schema", "json_schema": named}
    return sent


# --- messages --------------------------------------------------------------------------------------------------


def _system(system: Any, left: _Left) -> Iterator[Json]:
    if isinstance(system, str):
        if system:
            yield {"role": "system", "content": system}
    elif blocks := objects(system, "system"):
        yield {"role": "system", "content": [_part(block, left) for block in blocks]}


def _turns(body: Mapping[str, Any], left: _Left) -> Iterator[Json]:
    for message in objects(body.get("messages"), "messages"):
        only_known(message, ("role", "content"), WHOSE, inside="messages")
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant", "system"):
            raise wrong(f"a message of role {role!r}")
        if isinstance(content, str):
            yield {"role": role, "content": content}
            continue
        blocks = objects(content, "content")
        yield from (_assistant(blocks, left),) if role == "assistant" else _user(blocks, role, left)


def _user(blocks: list[Mapping[str, Any]], role: str, left: _Left) -> Iterator[Json]:
    for block in blocks:
        if block.get("type") == "tool_result":
            yield _result(block, left)
    rest = [_part(block, left) for block in blocks if block.get("type") != "tool_result"]
    if rest:
        yield {"role": role, "content": rest}


def _assistant(blocks: list[Mapping[str, Any]], left: _Left) -> Json:
    said: list[Json] = []
    calls: list[Json] = []
    for block in blocks:
        kind = block.get("type")
        if kind in _THOUGHTS:
            left.out("thinking of earlier turns")
        elif kind == "tool_use":
            left.hints(block)
            calls.append(_call(block))
        else:
            said.append(_part(block, left))
    return {"role": "assistant", "content": said or None} | ({"tool_calls": calls} if calls else {})


def _part(block: Mapping[str, Any], left: _Left) -> Json:
    kind = block.get("type")
    left.hints(block)
    source = block.get("source")
    if kind == "text":
        only_known(block, _PART_FIELDS, WHOSE, inside="content")
        return {"type": "text", "text": words(block.get("text"), "text")}
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": _address(an_object(source, "source"))}}
    if kind == "document" and isinstance(source, Mapping) and source.get("type") == "text":
        titles = [str(block[name]) for name in ("title", "context") if block.get(name)]
        return {"type": "text", "text": "\n".join([*titles, words(source.get("data"), "data")])}
    raise no_counterpart(f"a block of type {kind!r}", WHOSE)


def _address(source: Mapping[str, Any]) -> str:
    if source.get("type") == "url":
        return words(source.get("url"), "url")
    if source.get("type") != "base64":
        raise no_counterpart(f"a picture from {source.get('type')!r}", WHOSE)
    return f"data:{words(source.get('media_type'), 'media_type')};base64,{words(source.get('data'), 'data')}"


def _result(block: Mapping[str, Any], left: _Left) -> Json:
    left.hints(block)
    if block.get("is_error"):
        left.out("is_error")  # the text of a failure says so itself
    content = block.get("content")
    if not isinstance(content, str):
        parts = [_part(part, left) for part in objects(content, "content")]
        if any(part["type"] != "text" for part in parts):
            raise no_counterpart("a picture as the result of a tool", WHOSE)
        content = parts or ""
    return {"role": "tool", "tool_call_id": words(block.get("tool_use_id"), "tool_use_id"), "content": content}


# --- tools -----------------------------------------------------------------------------------------------------


def _call(block: Mapping[str, Any]) -> Json:
    arguments = dumps(an_object(block.get("input"), "the input of a tool"))
    function = {"name": words(block.get("name"), "the name of a tool"), "arguments": arguments}
    return {"id": words(block.get("id"), "the id of a tool_use"), "type": "function", "function": function}


def _tools(body: Mapping[str, Any], left: _Left) -> Json:
    sent: Json = {}
    if tools := objects(body.get("tools"), "tools"):
        sent["tools"] = [_tool(tool, left) for tool in tools]
    choice = body.get("tool_choice")
    if choice is None:
        return sent
    kind = str(an_object(choice, "tool_choice").get("type"))
    plain = {"none": "none", "auto": "auto", "any": "required"}
    if kind == "tool":
        sent["tool_choice"] = {"type": "function", "function": {"name": words(choice.get("name"), "the name")}}
    elif kind in plain:
        sent["tool_choice"] = plain[kind]
    else:
        raise no_counterpart(f"tool_choice of type {kind!r}", WHOSE)
    if choice.get("disable_parallel_tool_use") is True:
        sent["parallel_tool_calls"] = False
    return sent


def _tool(tool: Mapping[str, Any], left: _Left) -> Json:
    if tool.get("type") not in (None, "custom"):
        raise no_counterpart(f"a tool of type {str(tool.get('type'))[:64]!r}", WHOSE)
    left.hints(tool)
    known = ("type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming")
    only_known(tool, known, WHOSE, inside="tools")
    schema = an_object(tool.get("input_schema"), "input_schema")
    function: Json = {"name": words(tool.get("name"), "the name of a tool"), "parameters": schema}
    function |= told(tool, {"description": "description"})
    function |= {"strict": True} if tool.get("strict") is True else {}
    return {"type": "function", "function": function}
