"""The requests of a batch, each bounded as it would be alone: what nothing bounds is refused by the number of its line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aegis.app.gateway import GatewayParts, Kind, Upstream
from aegis.app.keyring import Grant
from aegis.core.errors import AegisError, BadInput, UnknownPrice
from aegis.core.metering.batches import Asked, anthropic_request, openai_line
from aegis.stores.batches import Line
from aegis.web.gateway.refusals import Refusal, refusal_of
from aegis.web.gateway.routes import ROUTES

LINES_MAX: Final = 50_000
"""The vendor's own bound (platform.openai.com, batch); Anthropic takes twice that, which no body of 32 MB holds."""
BATCHED: Final = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings")
"""What a line of OpenAI's may ask for."""
Priced = Callable[[Upstream, str], object]
"""Raises `UnknownPrice` for a model that nobody prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A batch as it will be sent: who is asked, for which endpoint, what each line can use at most."""

    upstream: Upstream
    url: str
    lines: list[Line]
    raw: bytes


class _Reading:
    """What the lines so far have in common."""

    def __init__(self, parts: GatewayParts, grant: Grant, kind: Kind, priced: Priced) -> None:
        self._parts, self._grant, self._kind, self._priced = parts, grant, kind, priced
        self._known: set[str] = set()
        self.upstream: Upstream | None = None
        self.url = ""
        self.names: set[str] = set()
        self.lines: list[Line] = []

    def take(self, asked: Asked) -> dict[str, Any]:
        """Bound one request; returns its body as it will be sent. Raises `BadInput` and `Refusal`."""
        if asked.name in self.names:
            raise BadInput(f"the custom_id {asked.name} stands twice", code="bad_line")
        if self._kind == "openai" and asked.url not in BATCHED:
            raise BadInput(f"url must be one of {', '.join(BATCHED)}", code="bad_line")
        if self.url and asked.url != self.url:
            raise BadInput(f"all lines ask for one url, which is {self.url}", code="bad_line")
        route = ROUTES[asked.url.encode()]
        if not self._grant.allows_route(route.name):
            raise Refusal(403, f"this key may not be used for {route.name}", code="route_not_allowed")
        upstream = self._served(asked.body)
        settings = upstream.settings
        cap = self._grant.key.output_tokens or self._parts.settings.output_tokens
        bounded = route.bound(asked.body, cap, settings.vendor, settings.allow_fields)
        if bounded.stream:
            raise BadInput("a request of a batch cannot stream", code="bad_line")
        if bounded.tier:
            raise BadInput(f"a batch has a tier of its own, not {bounded.tier[:32]!r}", code="bad_line")
        if not self._grant.allows_model(bounded.model):
            raise Refusal(403, f"this key may not ask {bounded.model}", code="model_not_allowed")
        if self._kind == "openai" and self.lines and bounded.model != self.lines[0].model:
            raise BadInput(f"all lines of a file ask one model, which is {self.lines[0].model}", code="bad_line")
        if bounded.model not in self._known:
            self._priced(upstream, bounded.model)
            self._known.add(bounded.model)
        self.upstream, self.url = upstream, asked.url
        self.names.add(asked.name)
        self.lines.append(Line(name=asked.name, model=bounded.model, worst=bounded.worst))
        return {name: value for name, value in bounded.body.items() if name != "service_tier"}

    def _served(self, body: dict[str, Any]) -> Upstream:
        model = body.get("model")
        upstream = self._parts.upstream(self._kind, model if isinstance(model, str) else "")
        if upstream is None or upstream.settings.api_version:
            raise Refusal(404, f"no upstream takes batches for {str(model)[:64]}", code="no_upstream")
        if self.upstream is not None and upstream is not self.upstream:
            raise BadInput("all requests of a batch go to one upstream", code="bad_line")
        return upstream


def openai_lines(raw: bytes, parts: GatewayParts, grant: Grant, priced: Priced) -> Lines:
    """An input file. Raises `BadInput` and `Refusal`, naming the line."""
    reading = _Reading(parts, grant, "openai", priced)
    sent = []
    for number, text in _numbered(raw):
        try:
            asked = openai_line(text)
            body = reading.take(asked)
        except (BadInput, Refusal, UnknownPrice) as error:
            raise _at("line", number, error) from None
        sent.append(orjson.dumps({"custom_id": asked.name, "method": "POST", "url": asked.url, "body": body}))
    return _whole(reading, b"\n".join(sent) + b"\n", "line")


def anthropic_lines(body: dict[str, Any], parts: GatewayParts, grant: Grant, priced: Priced) -> Lines:
    """A message batch. Raises `BadInput` and `Refusal`, naming the request."""
    requests = body.get("requests")
    if body.keys() != {"requests"} or not isinstance(requests, list):
        raise BadInput("a message batch has requests, and nothing else", code="bad_batch")
    reading = _Reading(parts, grant, "anthropic", priced)
    sent = []
    for number, told in enumerate(requests, 1):
        _not_too_many(number)
        try:
            asked = anthropic_request(told)
            sent.append({"custom_id": asked.name, "params": reading.take(asked)})
        except (BadInput, Refusal, UnknownPrice) as error:
            raise _at("request", number, error) from None
    return _whole(reading, orjson.dumps({"requests": sent}), "request")


def _numbered(raw: bytes) -> Iterator[tuple[int, bytes]]:
    lines: Iterable[bytes] = raw.split(b"\n")
    for number, line in enumerate(lines, 1):
        _not_too_many(number)
        if line.strip():
            yield number, line


def _not_too_many(number: int) -> None:
    if number > LINES_MAX + 1:
        raise BadInput(f"a batch has at most {LINES_MAX} requests", code="too_many_lines")


def _whole(reading: _Reading, raw: bytes, what: str) -> Lines:
    if reading.upstream is None:
        raise BadInput(f"a batch has at least one {what}", code="empty_batch")
    return Lines(upstream=reading.upstream, url=reading.url, lines=reading.lines, raw=raw)


def _at(what: str, number: int, error: AegisError) -> Refusal:
    refusal = refusal_of(error)
    return Refusal(refusal.status, f"{what} {number}: {refusal}", code=refusal.code)
