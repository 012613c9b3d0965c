"""A request for a response, asked as one for a chat completion: from there it goes wherever a chat goes.

Calls of functions and their results are items of their own here and parts of messages there (platform.openai.com:
migrate to responses). Nothing is stored with the other vendor, so what refers to something stored is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aegis.core.dialects.fields import (
    Json,
    Translated,
    an_object,
    no_counterpart,
    objects,
    only_known,
    told,
    words,
    wrong,
)
from aegis.core.metering.bounds import names

WHOSE: Final = "the API"
_SAME: Final = {
    "model": "model",
    "temperature": "temperature",
    "top_p": "top_p",
    "stream": "stream",
    "max_output_tokens": "max_completion_tokens",
    "parallel_tool_calls": "parallel_tool_calls",
    "user": "user",
    "safety_identifier": "safety_identifier",
    "prompt_cache_key": "prompt_cache_key",
    "prompt_cache_retention": "prompt_cache_retention",
    "service_tier": "service_tier",
}
_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "store": (False,),
    "background": (False,),
    "truncation": ("disabled",),
    "top_logprobs": (0,),
}
"""Fields of which these values ask for nothing out of the ordinary."""
_HINTS: Final = ("metadata", "include", "stream_options")
"""What changes no answer: labels, and more about how it came about."""
_FIELDS: Final = names("input instructions text tools tool_choice reasoning").union(_SAME, _NOTHING, _HINTS)
_TEXTS: Final = ("input_text", "output_text", "text")


def response_to_chat(body: Mapping[str, Any]) -> Translated:
    """The request as one for a chat. Raises `BadInput` for what has no counterpart, and for what is no such request."""
    only_known(body, _FIELDS, WHOSE)
    for name, fine in _NOTHING.items():
        if body.get(name) is not None and body[name] not in fine:
            raise no_counterpart(f"{name}={body[name]!r}", WHOSE)
    left = {name: None for name in ("metadata", "include") if body.get(name)}
    sent = told(body, _SAME)
    messages: list[Json] = []
    if body.get("instructions") is not None:
        messages.append({"role": "developer", "content": words(body["instructions"], "instructions")})
    given = body.get("input")
    if isinstance(given, str):
        messages.append({"role": "user", "content": given})
    else:
        for item in objects(given, "input"):
            _item(item, messages, left)
    sent["messages"] = messages
    sent |= _shape(body.get("text")) | _effort(body.get("reasoning"), left) | _tools(body)
    return Translated(body=sent, left_out=tuple(left))


# --- items -----------------------------------------------------------------------------------------------------


def _item(item: Mapping[str, Any], messages: list[Json], left: dict[str, None]) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        only_known(item, ("type", "id", "role", "content", "status", "phase"), WHOSE, inside="input")
        messages.append({"role": _role(item.get("role")), "content": _content(item.get("content"))})
    elif kind == "function_call":
        call = {"id": words(item.get("call_id"), "call_id"), "type": "function"}
        call["function"] = {  # type: ignore[assignment]
            "name": words(item.get("name"), "the name of a call"),
            "arguments": words(item.get("arguments"), "arguments"),
        }
        if messages and messages[-1]["role"] == "assistant":
            messages[-1].setdefault("tool_calls", []).append(call)
        else:
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    elif kind == "function_call_output":
        name = words(item.get("call_id"), "call_id")
        messages.append({"role": "tool", "tool_call_id": name, "content": _content(item.get("output"))})
    elif kind == "reasoning":
        left["reasoning of earlier turns"] = None
    else:
        raise no_counterpart(f"an item of type {kind!r}", WHOSE)


def _role(role: Any) -> str:
    if role not in ("user", "assistant", "system", "developer"):
        raise wrong(f"a message of role {role!r}")
    return str(role)


def _content(content: Any) -> str | list[Json]:
    return content if isinstance(content, str) else [_part(part) for part in objects(content, "content")]


def _part(part: Mapping[str, Any]) -> Json:
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": words(part.get("text"), "text")}
    if kind == "refusal":
        return {"type": "text", "text": words(part.get("refusal"), "refusal")}
    if kind == "input_image" and part.get("image_url"):
        picture: Json = {"url": words(part["image_url"], "image_url")}
        return {"type": "image_url", "image_url": picture | told(part, {"detail": "detail"})}
    raise no_counterpart(f"a part of type {kind!r}", WHOSE)


# --- the answer's shape, tools -----------------------------------------------------------------------------------


def _shape(text: Any) -> Json:
    text = an_object(text or {}, "text")
    only_known(text, ("format", "verbosity"), WHOSE, inside="text")
    sent = told(text, {"verbosity": "verbosity"})
    shape = an_object(text.get("format") or {"type": "text"}, "text.format")
    if shape.get("type") == "json_schema":
        schema = told(shape, {"name": "name", "schema": "schema", "strict": "strict", "description": "description"})
        sent["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif shape.get("type") != "text":
        raise no_counterpart(f"text.format of type {shape.get('type')!r}", WHOSE)
    return sent


def _effort(reasoning: Any, left: dict[str, None]) -> Json:
    reasoning = an_object(reasoning or {}, "reasoning")
    only_known(reasoning, ("effort", "summary"), WHOSE, inside="reasoning")
    if reasoning.get("summary") is not None:
        left["reasoning.summary"] = None
    return told(reasoning, {"effort": "reasoning_effort"})


def _tools(body: Mapping[str, Any]) -> Json:
    sent: Json = {}
    if tools := list(_each(body)):
        sent["tools"] = tools
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        if choice.get("type") != "function":
            raise no_counterpart(f"tool_choice of type {choice.get('type')!r}", WHOSE)
        sent["tool_choice"] = {"type": "function", "function": {"name": words(choice.get("name"), "the name")}}
    elif choice is not None:
        sent["tool_choice"] = choice
    return sent


def _each(body: Mapping[str, Any]) -> Iterator[Json]:
    for tool in objects(body.get("tools"), "tools"):
        if tool.get("type") != "function":
            raise no_counterpart(f"a tool of type {str(tool.get('type'))[:64]!r}", WHOSE)
        only_known(tool, ("type", "name", "description", "parameters", "strict"), WHOSE, inside="tools")
        yield {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}
