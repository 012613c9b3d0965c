"""Anthropic's Messages on the wire: what bounds a request, and where an answer says what it used.

`input_tokens` excludes cached tokens; cache writes are told in one sum and by age (platform.claude.com: messages,
prompt caching, streaming). What brings in input from elsewhere, or has a price of its own, is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from aegis.core.calls import Usage
from aegis.core.errors import BadInput
from aegis.core.metering.bounds import (
    IMAGE_TOKENS,
    Bounded,
    count,
    flag,
    listed,
    names,
    no_bound,
    only,
    raw_tokens,
    text,
    whole,
)
from aegis.core.metering.writing import written

FIELDS: Final = names("""model messages max_tokens system stop_sequences stream metadata output_config output_format thinking tool_choice
    tools cache_control temperature top_p top_k user_profile_id diagnostics service_tier inference_geo speed
    context_management container mcp_servers workspace_id""")
_ELSEWHERE = ("container", "mcp_servers")
_TOOLS = ("custom", "bash_", "text_editor_", "memory_", "computer_")
"""Tools that the caller runs; the vendor's definitions of them are short (below `FRAMING_TOKENS`)."""
_PARTS = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "tool_result", "search_result"})
_DEPTH_MAX = 4
"""Content within tool results within content; the vendor nests no deeper."""


def bound(body: dict[str, Any], *, output_tokens: int, extra: frozenset[str] = frozenset()) -> Bounded:
    """The request with its cap; `output_tokens` is the cap where the request has none. Raises `BadInput`."""
    only(body, FIELDS, extra)
    model = text(body, "model")
    _refuse_own_prices(body)
    cap = whole(body, "max_tokens")
    sent = body if cap is not None else {**body, "max_tokens": output_tokens}
    cap = output_tokens if cap is None else cap
    raw = written(sent)
    tokens = raw_tokens(raw, sent) + _beside_text(sent)
    cached = b'"cache_control"' in raw
    worst = {"prompt_tokens" if cached else "input_tokens": tokens, "output_tokens": cap + _thinking(sent, cap)}
    if cached and b'"ttl"' in raw:
        worst["cache_write_1h_tokens"] = tokens
    return Bounded(body=sent, raw=raw, model=model, worst=worst, stream=flag(body, "stream"))


def bound_count(body: dict[str, Any], *, extra: frozenset[str] = frozenset()) -> Bounded:
    """The request of `count_tokens`, which is free."""
    only(body, FIELDS, extra)
    return Bounded(body=body, raw=written(body), model=text(body, "model"), worst={"requests": 1})


def _refuse_own_prices(body: Mapping[str, Any]) -> None:
    for name in _ELSEWHERE:
        if body.get(name):
            raise no_bound(name, "brings in input from elsewhere")
    if body.get("speed") not in (None, "standard"):
        raise no_bound(f"speed={body['speed']!r}", "has a price of its own")
    if body.get("inference_geo") not in (None, "global"):
        raise no_bound(f"inference_geo={body['inference_geo']!r}", "has a price of its own")
    if body.get("service_tier") not in (None, "auto", "standard_only"):
        raise no_bound(f"service_tier={body['service_tier']!r}", "has a price of its own")
    for tool in listed(body.get("tools"), "tools"):
        kind = str(tool.get("type") or "custom") if isinstance(tool, Mapping) else ""
        if not kind.startswith(_TOOLS):
            raise no_bound(f"the tool {kind[:64]!r}", "brings in input from elsewhere")


def _thinking(body: Mapping[str, Any], cap: int) -> int:
    """Thinking counts within `max_tokens`; a budget above it (interleaved thinking) may come on top."""
    thinking = body.get("thinking")
    budget = whole(thinking, "budget_tokens") if isinstance(thinking, Mapping) else None
    return budget if budget is not None and budget >= cap else 0


def _beside_text(body: Mapping[str, Any]) -> int:
    """What parts that are no text add to the bytes of the body, or take from them."""
    more = 0
    for message in listed(body.get("messages"), "messages"):
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, list):
            more += sum(_part(part) for part in _parts(content, 0))
    return more


