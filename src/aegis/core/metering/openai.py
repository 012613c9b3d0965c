"""OpenAI's endpoints on the wire: what bounds a request of each kind, and where an answer says what it used.

OpenAI's prompt counts include tokens read from and written to its caches, ours do not (platform.openai.com: chat,
responses, embeddings, prompt caching). What brings in input from elsewhere, or has a price of its own, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aegis.core.calls import Usage
from aegis.core.errors import BadInput
from aegis.core.metering.anthropic import event_json
from aegis.core.metering.bounds import (
    IMAGE_TOKENS,
    Bounded,
    count,
    data_address,
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

CHAT: Final = names("""model messages max_tokens max_completion_tokens temperature top_p n stream stream_options stop response_format tools
    tool_choice parallel_tool_calls user safety_identifier seed presence_penalty frequency_penalty logit_bias logprobs
    top_logprobs metadata store service_tier reasoning_effort verbosity prediction modalities prompt_cache_key
    prompt_cache_retention functions function_call web_search_options audio""")
RESPONSES: Final = names("""model input instructions max_output_tokens temperature top_p stream stream_options text tools tool_choice metadata
    store service_tier reasoning previous_response_id parallel_tool_calls truncation user safety_identifier background
    include max_tool_calls prompt prompt_cache_key prompt_cache_retention conversation top_logprobs
    context_management""")
EMBEDDINGS: Final = names("model input dimensions encoding_format user")
MODERATIONS: Final = names("model input")
CHOICES_MAX: Final = 128
"""The vendor's own bound of `n` (API reference, chat)."""
MODERATION_MODEL: Final = "omni-moderation-latest"
"""What the vendor takes where a moderation names none (API reference, moderations)."""
_OWN_TOOLS = ("function", "custom")
_ITEMS = names("message function_call function_call_output custom_tool_call custom_tool_call_output reasoning")
_TEXTS = names("text input_text output_text refusal summary_text reasoning_text")


def bound_chat(
    body: dict[str, Any], *, output_tokens: int, vendor: bool, extra: frozenset[str] = frozenset()
) -> Bounded:
    """Bytes as tokens, the cap times the choices as output; a stream is asked for its usage.

    `vendor` says that OpenAI itself is asked: its tiers are then pinned to those of the list price. Raises `BadInput`.
    """
    only(body, CHAT, extra)
    model = text(body, "model")
    for name in ("audio", "web_search_options"):
        if body.get(name):
            raise no_bound(name, "has a price of its own or brings in input from elsewhere")
    if "audio" in listed(body.get("modalities"), "modalities"):
        raise no_bound("spoken output", "is counted by another meter")
    old, new = whole(body, "max_tokens"), whole(body, "max_completion_tokens")
    sent = dict(body)
    if old is None and new is None:
        sent["max_completion_tokens" if vendor else "max_tokens"] = output_tokens
    cap = max(old or 0, new or 0) or output_tokens
    tier = _pin_tier(sent, vendor=vendor)
    _own_tools(body)
    stream = flag(body, "stream")
    hides = stream and _ask_usage(sent)
    choices = whole(body, "n", most=CHOICES_MAX) or 1
    raw = written(sent)
    prediction = len(written(body["prediction"])) if body.get("prediction") else 0
    worst = {
        "prompt_tokens": raw_tokens(raw, sent) + sum(_chat_parts(body)),
        "output_tokens": (cap + prediction) * choices,
    }
    return Bounded(body=sent, raw=raw, model=model, worst=worst, tier=tier, stream=stream, hides_usage=hides)


def bound_responses(
    body: dict[str, Any], *, output_tokens: int, vendor: bool, extra: frozenset[str] = frozenset()
) -> Bounded:
    """Bytes as tokens, the cap as output. What the service adds from elsewhere is refused. Raises `BadInput`."""
    only(body, RESPONSES, extra)
    model = text(body, "model")
    for name in ("previous_response_id", "conversation", "background", "prompt"):
        if body.get(name):
            raise no_bound(name, "brings in what this request does not hold")
    _own_tools(body)
    cap = whole(body, "max_output_tokens")
    sent = dict(body) if cap is not None else {**body, "max_output_tokens": output_tokens}
    tier = _pin_tier(sent, vendor=vendor)
    raw = written(sent)
    more = sum(_response_parts(body)) if isinstance(body.get("input"), list) else 0
    worst = {"prompt_tokens": raw_tokens(raw, sent) + more, "output_tokens": output_tokens if cap is None else cap}
    return Bounded(body=sent, raw=raw, model=model, worst=worst, tier=tier, stream=flag(body, "stream"))


def bound_embeddings(body: dict[str, Any], *, extra: frozenset[str] = frozenset()) -> Bounded:
    """Bytes as tokens (a token given as a number takes two bytes or more); there is no output."""
    only(body, EMBEDDINGS, extra)
    raw = written(body)
    return Bounded(body=body, raw=raw, model=text(body, "model"), worst={"input_tokens": raw_tokens(raw, body)})


def bound_moderations(body: dict[str, Any], *, extra: frozenset[str] = frozenset()) -> Bounded:
    """Moderation is free; the vendor's price list says so."""
    only(body, MODERATIONS, extra)
    model = text(body, "model") if body.get("model") is not None else MODERATION_MODEL
    sent = {**body, "model": model}
    return Bounded(body=sent, raw=written(sent), model=model, worst={"requests": 1})


