"""OpenAI's client: what bounds a request of each kind, and where its usage stands.

OpenAI caches prompts by itself and, for some models, bills the writing at a rate of its own; its prompt counts include
what was read and written, ours do not, so both are taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis.core.calls import Usage
from aegis.library.bounds import FRAMING_TOKENS, request_tokens
from aegis.library.operations import Bounded, Operation, Vendor, cap, count_of, field_of, given, refuse

_CHAT_SENT = ("messages", "tools", "tool_choice", "functions", "response_format")
_RESPONSE_SENT = ("input", "instructions", "tools", "tool_choice", "text", "reasoning")
_OWN_TOOLS = ("function", "custom")
_CHOICES_MAX = 128


def bound_chat(request: Mapping[str, Any], most: int | None) -> Bounded:
    """Bytes as tokens, the cap times the number of choices as output; a stream is asked for its usage."""
    _check(request, ("audio", "web_search_options", "prediction", "extra_body"))
    if "audio" in (given(request, "modalities") or ()):
        raise refuse("openai", "spoken output", "is counted by another meter")
    limit = given(request, "max_completion_tokens") or given(request, "max_tokens")
    output = cap(limit, most)
    name = "max_tokens" if given(request, "max_tokens") and not given(request, "max_completion_tokens") else ""
    changed = {**request, name or "max_completion_tokens": output}
    added = False
    if given(request, "stream"):
        options = given(request, "stream_options") or {}
        added = not options.get("include_usage")
        changed["stream_options"] = {**options, "include_usage": True}
    choices = given(request, "n") or 1
    if not (isinstance(choices, int) and 1 <= choices <= _CHOICES_MAX):
        raise refuse("openai", f"n={choices!r}", "is no number of choices")
    worst = {"prompt_tokens": _tokens(request, _CHAT_SENT), "output_tokens": output * choices}
    model, tier = str(request.get("model", "")), str(given(request, "service_tier") or "")
    return Bounded(request=changed, model=model, worst=worst, added=added, tier=tier)


def bound_response(request: Mapping[str, Any], most: int | None) -> Bounded:
    """Bytes as tokens, the cap as output. What the service adds from elsewhere is refused."""
    _check(request, ("previous_response_id", "conversation", "background", "prompt", "extra_body"))
    output = cap(given(request, "max_output_tokens"), most)
    worst = {"prompt_tokens": _tokens(request, _RESPONSE_SENT), "output_tokens": output}
    model, tier = str(request.get("model", "")), str(given(request, "service_tier") or "")
    return Bounded(request={**request, "max_output_tokens": output}, model=model, worst=worst, tier=tier)


def bound_embeddings(request: Mapping[str, Any], _most: int | None) -> Bounded:
    """Bytes as tokens; there is no output."""
    worst = {"input_tokens": request_tokens(given(request, "input"))}
    return Bounded(request=request, model=str(request.get("model", "")), worst=worst)


def _check(request: Mapping[str, Any], unbounded: tuple[str, ...]) -> None:
    for name in unbounded:
        if given(request, name):
            raise refuse("openai", name, "brings in what this request does not hold")
    for tool in given(request, "tools") or ():
        if (kind := field_of(tool, "type")) not in _OWN_TOOLS:
            raise refuse("openai", f"the tool {kind}", "brings in input from elsewhere")


def _tokens(request: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return request_tokens({name: given(request, name) for name in names if given(request, name)}) + FRAMING_TOKENS


def tier(answer: Any) -> str:
    """The tier that answered: `auto` may have come to another, and a busy `priority` to the default."""
    return str(field_of(answer, "service_tier") or "")


def usage(answer: Any) -> Usage | None:
    """The usage of a chat completion, a response or an embedding."""
    told = field_of(answer, "usage")
    if told is None:
        return None
    prompt = field_of(told, "prompt_tokens")
    read = field_of(told, "input_tokens") if prompt is None else prompt
    details = field_of(told, "prompt_tokens_details") or field_of(told, "input_tokens_details")
    cached, written = count_of(details, "cached_tokens"), count_of(details, "cache_write_tokens")
    output = count_of(told, "completion_tokens") or count_of(told, "output_tokens")
    if not (isinstance(read, int) and isinstance(cached, int) and isinstance(written, int)):
        return None
    counts = {"cache_read_tokens": cached, "cache_write_tokens": written, "output_tokens": output}
    return {"input_tokens": read - cached - written, **{meter: units for meter, units in counts.items() if units}}


class ChatFold:
    """The last piece of a chat stream holds the usage and no choices; it is kept from a caller who did not ask."""

    def __init__(self, bounded: Bounded) -> None:
        self._hide, self._usage = bounded.added, None  # type: tuple[bool, Usage | None]
        self.tier = ""

    def see(self, piece: Any) -> bool:
        self.tier = tier(piece) or self.tier
        found = usage(piece)
        if found is not None:
            self._usage = found
        return not (self._hide and found is not None and not field_of(piece, "choices"))

    def usage(self) -> Usage | None:
        return self._usage


class ResponseFold:
    """The last event of a response holds the whole response."""

    def __init__(self, _: Bounded) -> None:
        self._usage: Usage | None = None
        self.tier = ""

    def see(self, piece: Any) -> bool:
        if field_of(piece, "type") in ("response.completed", "response.incomplete", "response.failed"):
            self._usage, self.tier = usage(field_of(piece, "response")), tier(field_of(piece, "response"))
        return True

    def usage(self) -> Usage | None:
        return self._usage


def _streams(request: Mapping[str, Any]) -> bool:
    return given(request, "stream") is True


_CHAT = Operation(name="chat.completions", bound=bound_chat, usage=usage, fold=ChatFold, streams=_streams, tier=tier)

VENDOR = Vendor(
    service="openai",
    operations={
        "chat.completions.create": _CHAT,
        "chat.completions.parse": _CHAT,
        "responses.create": Operation(
            name="responses", bound=bound_response, usage=usage, fold=ResponseFold, streams=_streams, tier=tier
        ),
        "embeddings.create": Operation(name="embeddings", bound=bound_embeddings, usage=usage),
    },
    free=frozenset(
        {"models.list", "models.retrieve", "moderations.create", "responses.retrieve", "responses.input_tokens.count"}
    ),
)
"""Everything else that the client can call is refused: images, audio, batches and assistants are not bounded here."""
