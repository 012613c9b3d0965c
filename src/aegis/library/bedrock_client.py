"""boto3's Bedrock client: what bounds Converse and InvokeModel, and where their usage stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from aegis.core.calls import Usage
from aegis.library.bounds import FRAMING_TOKENS, has_key, request_tokens, text_tokens
from aegis.library.operations import Bounded, Operation, Vendor, cap, refuse

_CONVERSE_SENT = ("messages", "system", "toolConfig", "additionalModelRequestFields", "outputConfig")
_PACKED = ("document", "video", "audio", "s3Location")
_HEADERS = {
    "x-amzn-bedrock-input-token-count": "input_tokens",
    "x-amzn-bedrock-output-token-count": "output_tokens",
    "x-amzn-bedrock-cache-read-input-token-count": "cache_read_tokens",
    "x-amzn-bedrock-cache-write-input-token-count": "cache_write_tokens",
}


def bound_converse(request: Mapping[str, Any], most: int | None) -> Bounded:
    """Bytes as tokens, `maxTokens` as output; with a cache point they may be written to the cache as well."""
    for name in ("guardrailConfig", "performanceConfig", "promptVariables"):
        if request.get(name):
            raise refuse("bedrock", name, "has a price of its own or brings in input from elsewhere")
    if request.get("serviceTier", {}).get("type", "default") not in ("default", "flex"):
        raise refuse("bedrock", "serviceTier", "has a price of its own")
    sent = {name: request[name] for name in _CONVERSE_SENT if name in request}
    if has_key(sent, _PACKED):
        raise refuse("bedrock", "a packed document", "is not bounded by its bytes")
    output = cap(request.get("inferenceConfig", {}).get("maxTokens"), most)
    tokens = request_tokens(sent) + FRAMING_TOKENS
    cached = has_key(sent, "cachePoint")
    worst = {"prompt_tokens" if cached else "input_tokens": tokens, "output_tokens": output}
    if cached and has_key(sent, "ttl"):
        worst["cache_write_1h_tokens"] = tokens
    changed = {**request, "inferenceConfig": {**request.get("inferenceConfig", {}), "maxTokens": output}}
    return Bounded(request=changed, model=str(request.get("modelId", "")), worst=worst)


def bound_invoke(request: Mapping[str, Any], _most: int | None) -> Bounded:
    """The bytes of a native body as tokens, and the cap that stands in it: a body without one is refused."""
    body = request.get("body", b"")
    try:
        inside = orjson.loads(body)
    except (orjson.JSONDecodeError, TypeError) as error:
        raise refuse("bedrock", "a body that is no JSON", "holds no cap") from error
    limits = [value for name in _CAPS if isinstance(value := _deep(inside, name), int)]
    if not limits:
        raise refuse("bedrock", "a body without max_tokens", "has no cap")
    text = body if isinstance(body, str) else bytes(body).decode("utf-8", "replace")
    worst = {"input_tokens": text_tokens(text) + FRAMING_TOKENS, "output_tokens": max(limits)}
    if has_key(inside, ("cache_control", "cachePoint")):
        worst["cache_write_1h_tokens"] = worst["input_tokens"]
    return Bounded(request=request, model=str(request.get("modelId", "")), worst=worst)


_CAPS = ("max_tokens", "max_completion_tokens", "max_gen_len", "maxTokens", "maxTokenCount", "max_tokens_to_sample")


def _deep(body: Any, name: str) -> Any:
    """A cap in a native body, at its top or in its settings."""
    if not isinstance(body, Mapping):
        return None
    inner = (body.get(part, {}) for part in ("inferenceConfig", "textGenerationConfig"))
    return body.get(name) or next((part[name] for part in inner if isinstance(part, Mapping) and name in part), None)


def usage(answer: Mapping[str, Any]) -> Usage | None:
    """The usage of Converse; `inputTokens` holds no cached ones."""
    told = answer.get("usage")
    return None if told is None else counted(told)


def counted(told: Mapping[str, Any]) -> Usage:
    """Our meters from a TokenUsage. One without counts has none that can be believed: the governor refuses it."""
    long = sum(part.get("inputTokens", 0) for part in told.get("cacheDetails", []) if part.get("ttl") == "1h")
    counts = {
        "cache_read_tokens": told.get("cacheReadInputTokens", 0),
        "cache_write_tokens": told.get("cacheWriteInputTokens", 0) - long,
        "cache_write_1h_tokens": long,
    }
    required = {"input_tokens": told.get("inputTokens", -1), "output_tokens": told.get("outputTokens", -1)}
    return {**required, **{meter: units for meter, units in counts.items() if units}}


def header_usage(answer: Mapping[str, Any]) -> Usage | None:
    """The usage of InvokeModel, which stands in the headers of its answer."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = {meter: int(headers[name]) for name, meter in _HEADERS.items() if str(headers.get(name, "")).isdecimal()}
    return found if {"input_tokens", "output_tokens"} <= found.keys() else None


class Fold:
    """The last event of a stream, `metadata`, holds the usage."""

    def __init__(self, _: Bounded) -> None:
        self._usage: Usage | None = None

    def see(self, piece: Any) -> bool:
        told = piece.get("metadata", {}).get("usage")
        if told is not None:
            self._usage = counted(told)
        return True

    def usage(self) -> Usage | None:
        return self._usage


VENDOR = Vendor(
    service="bedrock",
    operations={
        "converse": Operation(name="Converse", bound=bound_converse, usage=usage),
        "converse_stream": Operation(
            name="ConverseStream", bound=bound_converse, usage=usage, fold=Fold, streams=lambda _: True, part="stream"
        ),
        "invoke_model": Operation(name="InvokeModel", bound=bound_invoke, usage=header_usage),
    },
    free=frozenset({"count_tokens"}),
)
"""Guardrails, asynchronous invocations and bidirectional streams are refused: they are not bounded here."""
