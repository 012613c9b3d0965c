"""What the gateway answers: a table. Every other path is refused: there is no ungoverned way through."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote_to_bytes

from aegis.core.calls import Usage
from aegis.core.metering import anthropic, bedrock, openai
from aegis.core.metering.bounds import Bounded
from aegis.web.gateway.asked import Asked
from aegis.web.gateway.refusals import Refusal, Shape


class StreamReader(Protocol):
    """Reads a stream's events as they pass: `see` returns whether one is for the caller; `final` is what was used, once
    the stream has said so; `least` bounds the whole by what it said so far. The last two raise `BadInput`.
    """

    ended: bool

    def see(self, event: bytes) -> bool: ...
    def final(self) -> Usage | None: ...
    def least(self, worst: Usage) -> Usage | None: ...


Bound = Callable[[dict[str, Any], int, bool, frozenset[str]], Bounded]
"""Body, cap where it has none, whether the vendor itself is asked, fields let through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One governed operation. `usage` reads a whole answer; None where nothing is billed."""

    name: str
    shape: Shape
    bound: Bound
    usage: Callable[[Any], Usage] | None
    stream: Callable[[Bounded], StreamReader] | None = None
    marks: re.Pattern[bytes] | None = None
    """Only events in which this is found are read."""


def _of_answer(read: Callable[[Any], Usage]) -> Callable[[Any], Usage]:
    return lambda answer: read(answer.get("usage") if isinstance(answer, dict) else None)


_MESSAGES = Route(
    name="messages",
    shape="anthropic",
    bound=lambda body, cap, _vendor, extra: anthropic.bound(body, output_tokens=cap, extra=extra),
    usage=_of_answer(anthropic.usage),
    stream=lambda _: anthropic.StreamUsage(),
    marks=re.compile(rb'"message_(?:start|delta)"'),
)
_COUNT = Route(
    name="count_tokens",
    shape="anthropic",
    bound=lambda body, _cap, _vendor, extra: anthropic.bound_count(body, extra=extra),
    usage=None,
)
_CHAT = Route(
    name="chat.completions",
    shape="openai",
    bound=lambda body, cap, vendor, extra: openai.bound_chat(body, output_tokens=cap, vendor=vendor, extra=extra),
    usage=_of_answer(openai.usage),
    stream=lambda bounded: openai.ChatUsage(hide=bounded.hides_usage),
    marks=re.compile(rb'"usage"(?! *: *null)'),
)
_RESPONSES = Route(
    name="responses",
    shape="openai",
    bound=lambda body, cap, vendor, extra: openai.bound_responses(body, output_tokens=cap, vendor=vendor, extra=extra),
    usage=_of_answer(openai.usage),
    stream=lambda _: openai.ResponseUsage(),
    marks=re.compile(rb"response\.(?:completed|incomplete|failed)"),
)
_EMBEDDINGS = Route(
    name="embeddings",
    shape="openai",
    bound=lambda body, _cap, _vendor, extra: openai.bound_embeddings(body, extra=extra),
    usage=_of_answer(openai.usage),
)
_MODERATIONS = Route(
    name="moderations",
    shape="openai",
    bound=lambda body, _cap, _vendor, extra: openai.bound_moderations(body, extra=extra),
    usage=None,
)

ROUTES: Final[Mapping[bytes, Route]] = {
    b"/v1/messages": _MESSAGES,
    b"/v1/messages/count_tokens": _COUNT,
    b"/v1/chat/completions": _CHAT,
    b"/v1/responses": _RESPONSES,
    b"/v1/embeddings": _EMBEDDINGS,
    b"/v1/moderations": _MODERATIONS,
}


def _converse(*, stream: bool) -> Route:
    return Route(
        name="converse",
        shape="bedrock",
        bound=lambda body, cap, _vendor, extra: bedrock.bound_converse(
            body, output_tokens=cap, stream=stream, extra=extra
        ),
        usage=_of_answer(bedrock.usage),
        stream=lambda _: bedrock.ConverseUsage(),
    )


_CONVERSE, _CONVERSE_STREAM = _converse(stream=False), _converse(stream=True)
_MODEL = re.compile(rb"/model/([A-Za-z0-9.%:_-]{1,256})/converse(-stream)?")
"""Bedrock has the model in the path: an id or a profile's, escaped or not; an ARN names a project and is not taken."""
NAMES: Final = (
    *(route.name for route in ROUTES.values()),
    "converse",
    "models",
    "files",
    "batches",
    "messages.batches",
)
"""What a key can be held to."""
BEDROCK: Final = b"/model/"
_QUERIES: Final = frozenset({b"", b"beta=true"})
"""The Anthropic client adds the second for what it calls beta; it changes nothing in the bill."""


def shape_of(asked: Asked) -> Shape:
    """Whose client asks: Anthropic's always tells a version."""
    if asked.path.startswith(BEDROCK):
        return "bedrock"
    if asked.path.startswith(b"/v1/messages"):
        return "anthropic"
    return "anthropic" if b"anthropic-version" in asked.headers or b"x-api-key" in asked.headers else "openai"


def model_in_path(asked: Asked) -> dict[str, Any]:
    """The model that the path names, as the body's field; nothing where the body itself names it."""
    found = _MODEL.fullmatch(asked.path)
    return {} if found is None else {"model": unquote_to_bytes(found[1]).decode("ascii", "replace")}


def converse_path(model: str, *, stream: bool) -> bytes:
    """Where Bedrock is asked for a model. Raises `Refusal` for a name that is none."""
    if not model.isascii() or "/" in model:
        raise Refusal(400, "this is no model of Bedrock's", code="bad_model")
    return b"/model/%b/converse%b" % (quote(model, safe="").encode(), b"-stream" if stream else b"")


def route_of(asked: Asked) -> Route:
    """The route of a request. Raises `Refusal` for every other path and method."""
    route = ROUTES.get(asked.path)
    if route is None and (found := _MODEL.fullmatch(asked.path)) is not None:
        route = _CONVERSE_STREAM if found[2] else _CONVERSE
    if route is None:
        raise Refusal(404, "the gateway does not serve this path", code="unknown_url")
    if asked.method != "POST":
        raise Refusal(405, "this path is only posted to", code="method_not_allowed")
    if asked.query not in _QUERIES:
        raise Refusal(400, "this path takes no query", code="unknown_query")
    return route
