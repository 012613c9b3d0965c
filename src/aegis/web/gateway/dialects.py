"""Which operations an upstream of the other kind can serve, and how its words are said in the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aegis.app.gateway import Kind
from aegis.config.settings import Upstream as Settings
from aegis.core.dialects.chat_answer import MessageEvents, to_message
from aegis.core.dialects.chat_request import to_messages
from aegis.core.dialects.fields import Translated
from aegis.core.dialects.message_answer import CompletionEvents, to_completion
from aegis.core.dialects.messages_request import to_chat
from aegis.core.dialects.response_answer import Chained, ResponseEvents, to_response
from aegis.core.dialects.response_request import response_to_chat
from aegis.web.gateway.routes import ROUTES, Route

Body = Mapping[str, Any]


class Events(Protocol):
    """Says the events of a stream in the other dialect; raises `BadInput`."""

    def take(self, event: bytes) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """An operation as the other kind serves it. `request` takes a body and whether the vendor itself is asked; `answer`
    and `events` take the time of now in seconds and what the caller asked for.
    """

    path: bytes
    served: Route
    request: Callable[[Body, bool], Translated]
    answer: Callable[[Any, int, Body], Body]
    events: Callable[[Body, int], Events]


def _usage_asked(body: Body) -> bool:
    options = body.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


def _response_to_messages(body: Body) -> Translated:
    chat = response_to_chat(body)
    messages = to_messages(chat.body)
    return Translated(body=messages.body, left_out=(*chat.left_out, *messages.left_out))


def _response_to_chat(body: Body, *, vendor: bool) -> Translated:
    """For a server that is not OpenAI's own: it knows the older names, which OpenAI still takes as well."""
    chat = response_to_chat(body)
    if vendor:
        return chat
    sent = {("max_tokens" if name == "max_completion_tokens" else name): value for name, value in chat.body.items()}
    sent["messages"] = [
        one | {"role": "system"} if one["role"] == "developer" else one for one in chat.body["messages"]
    ]
    return Translated(body=sent, left_out=chat.left_out)


_MESSAGES, _CHAT = b"/v1/messages", b"/v1/chat/completions"
DIALECTS: Final[Mapping[tuple[str, Kind], Dialect]] = {
    ("chat.completions", "anthropic"): Dialect(
        path=_MESSAGES,
        served=ROUTES[_MESSAGES],
        request=lambda body, _vendor: to_messages(body),
        answer=lambda answer, now, _asked: to_completion(answer, created=now),
        events=lambda body, now: CompletionEvents(created=now, usage=_usage_asked(body)),
    ),
    ("messages", "openai"): Dialect(
        path=_CHAT,
        served=ROUTES[_CHAT],
        request=lambda body, vendor: to_chat(body, vendor=vendor),
        answer=lambda answer, _now, _asked: to_message(answer),
        events=lambda _body, _now: MessageEvents(),
    ),
    ("responses", "anthropic"): Dialect(
        path=_MESSAGES,
        served=ROUTES[_MESSAGES],
        request=lambda body, _vendor: _response_to_messages(body),
        answer=lambda answer, now, asked: to_response(to_completion(answer, created=now), asked, created=now),
        events=lambda body, now: Chained(CompletionEvents(created=now, usage=True), ResponseEvents(body, created=now)),
    ),
}
RESPONSES_AS_CHAT: Final = Dialect(
    path=_CHAT,
    served=ROUTES[_CHAT],
    request=lambda body, vendor: _response_to_chat(body, vendor=vendor),
    answer=lambda answer, now, asked: to_response(answer, asked, created=now),
    events=lambda body, now: ResponseEvents(body, created=now),
)
"""For servers of OpenAI's kind that have no responses: Ollama, and Azure's dated API."""


def dialect_of(route: Route, upstream: Settings) -> Dialect | None:
    """How an upstream serves an operation; None where it speaks the caller's own."""
    if upstream.kind != route.shape:
        return DIALECTS[route.name, upstream.kind]
    return RESPONSES_AS_CHAT if route.name == "responses" and not upstream.responses else None


OTHERS: Final[Mapping[str, tuple[Kind, ...]]] = {
    route: tuple(kind for name, kind in DIALECTS if name == route) for route, _ in DIALECTS
}
"""The kinds of upstreams that can serve an operation of another kind."""
