"""Anthropic's client: what bounds a Messages request, and where its usage stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis.core.calls import Usage
from aegis.library.bounds import FRAMING_TOKENS, has_key, request_tokens
from aegis.library.operations import Bounded, Operation, Vendor, cap, count_of, field_of, given, refuse

_SERVER_TOOLS = ("web_search", "web_fetch", "code_execution", "tool_search", "mcp_toolset", "advisor")
"""Tools that the service runs itself: what they bring back is input that no request bounds."""
_UNBOUNDED = ("mcp_servers", "container", "extra_body")
_SENT = ("messages", "system", "tools", "tool_choice", "output_config", "output_format", "thinking")


def bound(request: Mapping[str, Any], most: int | None) -> Bounded:
    """Bytes as tokens, the cap as output; a part that is to be cached may be written at that rate as well."""
    for name in _UNBOUNDED:
        if given(request, name):
            raise refuse("anthropic", name, "brings in input from elsewhere")
    if given(request, "speed") == "fast":
        raise refuse("anthropic", "speed='fast'", "has a price of its own")
    if (place := given(request, "inference_geo")) not in (None, "global"):
        raise refuse("anthropic", f"inference_geo={place!r}", "has a price of its own")
    for tool in given(request, "tools") or ():
        kind = str(field_of(tool, "type") or "")
        if kind.startswith(_SERVER_TOOLS):
            raise refuse("anthropic", f"the tool {kind}", "brings in input from elsewhere")
    output = cap(given(request, "max_tokens"), most)
    sent = {name: value for name in _SENT if (value := given(request, name)) is not None}
    tokens = request_tokens(sent) + FRAMING_TOKENS
    cached = given(request, "cache_control") or has_key(sent, "cache_control")
    worst = {"prompt_tokens" if cached else "input_tokens": tokens, "output_tokens": output}
    if cached and has_key(request, "ttl"):
        worst["cache_write_1h_tokens"] = tokens
    return Bounded(request={**request, "max_tokens": output}, model=str(request.get("model", "")), worst=worst)


def usage(answer: Any) -> Usage | None:
    """The usage of a message; `input_tokens` holds no cached ones."""
    return counted(field_of(answer, "usage"))


def counted(told: Any) -> Usage | None:
    """Our meters from an Anthropic usage."""
    if told is None:
        return None
    kept_long = count_of(field_of(told, "cache_creation"), "ephemeral_1h_input_tokens")
    counts = {
        "cache_read_tokens": count_of(told, "cache_read_input_tokens"),
        "cache_write_tokens": count_of(told, "cache_creation_input_tokens") - kept_long,
        "cache_write_1h_tokens": kept_long,
        "web_searches": count_of(field_of(told, "server_tool_use"), "web_search_requests"),
    }
    required = {"input_tokens": field_of(told, "input_tokens"), "output_tokens": field_of(told, "output_tokens")}
    return {**required, **{meter: units for meter, units in counts.items() if units}}


class Fold:
    """`message_start` says the input, each `message_delta` the output so far; the one with a stop reason is the last."""

    def __init__(self, bounded: Bounded) -> None:
        self._usage: dict[str, int] = {}
        self._whole, self._most = False, bounded.worst.get("output_tokens", 0)
        self.rest: Usage | None = None

    def see(self, piece: Any) -> bool:
        kind = field_of(piece, "type")
        if kind == "message_start":
            self._usage = dict(usage(field_of(piece, "message")) or {})
            # The input is known from here on; the output may still come to its cap.
            self.rest = {**self._usage, "output_tokens": self._most} if self._usage else None
        elif kind == "message_delta":
            told = field_of(piece, "usage")
            self._usage["output_tokens"] = count_of(told, "output_tokens")
            if (later := field_of(told, "input_tokens")) is not None:
                self._usage["input_tokens"] = later
            self._whole = field_of(field_of(piece, "delta"), "stop_reason") is not None
        return True

    def usage(self) -> Usage | None:
        return self._usage if self._whole else None


def manager_usage(stream: Any) -> Usage | None:
    """The usage of a stream helper at its end; nothing where it was left before the end."""
    message = field_of(stream, "current_message_snapshot")
    return usage(message) if field_of(message, "stop_reason") is not None else None


VENDOR = Vendor(
    service="anthropic",
    operations={
        "messages.create": Operation(
            name="messages",
            bound=bound,
            usage=usage,
            fold=Fold,
            streams=lambda request: given(request, "stream") is True,
        ),
        "messages.stream": Operation(name="messages", bound=bound, usage=manager_usage, manager=True),
    },
    free=frozenset({"messages.count_tokens", "models.list", "models.retrieve"}),
)
"""Everything else that the client can call is refused: batches and beta resources are not bounded here."""
