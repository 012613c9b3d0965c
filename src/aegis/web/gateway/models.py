"""`/v1/models`: what the upstreams offer, as far as the key may ask for it. Free, so kept for a minute and not governed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import orjson

from aegis.app.gateway import GatewayParts, Upstream
from aegis.app.keyring import Grant
from aegis.core.errors import ServiceError
from aegis.core.ports import Clock
from aegis.web.gateway.asked import Asked
from aegis.web.gateway.headers import up
from aegis.web.gateway.refusals import Refusal, Shape

KEPT_NS: Final = 60 * 1_000_000_000
"""Models come and go by the week."""
MODELS_MAX: Final = 10_000
"""Entries of one upstream's list; the longest public one has some hundreds."""
PATH: Final = b"/v1/models"


class Models:
    """The lists of all upstreams, asked for at most once a minute each."""

    def __init__(self, parts: GatewayParts, clock: Clock) -> None:
        self._parts, self._clock = parts, clock
        self._kept: dict[str, tuple[int, Sequence[Mapping[str, Any]]]] = {}
        self._asking = anyio.Lock()

    async def answer(self, asked: Asked, shape: Shape, grant: Grant) -> bytes:
        """The JSON of the list, or of the one model that the path names. Raises `Refusal` and `ServiceError`."""
        if asked.method != "GET":
            raise Refusal(405, "this path is only read", code="method_not_allowed")
        found = [model for model in await self._all(asked, shape) if grant.allows_model(str(model["id"]))]
        if asked.path != PATH:
            wanted = asked.path[len(PATH) + 1 :].decode("ascii", "replace")
            for model in found:
                if model["id"] == wanted:
                    return orjson.dumps(model)
            raise Refusal(404, f"there is no model {wanted[:64]} for this key", code="model_not_found")
        if shape == "openai":
            return orjson.dumps({"object": "list", "data": found})
        ends = {"first_id": found[0]["id"] if found else None, "last_id": found[-1]["id"] if found else None}
        return orjson.dumps({"data": found, "has_more": False, **ends})

    async def _all(self, asked: Asked, shape: Shape) -> list[Mapping[str, Any]]:
        """Every upstream's models; one that cannot be asked is left out, unless it is the only one."""
        models: dict[str, Mapping[str, Any]] = {}
        failure: ServiceError | None = None
        async with self._asking:
            for one in self._parts.upstreams:
                if one.settings.kind != shape:
                    continue
                try:
                    listed = await self._of(one, asked, shape)
                except ServiceError as error:
                    failure = error
                    continue
                for model in listed:
                    models.setdefault(str(model["id"]), model)
        if failure is not None and not models:
            raise failure
        return list(models.values())

    async def _of(self, upstream: Upstream, asked: Asked, shape: Shape) -> Sequence[Mapping[str, Any]]:
        now_ns, name = self._clock.monotonic_ns(), upstream.settings.name
        kept = self._kept.get(name)
        if kept is not None and now_ns - kept[0] < KEPT_NS:
            return kept[1]
        path = PATH + (b"?limit=1000" if shape == "anthropic" else b"")
        answer = await upstream.relay.send(b"GET", path, up(asked, shape, upstream.credential, stream=False))
        body = await answer.read()
        if answer.status != 200:
            raise ServiceError(upstream.service, f"answered {answer.status} for its models", retryable=True)
        listed = _models(body)
        self._kept[name] = now_ns, listed
        return listed


def _models(body: bytes) -> Sequence[Mapping[str, Any]]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ()
    data = told.get("data") if isinstance(told, dict) else None
    listed = data if isinstance(data, list) else []
    return [one for one in listed[:MODELS_MAX] if isinstance(one, dict) and isinstance(one.get("id"), str)]