def _parts(content: list[Any], depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > _DEPTH_MAX:
        raise no_bound("content this deep", "is bounded by nothing")
    for part in content:
        if not isinstance(part, Mapping):
            raise BadInput("a part of a content must be an object", code="bad_part")
        yield part
        inner = part.get("content")
        if part.get("type") in ("tool_result", "search_result") and isinstance(inner, list):
            yield from _parts(inner, depth + 1)


def _part(part: Mapping[str, Any]) -> int:
    kind, source = str(part.get("type")), part.get("source")  # it may be anything, also what no set can hold
    if kind in _PARTS:
        return 0
    if kind == "image" and isinstance(source, Mapping):
        data = source.get("data") if source.get("type") == "base64" else None
        return IMAGE_TOKENS - (len(data) if isinstance(data, str) else 0)
    if kind == "document" and isinstance(source, Mapping) and source.get("type") == "text":
        return 0
    raise no_bound(f"a {kind[:64]!r} part", "is not bounded by its bytes")


# --- what an answer used ---------------------------------------------------------------------------------------


def usage(told: Any) -> Usage:
    """A vendor's `usage` as disjoint meters. Raises `BadInput` where it says no counts."""
    if not isinstance(told, Mapping) or told.get("input_tokens") is None or told.get("output_tokens") is None:
        raise BadInput("no usage was told", code="bad_usage")
    return _meters(told)


def _meters(told: Mapping[str, Any]) -> dict[str, int]:
    split = told.get("cache_creation")
    long = count(split, "ephemeral_1h_input_tokens")
    short = max(count(told, "cache_creation_input_tokens") - long, count(split, "ephemeral_5m_input_tokens"), 0)
    counts = {
        "input_tokens": count(told, "input_tokens"),
        "output_tokens": count(told, "output_tokens"),
        "cache_read_tokens": count(told, "cache_read_input_tokens"),
        "cache_write_tokens": short,
        "cache_write_1h_tokens": long,
        "web_searches": count(told.get("server_tool_use"), "web_search_requests"),
    }
    return {name: units for name, units in counts.items() if units or name in ("input_tokens", "output_tokens")}


class StreamUsage:
    """Reads a stream as it passes: `message_start` tells the input, each `message_delta` the output so far."""

    __slots__ = ("_told", "ended", "input_known")

    def __init__(self) -> None:
        self._told: dict[str, Any] = {}
        self.ended = False
        self.input_known = False

    def see(self, event: bytes) -> bool:
        """Read one whole event; whether it is for the caller (always)."""
        if b'"content_block_delta"' in event:
            return True
        if b'"message_start"' in event or b'"message_delta"' in event:
            self._read(event)
        return True

    def _read(self, event: bytes) -> None:
        body = event_json(event)
        kind = body.get("type")
        told = body.get("usage")
        if kind == "message_start":
            message = body.get("message")
            told = message.get("usage") if isinstance(message, Mapping) else None
            self.input_known = isinstance(told, Mapping)
        if isinstance(told, Mapping) and kind in ("message_start", "message_delta"):
            self._told.update({name: value for name, value in told.items() if value is not None})
            delta = body.get("delta")
            self.ended = kind == "message_delta" and isinstance(delta, Mapping) and bool(delta.get("stop_reason"))

    def final(self) -> Usage | None:
        """All that was used, once the stream has said so."""
        return usage(self._told) if self.ended else None

    def least(self, worst: Usage) -> Usage | None:
        """The most that the whole stream can come to, by what it said of its input; None when it said nothing."""
        if not self.input_known:
            return None
        meters = _meters(self._told)
        return {**meters, "output_tokens": max(worst.get("output_tokens", 0), meters["output_tokens"])}


def event_json(event: bytes) -> dict[str, Any]:
    """The JSON object in the data of an event; empty where there is none."""
    at = event.find(b"data:")
    if at < 0:
        return {}
    lines = [line[5:] for line in event[at:].splitlines() if line.startswith(b"data:")]
    try:
        body = orjson.loads(b"\n".join(lines))
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
