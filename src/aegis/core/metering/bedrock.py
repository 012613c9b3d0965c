"""Bedrock's Converse on the wire: what bounds a request, and where an answer or its stream says what it used.

`inputTokens` excludes what was read from and written to the cache (Bedrock Runtime API reference: TokenUsage). Guardrails,
optimised latency and fields for single models have prices or effects of their own and are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from aegis.core import eventstream
from aegis.core.calls import Usage
from aegis.core.errors import BadInput
from aegis.core.metering.bounds import (
    IMAGE_TOKENS,
    Bounded,
    count,
    listed,
    names,
    no_bound,
    only,
    raw_tokens,
    text,
    whole,
)
from aegis.core.metering.writing import written

FIELDS: Final = names("""model messages system inferenceConfig toolConfig additionalModelResponseFieldPaths requestMetadata
    outputConfig serviceTier performanceConfig""")
_SETTINGS: Final = names("maxTokens temperature topP stopSequences")
_TEXTS: Final = names("text toolUse cachePoint reasoningContent citationsContent json")
_DEPTH_MAX: Final = 2
"""Content within the result of a tool; the service nests no deeper."""


def bound_converse(
    body: dict[str, Any], *, output_tokens: int, stream: bool, extra: frozenset[str] = frozenset()
) -> Bounded:
    """The request with its cap; its `model` goes into the path and not into what is sent. Raises `BadInput`."""
    only(body, FIELDS, extra)
    model = text(body, "model")
    settings = body.get("inferenceConfig") or {}
    if not isinstance(settings, dict):
        raise BadInput("inferenceConfig must be an object", code="bad_object")
    only(settings, _SETTINGS, extra)
    cap = whole(settings, "maxTokens")
    sent = {name: value for name, value in body.items() if name != "model"}
    if cap is None:
        cap = output_tokens
        sent["inferenceConfig"] = settings | {"maxTokens": cap}
    _refuse_own_prices(body)
    raw = written(sent)
    more = sum(_part(part) for part in _parts(body))
    tokens = raw_tokens(raw, {"tools": body.get("toolConfig"), "text": body.get("outputConfig")}) + more
    cached = b'"cachePoint"' in raw
    worst = {"prompt_tokens" if cached else "input_tokens": tokens, "output_tokens": cap}
    if cached and b'"ttl"' in raw:
        worst["cache_write_1h_tokens"] = tokens
    return Bounded(body=sent, raw=raw, model=model, worst=worst, tier=_tier(body), stream=stream)


def _tier(body: Mapping[str, Any]) -> str:
    tier = body.get("serviceTier")
    kind = tier.get("type") if isinstance(tier, Mapping) else tier
    if kind is not None and not isinstance(kind, str):
        raise BadInput("serviceTier.type must be a text", code="bad_text")
    return "" if kind in (None, "default") else kind


def _refuse_own_prices(body: Mapping[str, Any]) -> None:
    speed = body.get("performanceConfig")
    if speed is not None and (not isinstance(speed, Mapping) or speed.get("latency") not in (None, "standard")):
        raise no_bound("performanceConfig", "has a price of its own")
    config = body.get("toolConfig") or {}
    if not isinstance(config, Mapping):
        raise BadInput("toolConfig must be an object", code="bad_object")
    for tool in listed(config.get("tools"), "tools"):
        if not isinstance(tool, Mapping) or not tool.keys() <= {"toolSpec", "cachePoint"}:
            raise no_bound("a tool that is no toolSpec", "brings in input from elsewhere")


def _parts(body: Mapping[str, Any]) -> Iterator[Any]:
    yield from listed(body.get("system"), "system")
    for message in listed(body.get("messages"), "messages"):
        if not isinstance(message, Mapping):
            raise BadInput("a message must be an object", code="bad_part")
        yield from _inside(listed(message.get("content"), "content"), 0)


def _inside(content: list[Any], depth: int) -> Iterator[Any]:
    if depth > _DEPTH_MAX:
        raise no_bound("content this deep", "is bounded by nothing")
    for part in content:
        result = part.get("toolResult") if isinstance(part, Mapping) else None
        if isinstance(result, Mapping):
            yield from _inside(listed(result.get("content"), "content"), depth + 1)
        else:
            yield part


def _part(part: Any) -> int:
    """What a part that is no text adds to the bytes of the body, or takes from them."""
    if not isinstance(part, Mapping) or len(part) != 1:
        raise BadInput("a part has one kind of content", code="bad_part")
    kind, held = next(iter(part.items()))
    if kind in _TEXTS:
        return 0
    source = held.get("source") if kind == "image" and isinstance(held, Mapping) else None
    if isinstance(source, Mapping) and isinstance(source.get("bytes"), str):
        return IMAGE_TOKENS - len(source["bytes"])
    raise no_bound(f"a {str(kind)[:64]!r} part", "is not bounded by its bytes")


# --- what an answer used ---------------------------------------------------------------------------------------


def usage(told: Any) -> Usage:
    """A `usage` of Converse as disjoint meters. Raises `BadInput` where it says no counts."""
    if not isinstance(told, Mapping) or told.get("inputTokens") is None or told.get("outputTokens") is None:
        raise BadInput("no usage was told", code="bad_usage")
    details = listed(told.get("cacheDetails"), "cacheDetails")
    long = sum(count(one, "inputTokens") for one in details if isinstance(one, Mapping) and one.get("ttl") == "1h")
    counts = {
        "cache_read_tokens": count(told, "cacheReadInputTokens"),
        "cache_write_tokens": max(count(told, "cacheWriteInputTokens") - long, 0),
        "cache_write_1h_tokens": long,
    }
    used = {"input_tokens": count(told, "inputTokens"), "output_tokens": count(told, "outputTokens")}
    return used | {name: units for name, units in counts.items() if units}


class ConverseUsage:
    """Reads the frames of a stream as they pass: the one of type `metadata`, the last, holds the usage."""

    __slots__ = ("_told", "ended")

    def __init__(self) -> None:
        self._told: Any = None
        self.ended = False

    def see(self, event: bytes) -> bool:
        """Read one whole frame; whether it is for the caller (always)."""
        if b"metadata" in event:
            frame = eventstream.read(event)
            if frame.headers.get(":event-type") == "metadata":
                try:
                    self._told, self.ended = orjson.loads(frame.payload).get("usage"), True
                except (orjson.JSONDecodeError, AttributeError):
                    raise BadInput("the end of the stream cannot be read", code="bad_usage") from None
        return True

    def final(self) -> Usage | None:
        """All that was used, once the stream has said so."""
        return usage(self._told) if self.ended else None

    def least(self, _worst: Usage) -> Usage | None:
        """Nothing is said before the end."""
        return None