def _pin_tier(sent: dict[str, Any], *, vendor: bool) -> str:
    """The tier of service that is asked for; it has a price of its own, or the governor refuses it."""
    tier = sent.get("service_tier")
    if tier is not None and not isinstance(tier, str):
        raise BadInput("service_tier must be a text", code="bad_text")
    if tier in (None, "auto"):
        if vendor:  # "auto" is whatever the project is set to, which may cost a multiple
            sent["service_tier"] = "default"
        return ""
    return tier or ""


def _ask_usage(sent: dict[str, Any]) -> bool:
    """Ask for the usage at the end of the stream; whether the caller did not."""
    options = sent.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadInput("stream_options must be an object", code="bad_object")
    asked = options.get("include_usage")
    sent["stream_options"] = {**options, "include_usage": True}
    return asked is not True


def _own_tools(body: Mapping[str, Any]) -> None:
    for tool in listed(body.get("tools"), "tools"):
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if kind not in _OWN_TOOLS:
            raise no_bound(f"the tool {str(kind)[:64]!r}", "brings in input from elsewhere")


def _chat_parts(body: Mapping[str, Any]) -> Iterator[int]:
    for message in listed(body.get("messages"), "messages"):
        if not isinstance(message, dict):
            raise BadInput("a message must be an object", code="bad_part")
        if message.get("audio"):
            raise no_bound("an earlier spoken answer", "is not bounded by this request")
        content = message.get("content")
        if isinstance(content, list):
            yield from map(_part, content)


def _response_parts(body: Mapping[str, Any]) -> Iterator[int]:
    for item in listed(body.get("input"), "input"):
        kind = str(item.get("type", "message")) if isinstance(item, Mapping) else None
        if kind not in _ITEMS:
            raise no_bound(f"an {str(kind)[:64]!r} item", "brings in what this request does not hold")
        for name in ("content", "output"):
            content = item.get(name)
            yield from map(_part, content if isinstance(content, list) else ())


def _part(part: Any) -> int:
    """What a part that is no text adds to the bytes of the body, or takes from them."""
    kind = str(part.get("type")) if isinstance(part, Mapping) else None
    if kind in _TEXTS:
        return 0
    if kind == "image_url":
        address = part.get("image_url")
        return IMAGE_TOKENS - data_address(address.get("url") if isinstance(address, Mapping) else address)
    if kind == "input_image" and not part.get("file_id"):
        return IMAGE_TOKENS - data_address(part.get("image_url"))
    raise no_bound(f"a {str(kind)[:64]!r} part", "is not bounded by its bytes")


# --- what an answer used ---------------------------------------------------------------------------------------


def usage(told: Any) -> Usage:
    """A vendor's `usage` (of a chat, a response, an embedding) as disjoint meters. Raises `BadInput`."""
    if not isinstance(told, dict):
        raise BadInput("no usage was told", code="bad_usage")
    chat = told.get("prompt_tokens") is not None
    if not chat and told.get("input_tokens") is None:
        raise BadInput("no usage was told", code="bad_usage")
    read = count(told, "prompt_tokens" if chat else "input_tokens")
    details = told.get("prompt_tokens_details" if chat else "input_tokens_details")
    cached, written = count(details, "cached_tokens"), count(details, "cache_write_tokens")
    if cached + written > read:
        raise BadInput("more cached tokens than tokens", code="bad_usage")
    output = count(told, "completion_tokens" if chat else "output_tokens")
    used = {"input_tokens": read - cached - written}
    if cached:
        used["cache_read_tokens"] = cached
    if written:
        used["cache_write_tokens"] = written
    if output:
        used["output_tokens"] = output
    return used


class ChatUsage:
    """Reads a stream of chat chunks: the last one holds the usage and no choices."""

    __slots__ = ("_hide", "_told", "ended")

    def __init__(self, *, hide: bool) -> None:
        self._hide = hide
        self._told: Any = None
        self.ended = False

    def see(self, event: bytes) -> bool:
        """Read one whole event; whether it is for the caller."""
        if b'"usage"' not in event:
            return True
        at = event.find(b'"usage"')
        if event[at + 7 : at + 12].replace(b" ", b"") in (b":null", b":nul"):
            return True
        body = event_json(event)
        told = body.get("usage")
        if not isinstance(told, Mapping):
            return True
        choices = body.get("choices")
        # Some servers tell a running count with every chunk: only the one after the last word is the whole.
        whole = isinstance(choices, list) and all(isinstance(c, Mapping) and c.get("finish_reason") for c in choices)
        self._told, self.ended = told, whole
        return not (self._hide and not choices)

    def final(self) -> Usage | None:
        """All that was used, once the stream has said so."""
        return usage(self._told) if self.ended else None

    def least(self, _worst: Usage) -> Usage | None:
        """Nothing is said before the end."""
        return None


class ResponseUsage:
    """Reads the events of a response: the last one holds the whole of it."""

    __slots__ = ("_told", "ended")

    def __init__(self) -> None:
        self._told: Any = None
        self.ended = False

    def see(self, event: bytes) -> bool:
        """Read one whole event; whether it is for the caller (always)."""
        head = event[:96]
        if b"response.completed" in head or b"response.incomplete" in head or b"response.failed" in head:
            response = event_json(event).get("response")
            told = response.get("usage") if isinstance(response, Mapping) else None
            if isinstance(told, Mapping):
                self._told, self.ended = told, True
        return True

    def final(self) -> Usage | None:
        """All that was used, once the stream has said so."""
        return usage(self._told) if self.ended else None

    def least(self, _worst: Usage) -> Usage | None:
        """Nothing is said before the end."""
        return None
