"""Who may answer a request: the model that is asked for, then those that the configuration names in its place.

Policy: the first has to fit, or the request is refused; of the others those are left out that the key may not ask, that
nobody serves, or that cannot be asked the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from itertools import takewhile
from typing import Any, Final, NamedTuple

import orjson

from aegis.app.gateway import GatewayParts, Upstream
from aegis.app.keyring import Grant
from aegis.core.calls import Call
from aegis.core.errors import BadInput
from aegis.core.metering.bounds import Bounded
from aegis.core.metering.writing import written
from aegis.core.money import Nanos
from aegis.web.gateway.asked import Asked
from aegis.web.gateway.azure import deployment_path, without_tier
from aegis.web.gateway.dialects import OTHERS, Dialect, dialect_of
from aegis.web.gateway.refusals import Head, Refusal
from aegis.web.gateway.routes import Route, converse_path

FALLBACKS_MAX: Final = 8
"""Models that are tried in the place of one: each takes its time."""


class Candidate(NamedTuple):
    """A model and its upstream, with the request as it will be sent. `served` is the operation that the upstream is
    asked for; `dialect` is None where it speaks the caller's own.
    """

    upstream: Upstream
    served: Route
    bounded: Bounded
    path: bytes
    dialect: Dialect | None = None
    left_out: tuple[str, ...] = ()


class Work:
    """One request on its way: who asks, for what, who may answer, and what its attempts came to."""

    __slots__ = ("asked", "body", "chain", "chosen", "grant", "id", "route", "spent", "tries")

    chosen: Candidate
    """Who is asked now."""

    def __init__(self, call_id: str, asked: Asked, route: Route, grant: Grant) -> None:
        self.id, self.asked, self.route, self.grant = call_id, asked, route, grant
        self.body: dict[str, Any] = {}
        self.chain: Sequence[Candidate] = ()
        self.tries: list[str] = []
        """The service of every attempt."""
        self.spent: Nanos = 0
        """What the attempts came to that have ended."""

    def call(self, run: Sequence[Candidate]) -> Call:
        """The call of a run: one candidate of it will be chosen. Trying a service again counts as such."""
        first = run[0]
        service = first.upstream.service
        call = Call(
            id=self.id,
            service=service,
            operation=first.served.name,
            worst=worst_of(run),
            models=tuple([one.bounded.model for one in run]),
            scope=self.grant.scope,
            attempt=self.asked.attempt() + self.tries.count(service),
            tier=first.bounded.tier,
            cache_key=cache_key(self, first) if self._reusable(first) else "",
        )
        self.chosen = first
        return call

    def _reusable(self, one: Candidate) -> bool:
        """Whether the answer may be used again, which somebody asked for: whole, billed, and meant to come out the same."""
        allowed = self.grant.key.cache or one.upstream.settings.cache
        if allowed not in ("deterministic", "always") or one.bounded.stream or one.served.usage is None:
            return False
        heat = self.body.get("temperature")
        return allowed == "always" or one.served.name == "embeddings" or (heat == 0 and heat is not False)

    def choose(self, run: Sequence[Candidate], model: str) -> Candidate:
        """The one that the governor let through: it is asked now."""
        self.chosen = run[0] if len(run) == 1 else next(one for one in run if one.bounded.model == model)
        self.tries.append(self.chosen.upstream.service)
        return self.chosen

    def said(self) -> Head:
        """What is said of a way that is not the straight one."""
        head: Head = []
        if len(self.tries) > 1:
            head.append((b"x-aegis-attempts", b"%d" % len(self.tries)))
        if self.chosen.left_out:
            head.append((b"x-aegis-left-out", ", ".join(self.chosen.left_out).encode()))
        return head


def cache_key(work: Work, one: Candidate) -> str:
    """All that an answer depends on but the model, which the governor's cache adds itself; first of all, the key of who
    asks: nobody is ever given what another was told. Raises `BadInput` for a body nested deeper than can be written.
    """
    asked = {name: value for name, value in work.body.items() if name != "model"}
    said = [work.asked.headers.get(name, b"") for name in (b"anthropic-version", b"anthropic-beta")]
    digest = sha256()
    parts = (
        work.grant.key.id.encode(),
        work.route.name.encode(),
        one.upstream.settings.name.encode(),
        str(sorted(one.bounded.worst.items())).encode(),
        *said,
        written(asked, orjson.OPT_SORT_KEYS),
    )
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def candidates(parts: GatewayParts, work: Work) -> Sequence[Candidate]:
    """Everyone who may answer, in order. Raises `Refusal` and `BadInput` when the first one may not."""
    first = _candidate(parts, work, work.body)
    found = [first]
    if not parts.settings.fallback:
        return found
    for model in _instead(parts, first.bounded.model):
        try:
            found.append(_candidate(parts, work, work.body | {"model": model}))
        except (Refusal, BadInput):
            continue
    return found


def _instead(parts: GatewayParts, model: str) -> Iterator[str]:
    for pattern, others in parts.settings.fallback.items():
        if fnmatchcase(model.lower(), pattern.lower()):
            yield from (other for other in dict.fromkeys(others[:FALLBACKS_MAX]) if other != model)
            return


def _candidate(parts: GatewayParts, work: Work, body: dict[str, Any]) -> Candidate:
    route, asked, model = work.route, work.asked, body.get("model")
    upstream = parts.upstream(route.shape, model if isinstance(model, str) else "", OTHERS.get(route.name, ()))
    if upstream is None:
        raise Refusal(404, f"no upstream is configured for {route.name}", code="no_upstream")
    settings = upstream.settings
    path = asked.path + (b"?" + asked.query if asked.query else b"")
    left_out: tuple[str, ...] = ()
    sent = body
    dialect = dialect_of(route, settings)
    if dialect is not None:
        translated = dialect.request(body, settings.vendor)
        sent, left_out, path = translated.body, translated.left_out, dialect.path
    served = route if dialect is None else dialect.served
    cap = work.grant.key.output_tokens or parts.settings.output_tokens
    bounded = served.bound(sent, cap, settings.vendor, settings.allow_fields)
    if served.shape == "bedrock":
        path = converse_path(bounded.model, stream=bounded.stream)
    if settings.api_version:
        bounded, path = without_tier(bounded), deployment_path(path, bounded.model, settings.api_version)
    if not work.grant.allows_model(bounded.model):
        raise Refusal(403, f"this key may not ask {bounded.model}", code="model_not_allowed")
    return Candidate(upstream=upstream, served=served, bounded=bounded, path=path, dialect=dialect, left_out=left_out)


def leading(rest: Sequence[Candidate]) -> Sequence[Candidate]:
    """The first candidates that one upstream serves: the governor itself goes through them, by one price list."""
    if len(rest) == 1:
        return rest
    first = rest[0]
    service, tier = first.upstream, first.bounded.tier
    return list(takewhile(lambda one: one.upstream is service and one.bounded.tier == tier, rest))


def worst_of(run: Sequence[Candidate]) -> Mapping[str, int]:
    """A bound that holds for every candidate of a run: their bodies differ in the model's name alone."""
    if len(run) == 1:
        return run[0].bounded.worst
    worst: dict[str, int] = {}
    for one in run:
        for meter, units in one.bounded.worst.items():
            worst[meter] = max(worst.get(meter, 0), units)
    return worst
